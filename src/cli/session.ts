/**
 * The way from a command to the server: address, token, namespace and TLS from flags and environment, made when the
 * first request is. With -output-curl-string or -output-policy the request is told instead of sent.
 */
import { trimSlashes } from '#lib/slashes.ts'
import type { Client, ClientReply, Method, RequestOptions } from '#client/client.ts'
import { ClientError } from '#client/errors.ts'
import { parseDuration } from '#lib/duration.ts'
import type { HttpFlags } from './command.ts'
import { switchVariable, variable, variableName } from './environment.ts'
import { CommandFailure, EXIT_LOCAL, UsageError } from './failure.ts'
import { isObject, parseExact } from './json.ts'
import { whileTelling } from './progress.ts'
import { readTokenFile } from './token-file.ts'

/** Thrown in place of a request that was asked for as text. */
export class Told extends Error {
  override readonly name = 'Told'
}

export class Session {
  readonly #flags: HttpFlags
  readonly #given: ReadonlySet<string>
  readonly #patienceMs: number | undefined
  /** What the server said besides when the last `find` found nothing, to be put behind a message. */
  absence = ''
  /** Whether a request went out without a token because there was none. */
  lacksToken = false
  #client: Promise<Client> | undefined
  #token: string | undefined

  /** @param patienceMs  for one request, instead of what the environment says */
  constructor(flags: HttpFlags, given: ReadonlySet<string>, patienceMs?: number) {
    this.#flags = flags
    this.#given = given
    this.#patienceMs = patienceMs
  }

  get address(): string {
    return this.#given.has('address') ? this.#flags.address : (variable('ADDR') ?? this.#flags.address)
  }

  /** Where it comes from; undefined for the default. */
  get addressOrigin(): string | undefined {
    return this.#given.has('address') ? '-address' : variableName('ADDR')
  }

  /** From the environment, else from the last login. */
  async token(): Promise<string | undefined> {
    return this.#token ?? variable('TOKEN') ?? (await readTokenFile())
  }

  /** Use this token for what follows, instead. */
  useToken(token: string): void {
    this.#token = token
  }

  /** The request a command is for: the one that -output-curl-string and -output-policy tell. */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<ClientReply> {
    const token = options.token ?? (await this.token()) ?? ''
    if (options.token === undefined && token === '') this.lacksToken = true
    const full = { ...options, token, wrapTtl: options.wrapTtl ?? this.#wrapTtl() }
    const client = await this.#open()
    if (this.#flags['output-curl-string'] || this.#flags['output-policy']) {
      const { tellCurl, tellPolicy } = await import('./tell.ts')
      if (this.#flags['output-policy']) throw new Told(tellPolicy(method, path))
      throw new Told(tellCurl(client.prepare(method, path, full), this.#flags['tls-skip-verify']))
    }
    return await this.#send(client, method, path, full)
  }

  /** The text of an answer that goes on, as it comes. */
  async follow(
    path: string,
    { signal, ...options }: RequestOptions & { signal?: AbortSignal },
    onText: (text: string) => void,
  ): Promise<void> {
    const token = (await this.token()) ?? ''
    if (token === '') this.lacksToken = true
    const client = await this.#open()
    if (this.#flags['output-curl-string'] || this.#flags['output-policy']) {
      await this.request('GET', path, options)
      return
    }
    await client.follow(path, { ...options, token }, { onText, signal })
  }

  /** A request on the way to that, sent in any case and never wrapped. */
  async ask(method: Method, path: string, options: RequestOptions = {}): Promise<ClientReply> {
    const client = await this.#open()
    const token = options.token ?? (await this.token()) ?? ''
    if (options.token === undefined && token === '') this.lacksToken = true
    return await this.#send(client, method, path, { ...options, token })
  }

  /** Like request, but undefined where there is nothing. A 404 that carries data, as of a deleted version, is a reply. */
  async find(method: Method, path: string, options: RequestOptions = {}): Promise<ClientReply | undefined> {
    try {
      return await this.request(method, path, options)
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 404) throw error
      // A mount that is not there is told by errors; an entry that is not there has none.
      this.absence = error.errors.map((each) => `: ${each}`).join('')
      const json = parseOrNothing(error.text)
      return isObject(json) && (isObject(json['data']) || isFilled(json['warnings']))
        ? { status: 404, headers: {}, text: error.text, json }
        : undefined
    }
  }

  /** Whoever sits at a terminal is told what is waited for. */
  async #send(client: Client, method: Method, path: string, options: RequestOptions): Promise<ClientReply> {
    return await whileTelling(
      () => `Waiting for ${this.address} to answer`,
      async () => await client.request(method, path, options),
    )
  }

  async close(): Promise<void> {
    // A client that could not be made has told so already where it was asked for.
    const client = await this.#client?.catch(() => undefined)
    await client?.close()
  }

  #wrapTtl(): string | undefined {
    return this.#flags['wrap-ttl'] ?? variable('WRAP_TTL')
  }

  async #open(): Promise<Client> {
    this.#client ??= this.#connect()
    return await this.#client
  }

