/**
 * One HTTP request over TCP, TLS or a unix socket, with a time limit and a limit on what comes back.
 * TLS is loaded only for https addresses, since a command line pays for every module it loads.
 *
 * The modules are not imported but fetched: an import touches every export, and that of `WebSocket` loads a second HTTP
 * client, which doubles the start-up time of a command (74 ms of CPU instead of 31).
 */
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { ConnectionError } from './errors.ts'

export interface TlsOptions {
  /** PEM file with the authorities to trust instead of the system's. */
  caFile?: string | undefined
  /** Directory of such files; `caFile` wins. */
  caDirectory?: string | undefined
  clientCertFile?: string | undefined
  clientKeyFile?: string | undefined
  /** Accept any certificate. The connection is then open to whoever stands between. */
  skipVerify?: boolean | undefined
  /** Name to ask for (SNI) and to verify, where it differs from the address. */
  serverName?: string | undefined
}

export interface Exchange {
  method: string
  url: URL
  headers: Record<string, string | string[]>
  body: string | undefined
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface Follow {
  onText: (text: string) => void
  /** Ends it; the promise is then rejected. */
  signal?: AbortSignal | undefined
}

/** A listing of a million names is about 40 MB; nothing this API answers is larger. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024
const MAX_CA_FILES = 1000

export class Transport {
  readonly #socketPath: string | undefined
  readonly #tls: TlsOptions
  readonly #timeoutMs: number
  #agent: Promise<Agent> | undefined

  constructor(options: { socketPath: string | undefined; tls: TlsOptions; timeoutMs: number }) {
    this.#socketPath = options.socketPath
    this.#tls = options.tls
    this.#timeoutMs = options.timeoutMs
  }

  /**
   * @param follow  for an answer that goes on: gets its text as it comes, and the time limit ends where it begins. The
   *                answer then has no text, unless it is a refusal
   * @throws ConnectionError when there is no whole answer within the time limit
   */
  async send(exchange: Exchange, follow?: Follow): Promise<Answer> {
    const { url, body } = exchange
    const headers: Record<string, string | string[]> = { ...exchange.headers }
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    const agent = await this.#openAgent(url)
    return await new Promise<Answer>((resolve, reject) => {
      const fail = (code: string, message: string, cause?: unknown) => {
        clearTimeout(timer)
        reject(new ConnectionError(url.href, code, message, { cause }))
      }
      const options = {
        method: exchange.method,
        headers,
        agent,
        ...(this.#socketPath ? { socketPath: this.#socketPath } : {}),
      }
      const request: ClientRequest = moduleFor(url).request(url, options)
      const timer = setTimeout(() => {
        fail('ETIMEDOUT', `no answer within ${this.#timeoutMs / 1000} s`)
        request.destroy()
      }, this.#timeoutMs)
      request.on('error', (error) => fail(codeOf(error), error.message, error))
      follow?.signal?.addEventListener('abort', () => request.destroy(), { once: true })
      if (follow?.signal?.aborted) request.destroy()
      request.on('response', (response) => {
        const status = response.statusCode ?? 0
        if (follow && status < 300) {
          clearTimeout(timer)
          response.setEncoding('utf8').on('data', follow.onText)
          response.on('end', () => resolve({ status, headers: response.headers, text: '' }))
          response.on('error', (error) => fail(codeOf(error), error.message, error))
          return
        }
        collect(response, (error, text) => {
          if (error) return fail(codeOf(error), error.message, error)
          clearTimeout(timer)
          resolve({ status, headers: response.headers, text })
        })
      })
      request.end(body)
    })
  }

  /** Close idle connections, so that a process that has nothing else to do can end. */
  async close(): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    // One that could not be made (a CA file that is missing) has told so to the request that wanted it.
    await agent?.then(
      (made) => made.destroy(),
      () => undefined,
    )
  }

  async #openAgent(url: URL): Promise<Agent> {
    this.#agent ??= makeAgent(url, this.#tls)
    return await this.#agent
  }
}

function moduleFor(url: URL): typeof import('node:http') | typeof import('node:https') {
  return url.protocol === 'https:' ? process.getBuiltinModule('node:https') : process.getBuiltinModule('node:http')
}

async function makeAgent(url: URL, tls: TlsOptions): Promise<Agent> {
  const options = { keepAlive: true, maxSockets: 8 }
  return new (moduleFor(url).Agent)(url.protocol === 'https:' ? { ...options, ...(await readTls(tls)) } : options)
}

function collect(response: IncomingMessage, done: (error: Error | undefined, text: string) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_REPLY_BYTES)
      response.destroy(Object.assign(new Error('reply is larger than 64 MiB'), { code: 'E2BIG' }))
    else chunks.push(chunk)
  })
  response.on('error', (error) => done(error, ''))
  response.on('end', () => done(undefined, Buffer.concat(chunks).toString('utf8')))
}

async function readTls(tls: TlsOptions): Promise<Record<string, unknown>> {
  const { readFile, readdir } = await import('node:fs/promises')
  const options: Record<string, unknown> = { minVersion: 'TLSv1.2' }
  if (tls.caFile) {
    options['ca'] = await readFile(tls.caFile)
  } else if (tls.caDirectory) {
    const names = (await readdir(tls.caDirectory, { withFileTypes: true })).filter((entry) => !entry.isDirectory())
    if (names.length > MAX_CA_FILES) throw new Error(`${tls.caDirectory} holds more than ${MAX_CA_FILES} files`)
    options['ca'] = await Promise.all(names.map(async (entry) => await readFile(`${tls.caDirectory}/${entry.name}`)))
  }
  if (Boolean(tls.clientCertFile) !== Boolean(tls.clientKeyFile)) {
    throw new Error('a client certificate needs its key and the other way round: give both or neither')
  }
  if (tls.clientCertFile) options['cert'] = await readFile(tls.clientCertFile)
  if (tls.clientKeyFile) options['key'] = await readFile(tls.clientKeyFile)
  if (tls.serverName) options['servername'] = tls.serverName
  if (tls.skipVerify) options['rejectUnauthorized'] = false
  return options
}

function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code
  return 'EUNKNOWN'
}
