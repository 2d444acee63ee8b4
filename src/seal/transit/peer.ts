/** HTTP to the other server: one request at a time matters here, so each has a connection of its own. */
import { trimLastSlashes } from '#lib/slashes.ts'
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { isObject } from '#sdk/schema.ts'
import { failing } from '#seal/settings.ts'

export interface PeerOptions {
  /** `http://` or `https://`, may have a path. */
  address: URL
  token: string
  namespace: string | undefined
  tls: { ca?: Buffer; cert?: Buffer; key?: Buffer; servername?: string; rejectUnauthorized: boolean }
}

/** For one call, from the connection to the last byte of the answer. */
const CALL_MS = 10_000
const MAX_ANSWER_BYTES = 64 * 1024
/** What of an answer's own words goes to the log. */
const MAX_QUOTE = 300

export class Peer {
  readonly #options: PeerOptions

  constructor(options: PeerOptions) {
    this.#options = options
  }

  /**
   * @param path  below `/v1/`
   * @returns the answer's JSON
   * @throws ApiError `upstream_failed` for anything but an answer with status 200
   */
  async post(path: string, body: Record<string, string>): Promise<Record<string, unknown>> {
    const { status, text } = await this.#send(path, JSON.stringify(body))
    if (status !== 200) throw refusal(path, `status ${status}: ${this.#quote(text)}`)
    const json = parse(text)
    if (json === undefined) throw refusal(path, 'the answer is no JSON')
    return json
  }

  async #send(path: string, body: string): Promise<{ status: number; text: string }> {
    const { address, token, namespace, tls } = this.#options
    const url = new URL(`${trimLastSlashes(address.pathname)}/v1/${path}`, address)
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
    const isTls = address.protocol === 'https:'
    const outgoing = (isTls ? requestTls : requestPlain)(url, {
      method: 'POST',
      agent: false,
      signal: AbortSignal.timeout(CALL_MS),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-vault-token': token,
        'x-vault-request': 'true',
        ...(namespace && { 'x-vault-namespace': namespace }),
      },
      ...(isTls && { ...tls, minVersion: 'TLSv1.2' as const }),
    })
    outgoing.on('error', reject)
    outgoing.on('response', (answer) => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer.on('error', reject)
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) outgoing.destroy(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`))
        else chunks.push(chunk)
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }))
    })
    outgoing.end(body)
    try {
      return await promise
    } catch (error) {
      throw failing('transit', 'the other server cannot be reached', `${path}: ${describe(error)}`)
    }
  }

  /** The errors of the answer; of anything else only that it is something else. */
  #quote(text: string): string {
    const errors = parse(text)?.['errors']
    const said = Array.isArray(errors) ? errors.filter((each) => typeof each === 'string').join('; ') : 'no error text'
    return said.replaceAll(this.#options.token, '…').slice(0, MAX_QUOTE)
  }
}

function refusal(path: string, reason: string): Error {
  return failing('transit', 'the other server refuses', `${path}: ${reason}`)
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) ? json : undefined
  } catch {
    // Also an answer that is no JSON is an answer, and the parser's own error would quote it.
    return undefined
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  const { code, message, name } = error as NodeJS.ErrnoException
  // A host with several addresses fails with a list of errors and no text of its own.
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describe))].join(', ')
  return name === 'AbortError' || name === 'TimeoutError' ? `no answer within ${CALL_MS} ms` : message || String(code)
}
