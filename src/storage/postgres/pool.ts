/** Connections for reading: opened when needed, a bounded number, and nobody waits for one longer than the limit. */
import { ApiError } from '#sdk/errors.ts'
import { Session } from './session.ts'
import type { Settings } from './settings.ts'

/** Beyond it reads are refused: memory must not grow with a slow database. */
const MAX_WAITING = 10_000

interface Waiting {
  resolve: (session: Session | undefined) => void
  reject: (error: ApiError) => void
}

export class Pool {
  readonly #settings: Settings
  readonly #idle: Session[] = []
  readonly #waiting: Waiting[] = []
  #used = 0
  #closed = false

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Whether somebody could have a connection now. */
  get free(): boolean {
    return this.#used < this.#settings.maxParallel
  }

  /** @throws ApiError `storage_failed` if there is none in time; what `use` throws passes through */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#take()
    try {
      return await work(session)
    } finally {
      this.#giveBack(session)
    }
  }

  /** Those in use are closed when they come back. */
  close(): void {
    this.#closed = true
    for (const session of this.#idle.splice(0)) session.cut()
    for (const { reject } of this.#waiting.splice(0)) reject(new ApiError('storage_failed', 'the store is closed'))
  }

  async #take(): Promise<Session> {
    if (this.#closed) throw new ApiError('storage_failed', 'the store is closed')
    const handed = this.free ? undefined : await this.#wait()
    if (handed === undefined) this.#used += 1
    try {
      return handed && !handed.over ? handed : (this.#lively() ?? (await this.#open()))
    } catch (error) {
      this.#used -= 1
      this.#waiting.shift()?.resolve(undefined)
      throw error
    }
  }

  async #open(): Promise<Session> {
    return await Session.open(this.#settings.place, this.#settings.limitMs)
  }

  #lively(): Session | undefined {
    for (;;) {
      const session = this.#idle.pop()
      if (session === undefined) return undefined
      if (!session.over) return session
    }
  }

  /** @returns a connection that came back, which is counted as used already; undefined: there is room for one */
  async #wait(): Promise<Session | undefined> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new ApiError('storage_failed', 'more reads wait for the database than the store takes: try again later')
    }
    const { promise, resolve, reject } = Promise.withResolvers<Session | undefined>()
    const waiting = { resolve, reject }
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      reject(new ApiError('storage_failed', `no connection to the database was free for ${this.#settings.limitMs} ms`))
    }, this.#settings.limitMs)
    this.#waiting.push(waiting)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  #giveBack(session: Session): void {
    const next = this.#waiting.shift()
    if (next && !this.#closed && !session.over) return next.resolve(session)
    this.#used -= 1
    next?.resolve(undefined)
    if (session.over) return
    if (this.#closed || this.#idle.length >= this.#settings.maxIdle) return session.cut()
    this.#idle.push(session)
  }
}
