/**
 * One connection to the database. Everything asked of it has a time limit; a connection that kept nobody's limit is cut,
 * since nobody knows what it still does.
 */
import { Socket } from 'node:net'
import pg from 'pg'
import { ApiError } from '#sdk/errors.ts'
import { failed, textOf } from './failures.ts'
import type { Host, Place } from './settings.ts'

export type Row = unknown[]

export interface Answer {
  rows: Row[]
}

export interface Statement {
  /** Prepared under this name, once a connection. */
  name: string
  text: string
}

interface Use {
  onNotice?: (from: string) => void
  atOnce?: boolean
}

const INT8 = 20
const BYTEA = 17

/** The driver gives all values as text; its binary form loses bytes. */
function parserOf(type: number): (value: string) => unknown {
  if (type === INT8) return Number
  // Its own memory: small buffers are parts of a shared block, and would keep all of that alive in the cache.
  if (type === BYTEA) return (value) => Uint8Array.fromHex(value.slice(2))
  return String
}

const types = { getTypeParser: parserOf } as unknown as pg.CustomTypesConfig

export class Session {
  readonly #client: pg.Client
  readonly #socket: Socket
  readonly #lost = Promise.withResolvers<ApiError>()
  #over = false

  /**
   * At the first host that answers and writes.
   *
   * @param use  `onNotice` is called when a session notified this one; `atOnce`: questions are sent without waiting for the
   *         answers to those before, which come in order
   * @throws ApiError `storage_failed` if none does within the limit
   */
  static async open(place: Place, limitMs: number, use: Use = {}): Promise<Session> {
    let problem: unknown
    for (const host of place.hosts) {
      try {
        return await Session.#openAt(host, place, limitMs / place.hosts.length, use)
      } catch (error) {
        problem = error
      }
    }
    throw failed(problem)
  }

  static async #openAt(host: Host, place: Place, limitMs: number, use: Use = {}): Promise<Session> {
    const until = performance.now() + limitMs
    const rest = () => Math.max(until - performance.now(), 1)
    let session = new Session(host, place, host.tls, use)
    try {
      await session.#start(rest())
    } catch (error) {
      session.cut()
      if (!place.plainIfRefused || !/does not support SSL/.test(textOf(error))) throw error
      session = new Session(host, place, undefined, use)
      await session.#start(rest())
    }
    try {
      session.#client.on('notification', ({ payload }) => use.onNotice?.(payload ?? ''))
      // What a copy that only reads says may be old, and nothing would tell.
      const [row] = (await session.simple('SHOW transaction_read_only', rest())).rows
      if (row?.[0] !== 'off') {
        throw new ApiError('storage_failed', 'the database only reads here: it is a standby, or set to read only')
      }
      for (const setting of place.session) await session.simple(setting, rest()).catch(unlessLost(session))
      return session
    } catch (error) {
      session.cut()
      throw error
    }
  }

  private constructor({ host, port }: Host, { client }: Place, tls: Host['tls'], { atOnce }: Use) {
    this.#socket = new Socket()
    this.#client = new pg.Client({
      ...client,
      host,
      port,
      ssl: tls ?? false,
      types,
      keepAlive: true,
      pipeline: atOnce === true,
      stream: () => this.#socket,
    } as pg.ClientConfig)
    const lose = (error?: Error) => {
      this.#over = true
      this.#lost.resolve(failed(error ?? new Error('the connection was closed')))
      this.#socket.destroy()
    }
    this.#client.on('error', lose)
    this.#client.on('end', () => lose())
    // Before the connection is made the client does not listen for all of them.
    this.#socket.on('error', lose)
  }

  /** It can be used no more. */
  get over(): boolean {
    return this.#over
  }

  /** Resolves when it is lost, with why. */
  get lost(): Promise<ApiError> {
    return this.#lost.promise
  }

  /** A prepared statement. */
  async run({ name, text }: Statement, values: unknown[], limitMs: number): Promise<Answer> {
    const query: pg.QueryArrayConfig = { name, text, values, rowMode: 'array' }
    return answerOf(await this.#within(limitMs, () => this.#client.query(query)))
  }

  /** One statement, or several in one message; the answer is that of the last one that has rows. */
  async simple(text: string, limitMs: number): Promise<Answer> {
    const given = (await this.#within(limitMs, () =>
      this.#client.query({ text, rowMode: 'array' } as pg.QueryArrayConfig),
    )) as pg.QueryArrayResult | pg.QueryArrayResult[]
    const all = [given].flat()
    return answerOf(all.findLast(({ rows }) => rows.length > 0) ?? all.at(-1)!)
  }

  /** Farewell if it can be said at once. What is under way fails. */
  cut(): void {
    if (this.#over) return
    this.#over = true
    this.#client.end(() => undefined)
    this.#lost.resolve(new ApiError('storage_failed', 'the connection to the database was closed'))
    setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref()
  }

  async #start(limitMs: number): Promise<void> {
    await this.#within(limitMs, () => this.#client.connect())
  }

  async #within<T>(limitMs: number, ask: () => Promise<T>): Promise<T> {
    if (this.#over) throw await this.#lost.promise
    const limit = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const error = new ApiError('storage_failed', `the database does not answer within ${Math.ceil(limitMs)} ms`)
      limit.reject(error)
      this.#over = true
      this.#lost.resolve(error)
      this.#socket.destroy()
    }, limitMs)
    const asked = ask()
    asked.catch(() => undefined)
    const lost = this.#lost.promise.then((error) => Promise.reject(error))
    lost.catch(() => undefined)
    try {
      return await Promise.race([asked, limit.promise, lost])
    } catch (error) {
      throw failed(error)
    } finally {
      clearTimeout(timer)
    }
  }
}

const FAREWELL_MS = 100

/** Settings that another database does not know are left; a lost connection is not. */
function unlessLost(session: Session): (error: unknown) => void {
  return (error) => {
    if (session.over) throw error
  }
}

function answerOf({ rows }: pg.QueryArrayResult): Answer {
  return { rows }
}
