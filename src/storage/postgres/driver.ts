/**
 * The store in PostgreSQL, or in a database that speaks its protocol: for several nodes, all of them equal.
 *
 * What a node keeps in memory it serves only while it is proven that it heard of all commits, within `max_staleness`. Cut
 * off from the database it serves nothing.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Commit, Driver, Entry, Page, Transaction } from '#sdk/storage.ts'
import { Cache } from '#storage/cache.ts'
import type { Found } from '#storage/draft.ts'
import { checkKey, checkPrefix } from '#storage/keys.ts'
import { limitOf, scanRange, type Range } from '#storage/levels.ts'
import { tell, type CommitListener } from '#storage/listeners.ts'
import { transact, type Committer as Store } from '#storage/transact.ts'
import { Turns } from '#storage/turns.ts'
import type { Request } from './check.ts'
import { Committer } from './committer.ts'
import { Feed } from './feed.ts'
import { isPassing } from './failures.ts'
import { Pool } from './pool.ts'
import { Reader } from './reader.ts'
import type { Changes } from './recent.ts'
import { namesOf, prepareTables } from './schema.ts'
import { Session } from './session.ts'
import { settingsOf, type Settings } from './settings.ts'
import { Table, type Head } from './table.ts'
import { Versions } from './versions.ts'
import { Watch } from './watch.ts'
import { Writer } from './writer.ts'

const CONNECT_PAUSE_MS = 1000

/** @throws ApiError `invalid_request` for options that cannot be used, `storage_failed` if the database cannot be */
export async function open(options: Readonly<Record<string, string>>): Promise<Driver> {
  const settings = settingsOf(options, process.env)
  const session = await connect(settings)
  try {
    const names = namesOf(settings.table)
    await prepareTables(session, names, settings.create, settings.limitMs)
    const head = await new Table(names, settings.limitMs).head(session, settings.limitMs)
    const driver = new PostgresDriver(settings, head)
    try {
      await driver.start()
      return driver
    } catch (error) {
      await driver.close()
      throw error
    }
  } finally {
    session.cut()
  }
}

async function connect({ place, limitMs, connectTries }: Settings): Promise<Session> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await Session.open(place, limitMs)
    } catch (error) {
      if (tries >= connectTries || !isPassing(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, CONNECT_PAUSE_MS))
    }
  }
}

class PostgresDriver implements Driver {
  readonly #feed: Feed
  readonly #cache = new Cache()
  readonly #pool: Pool
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #watch: Watch
  readonly #versions = new Versions()
  readonly #turns = new Turns()
  readonly #listeners: CommitListener[] = []
  /** Values on their way to the database, by version: when they are committed, they are here already. */
  readonly #own = new Map<number, Uint8Array>()
  #reserving: Promise<void> | undefined
  #closed = false

  constructor(settings: Settings, head: Head) {
    const names = namesOf(settings.table)
    const table = new Table(names, settings.limitMs)
    this.#feed = new Feed(names, head, settings, {
      heard: (changes) => this.#heard(changes),
      missed: () => {
        this.#cache.clear()
        tell(this.#listeners, { keys: [], others: true })
      },
    })
    this.#pool = new Pool(settings)
    this.#reader = new Reader(this.#pool, table, this.#feed, this.#cache, settings.limitMs)
    const committer = new Committer(names, table, this.#feed, this.#versions, settings.limitMs)
    this.#writer = new Writer(settings, committer)
    const { node } = committer
    this.#watch = new Watch({ settings, names, table, feed: this.#feed, node }, (listening) => {
      committer.notify = listening
    })
  }

  async start(): Promise<void> {
    this.#watch.start()
    await this.#writer.reserve()
  }

  /** Not a number, which equals nothing, while it is not proven that all commits were heard of. */
  moment(): number {
    return this.#feed.fresh ? this.#feed.moment : Number.NaN
  }

  get(key: string): Promise<Entry | undefined> {
    if (this.#feed.fresh) {
      const slot = this.#cache.get(key)
      if (slot !== undefined) return slot.promise
    }
    return this.#read(key)
  }

  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    return await Promise.all(keys.map((key) => this.get(key)))
  }

  async list(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    limitOf(page)
    return await this.#reader.list(prefix, page)
  }

  async keys(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    return await this.#reader.keys(scanRange(prefix, page.after), limitOf(page))
  }

  async scan(prefix: string, page: Page = {}): Promise<Found[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    return await this.#reader.entries(scanRange(prefix, page.after), limitOf(page))
  }

  async transact<T>(change: (transaction: Transaction) => Promise<T>): Promise<T> {
    this.#checkOpen()
    if (this.#versions.low) await this.#reserve()
    return await transact(this.#store, this.#turns, change)
  }

  onCommit(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener)
  }

  trouble(): string | undefined {
    if (this.#closed) return 'the store is closed'
    return this.#feed.trouble() ?? this.#watch.trouble() ?? this.#writer.trouble()
  }

  /** Commits that are under way are answered first. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writer.close()
    await this.#watch.close()
    this.#pool.close()
    this.#cache.clear()
  }

  readonly #store: Store = {
    get: (key) => this.get(key),
    readList: (prefix: string, page: Page) => this.#reader.list(prefix, page),
    readKeys: (range: Range, count: number) => this.#reader.keys(range, count),
    readEntries: (range: Range, count: number) => this.#reader.entries(range, count),
    nextVersion: () => this.#versions.next(),
    moment: () => this.#feed.seen,
    check: (since, reads) => this.#reader.check(reads, since),
    commit: (since, reads, writes, attempt) => this.#commit({ since, reads, writes, attempt }),
  }

  async #commit(request: Request): Promise<string | undefined> {
    this.#checkOpen()
    const { writes } = request
    for (const [index, value] of writes.values.entries()) if (value) this.#own.set(writes.versions[index]!, value)
    try {
      return await this.#writer.commit(request)
    } finally {
      for (const version of writes.versions) this.#own.delete(version)
    }
  }

  /** One reservation for all that need one. */
  async #reserve(): Promise<void> {
    this.#reserving ??= this.#writer.reserve().finally(() => {
      this.#reserving = undefined
    })
    await this.#reserving
  }

  async #read(key: string): Promise<Entry | undefined> {
    this.#checkOpen()
    checkKey(key)
    return await this.#reader.get(key)
  }

  #heard({ keys, versions }: Changes): void {
    for (const [index, key] of keys.entries()) {
      const version = versions[index]!
      const value = this.#own.get(version)
      if (value) void this.#cache.set(key, { version, value })
      else this.#cache.drop(key)
    }
    tell(this.#listeners, { keys })
  }

  #checkOpen(): void {
    if (this.#closed) throw new ApiError('storage_failed', 'the store is closed')
  }
}
