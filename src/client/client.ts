/**
 * HTTP client for this server and any other that speaks the Vault API: one connection pool, one token, one namespace.
 * Needs nothing but Node. Retries, redirects and error texts are those that users of that API know.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { ClientError, ConnectionError } from './errors.ts'
import { type Answer, type Follow, type TlsOptions, Transport } from './transport.ts'

/** LIST is sent as GET with `list=true`, since not every proxy lets the method LIST pass. */
export type Method = 'GET' | 'LIST' | 'SCAN' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface ClientOptions {
  /** `http://host:8200`, `https://…` or `unix:///path/to/socket`; a path is put before `/v1`. */
  address: string
  token?: string | undefined
  namespace?: string | undefined
  tls?: TlsOptions
  /** For one attempt, from the first byte sent to the last received. */
  timeoutMs?: number
  /** Further attempts after the first; 0: none. */
  maxRetries?: number
  /** Before the first of them; a little more before each later one. */
  retryWaitMs?: number
  /** Sent with every request. */
  headers?: Record<string, string | string[]>
  /** Follow a standby node's redirect to the active one. On unless said otherwise. */
  followRedirects?: boolean
  /** How to read a reply that is JSON, for callers to whom JSON numbers are too short. */
  parse?: (text: string) => unknown
}

export interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown
  query?: Record<string, string | readonly string[] | undefined>
  headers?: Record<string, string>
  /** Ask for the reply to be wrapped for this long: `60s`, `1h`. */
  wrapTtl?: string | undefined
  /** Instead of the client's own; empty: send none. */
  token?: string
}

export interface ClientReply {
  status: number
  headers: IncomingHttpHeaders
  /** The body as it came; empty for 204. */
  text: string
  /** The body parsed; undefined when it was empty or no JSON. */
  json: unknown
}

export interface Prepared {
  method: string
  url: URL
  headers: Record<string, string | string[]>
  body: string | undefined
}

const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_RETRIES = 2
const MAX_RETRIES = 100
const DEFAULT_RETRY_WAIT_MS = 1000

export class Client {
  readonly #options: ClientOptions
  readonly #base: URL
  readonly #transport: Transport

  /** @throws Error if the address cannot be understood */
  constructor(options: ClientOptions) {
    const { base, socketPath } = parseAddress(options.address)
    this.#options = options
    this.#base = base
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    this.#transport = new Transport({ socketPath, tls: options.tls ?? {}, timeoutMs })
  }

