/** Requests to a server over TLS or a unix socket. For tests only. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { TLSSocket } from 'node:tls'

export interface TlsAnswer {
  status: number
  body: any
  /** Serial number of the certificate that the server showed. */
  serial: string
  protocol: string | null
}

/** @param files  PEM: the authority that the server's certificate is checked against, and the client's own, if any */
export async function sendTls(
  port: number,
  method: string,
  where: string,
  files: { ca: string; cert?: string; key?: string },
  options: { token?: string; body?: unknown; maxVersion?: 'TLSv1.2' } = {},
): Promise<TlsAnswer> {
  const [ca, cert, key] = await Promise.all(
    [files.ca, files.cert, files.key].map((file) => (file === undefined ? Promise.resolve(undefined) : readFile(file))),
  )
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path: `/v1/${where}`,
    agent: false,
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(options.maxVersion && { maxVersion: options.maxVersion }),
    ...(options.token !== undefined && { headers: { 'x-vault-token': options.token } }),
  })
  const { status, body, serial, protocol } = await answerOf(outgoing, options.body)
  return { status, body, serial, protocol }
}

export async function sendUnix(
  socketPath: string,
  where: string,
  { method = 'GET', token, body: payload }: { method?: string; token?: string; body?: unknown } = {},
): Promise<{ status: number; body: any }> {
  const headers = { ...(token !== undefined && { 'x-vault-token': token }) }
  const outgoing = requestPlain({ socketPath, method, path: `/v1/${where}`, headers, agent: false })
  const { status, body } = await answerOf(outgoing, payload)
  return { status, body }
}

async function answerOf(outgoing: ClientRequest, payload: unknown) {
  outgoing.end(payload === undefined ? undefined : JSON.stringify(payload))
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  // Asked now: when the body has been read, the connection may be gone.
  const tls = response.socket instanceof TLSSocket ? response.socket : undefined
  const serial = tls?.getPeerCertificate().serialNumber ?? ''
  const protocol = tls?.getProtocol() ?? null
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode!, body: text === '' ? undefined : JSON.parse(text), serial, protocol }
}