  async #connect(): Promise<Client> {
    const { Client } = await import('#client/client.ts')
    const flags = this.#flags
    const text = (
      name: 'ca-cert' | 'ca-path' | 'client-cert' | 'client-key' | 'tls-server-name' | 'namespace',
      from: string,
    ) => flags[name] ?? variable(from)
    const namespace = trimSlashes(text('namespace', 'NAMESPACE') ?? '')
    try {
      return new Client({
        address: this.address,
        namespace: namespace ? `${namespace}/` : undefined,
        tls: {
          caFile: text('ca-cert', 'CACERT'),
          caDirectory: text('ca-path', 'CAPATH'),
          clientCertFile: text('client-cert', 'CLIENT_CERT'),
          clientKeyFile: text('client-key', 'CLIENT_KEY'),
          serverName: text('tls-server-name', 'TLS_SERVER_NAME'),
          skipVerify: this.#given.has('tls-skip-verify') ? flags['tls-skip-verify'] : switchVariable('SKIP_VERIFY'),
        },
        timeoutMs: this.#patienceMs ?? timeoutMs(),
        maxRetries: retries(),
        headers: this.#headers(),
        followRedirects: !(this.#given.has('disable-redirects')
          ? flags['disable-redirects']
          : switchVariable('DISABLE_REDIRECTS')),
        parse: parseExact,
      })
    } catch (error) {
      throw new CommandFailure(error instanceof Error ? error.message : String(error), EXIT_LOCAL, { cause: error })
    }
  }

  #headers(): Record<string, string | string[]> {
    const headers: Record<string, string[]> = {}
    for (const given of this.#flags.header) {
      const cut = given.indexOf('=')
      const name = given.slice(0, cut).trim()
      if (cut < 1) throw new UsageError('-header expects NAME=VALUE')
      if (/^x-vault-/i.test(name))
        throw new UsageError(`-header cannot set "${name}": names that begin with X-Vault- are reserved`)
      headers[name] = [...(headers[name] ?? []), given.slice(cut + 1).trim()]
    }
    const mfa = this.#flags.mfa.length > 0 ? this.#flags.mfa : [variable('MFA') ?? ''].filter((each) => each !== '')
    if (mfa.length > 0) headers['X-Vault-MFA'] = [...mfa]
    if (this.#flags['policy-override']) headers['X-Vault-Policy-Override'] = ['true']
    return headers
  }
}

/** None unless asked for: somebody who waits at a terminal would rather see the error. */
function retries(): number {
  const text = variable('MAX_RETRIES')
  if (text === undefined) return 0
  if (!/^-?\d+$/.test(text)) throw new Error(`${variableName('MAX_RETRIES')} must be a number, not "${text}"`)
  return Math.max(0, Number(text))
}

const DEFAULT_TIMEOUT_SECONDS = 60

function timeoutMs(): number {
  const text = variable('CLIENT_TIMEOUT')
  const seconds = text === undefined ? DEFAULT_TIMEOUT_SECONDS : parseDuration(text)
  if (seconds === undefined || seconds < 0)
    throw new Error(`${variableName('CLIENT_TIMEOUT')} must be a duration such as 30s, not "${text}"`)
  return (seconds || DEFAULT_TIMEOUT_SECONDS) * 1000
}

function parseOrNothing(text: string): unknown {
  try {
    return parseExact(text)
  } catch {
    // Some proxy's page: nothing of ours is there.
    return undefined
  }
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}