  /**
   * @param path  below `/v1/`, not percent-encoded, e.g. `secret/data/app`
   * @throws ClientError for any status of 300 and above, ConnectionError when nobody answers
   */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<ClientReply> {
    const prepared = this.prepare(method, path, options)
    const answer = await this.#sendAndRetry(prepared)
    if (answer.status >= 300) {
      const url = prepared.url.href
      throw new ClientError(
        { method: prepared.method, url, namespace: this.#options.namespace },
        answer.status,
        answer.text,
      )
    }
    return { ...answer, json: this.#parse(answer.text) }
  }

  /**
   * An answer that goes on until one side ends it, such as the server's log. Sent once, without a second attempt.
   *
   * @throws ClientError for any status of 300 and above, ConnectionError when nobody answers or the signal ends it
   */
  async follow(path: string, options: RequestOptions, follow: Follow): Promise<void> {
    const prepared = this.prepare('GET', path, options)
    const answer = await this.#transport.send(prepared, follow)
    if (answer.status < 300) return
    const about = { method: prepared.method, url: prepared.url.href, namespace: this.#options.namespace }
    throw new ClientError(about, answer.status, answer.text)
  }

  /** What `request` would send, for those who want to show it. */
  prepare(method: Method, path: string, options: RequestOptions = {}): Prepared {
    const url = new URL(this.#base)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/${encodePath(path)}`
    for (const [name, value] of Object.entries(options.query ?? {})) {
      for (const each of Array.isArray(value) ? value : [value])
        if (each !== undefined) url.searchParams.append(name, String(each))
    }
    if (method === 'LIST') url.searchParams.set('list', 'true')
    if (method === 'SCAN') url.searchParams.set('scan', 'true')
    const headers: Record<string, string | string[]> = {
      ...this.#options.headers,
      ...options.headers,
      'X-Vault-Request': 'true',
    }
    const token = options.token ?? this.#options.token
    if (token) headers['X-Vault-Token'] = token
    if (this.#options.namespace) headers['X-Vault-Namespace'] = this.#options.namespace
    if (options.wrapTtl) headers['X-Vault-Wrap-TTL'] = options.wrapTtl
    const body = options.body === undefined ? undefined : JSON.stringify(options.body)
    if (body !== undefined)
      headers['Content-Type'] ??= method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    return { method: method === 'LIST' || method === 'SCAN' ? 'GET' : method, url, headers, body }
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  async #sendAndRetry(prepared: Prepared): Promise<Answer> {
    const retries = Math.min(Math.max(this.#options.maxRetries ?? DEFAULT_RETRIES, 0), MAX_RETRIES)
    for (let attempt = 0; ; attempt += 1) {
      const last = attempt >= retries
      try {
        const answer = await this.#sendAndFollow(prepared)
        if (last || !isPassing(answer.status)) return answer
      } catch (error) {
        if (last || !(error instanceof ConnectionError) || !mayRepeat(prepared.method, error.code)) throw error
      }
      const waitMs = (this.#options.retryWaitMs ?? DEFAULT_RETRY_WAIT_MS) * (attempt + 1)
      // Up to half as much again by chance, so that many clients of one server do not all come back at once.
      await new Promise((resolve) => setTimeout(resolve, waitMs * (1 + Math.random() / 2)))
    }
  }

  /** Follows one redirect, and never from https to http: the token would then travel in the clear. */
  async #sendAndFollow(prepared: Prepared): Promise<Answer> {
    const answer = await this.#transport.send(prepared)
    const location = answer.headers.location
    if (![301, 302, 307, 308].includes(answer.status) || !location || this.#options.followRedirects === false)
      return answer
    const url = new URL(location, prepared.url)
    if (prepared.url.protocol === 'https:' && url.protocol !== 'https:') {
      throw new ConnectionError(prepared.url.href, 'EREDIRECT', `refused a redirect from https to ${url.origin}`)
    }
    // A pool is made for one scheme; a redirect may change it.
    const elsewhere = new Transport({
      socketPath: undefined,
      tls: this.#options.tls ?? {},
      timeoutMs: this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    })
    try {
      return await elsewhere.send({ ...prepared, url })
    } finally {
      await elsewhere.close()
    }
  }

  #parse(text: string): unknown {
    if (text.trim() === '') return undefined
    try {
      return (this.#options.parse ?? JSON.parse)(text)
    } catch {
      // Metrics and the like are not JSON: `text` has them.
      return undefined
    }
  }
}

/** 412: this node has not seen a write the caller has seen; 5xx but 501: may pass. */
function isPassing(status: number): boolean {
  return status === 412 || (status >= 500 && status !== 501)
}

/** Codes of connections that were never made, so that nothing can have been carried out. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/**
 * Whether to try again after a failure without an answer. A change that may have been carried out is not sent twice: it
 * would make a second token or a second version.
 */
function mayRepeat(method: string, code: string): boolean {
  if (neverConnected.has(code)) return true
  return method === 'GET' && (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT')
}

function parseAddress(address: string): { base: URL; socketPath: string | undefined } {
  if (address.startsWith('unix://'))
    return { base: new URL('http://localhost'), socketPath: address.slice('unix://'.length) }
  const base = URL.canParse(address) ? new URL(address) : undefined
  if (!base || (base.protocol !== 'http:' && base.protocol !== 'https:')) {
    throw new Error(`"${address}" is no address: expected http://HOST:PORT, https://HOST:PORT or unix:///PATH`)
  }
  base.search = ''
  base.hash = ''
  return { base, socketPath: undefined }
}

function encodePath(path: string): string {
  return path
    .replace(/^\/+/, '')
    .split('/')
    .map((part) => encodeURIComponent(part).replace(/%(?:24|26|2B|2C|3A|3B|3D|40)/g, decodeURIComponent))
    .join('/')
}
