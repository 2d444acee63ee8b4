/**
 * One thread's view of the store. Reads on a connection of its own, through a cache that is never behind: before each read
 * the shared sequence is compared, and when others have committed, what they changed is dropped from the cache first.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { MessagePort } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { Commit, Driver, Entry, Page, Transaction } from '#sdk/storage.ts'
import type { WriteSet } from '#storage/draft.ts'
import { checkKey, checkPrefix } from '#storage/keys.ts'
import { limitOf, listLevel, scanRange, type Range } from '#storage/levels.ts'
import { tell, type CommitListener } from '#storage/listeners.ts'
import { chunksOf, conflictIn, type ReadSet } from '#storage/reads.ts'
import { transact, type Committer, type Try } from '#storage/transact.ts'
import { Turns } from '#storage/turns.ts'
import { Cache, MAX_CACHED_VALUE_BYTES } from '#storage/cache.ts'
import { Link } from './link.ts'
import type { Shared } from './protocol.ts'
import { Table } from './table.ts'

const MAX_READS_AGAIN = 8

export class Reader implements Driver, Committer {
  readonly #database: DatabaseSync
  readonly #table: Table
  readonly #shared: Shared
  readonly #cache = new Cache()
  readonly #link: Link
  readonly #listeners: CommitListener[] = []
  readonly #turns = new Turns()
  /** Values on their way to the writer, by version: when it publishes them, they are here already. */
  readonly #own = new Map<number, Uint8Array>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  /** A view of the store is open. */
  #looking = false
  #closed = false

  /** @param port  that the writer was, or is about to be, told of */
  static async over(database: DatabaseSync, shared: Shared, port: MessagePort): Promise<Reader> {
    const reader = new Reader(database, shared, port)
    try {
      await reader.#link.attached()
      return reader
    } catch (error) {
      database.close()
      throw error
    }
  }

  private constructor(database: DatabaseSync, shared: Shared, port: MessagePort) {
    this.#database = database
    this.#table = new Table(database)
    this.#begin = database.prepare('BEGIN')
    this.#commit = database.prepare('COMMIT')
    this.#shared = shared
    this.#link = new Link(port, shared, (keys, versions) => this.#published(keys, versions))
  }

  get(key: string): Promise<Entry | undefined> {
    if (this.#link.seen === this.#shared.sequence()) {
      const slot = this.#cache.get(key)
      if (slot !== undefined) return slot.promise
    }
    return this.#read(key)
  }

  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    return await Promise.all(keys.map((key) => this.get(key)))
  }

  async list(prefix: string, page: Page = {}): Promise<string[]> {
    checkPrefix(prefix)
    return this.readList(prefix, page)
  }

  async keys(prefix: string, page: Page = {}): Promise<string[]> {
    checkPrefix(prefix)
    return this.readKeys(scanRange(prefix, page.after), limitOf(page))
  }

  async scan(prefix: string, page: Page = {}): Promise<{ key: string; entry: Entry }[]> {
    checkPrefix(prefix)
    return this.readEntries(scanRange(prefix, page.after), limitOf(page))
  }

  async transact<T>(change: (transaction: Transaction) => Promise<T>): Promise<T> {
    this.#checkOpen()
    return await transact(this, this.#turns, change)
  }

  onCommit(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener)
  }

  trouble(): string | undefined {
    return this.#link.trouble()
  }

  /** Commits that are under way are answered first. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#link.idle()
    this.#link.stop('the store is closed')
    this.#cache.clear()
    this.#lookAway()
    this.#database.close()
  }

  moment(): number {
    return this.#shared.sequence()
  }

  nextVersion(): number {
    return this.#shared.nextVersion()
  }

  check(_since: number, reads: ReadSet): string | undefined {
    // A single read is of one moment whatever it is.
    if (reads.keys.length + reads.lists.length + reads.ranges.length <= 1) return undefined
    return this.#fresh(() => conflictIn(reads, this.#table))
  }

  async commit(since: number, reads: ReadSet, writes: WriteSet, attempt: Try): Promise<string | undefined> {
    this.#checkOpen()
    const own: number[] = []
    for (const [index, value] of writes.values.entries()) {
      if (value === undefined || value.byteLength > MAX_CACHED_VALUE_BYTES) continue
      own.push(writes.versions[index]!)
      this.#own.set(writes.versions[index]!, value)
    }
    try {
      return await this.#link.commit(since, attempt, reads, writes)
    } finally {
      for (const version of own) this.#own.delete(version)
    }
  }

  readList(prefix: string, page: Page): string[] {
    return this.#fresh(() => listLevel(chunksOf(this.#table), prefix, page))
  }

  readKeys(range: Range, count: number): string[] {
    return this.#fresh(() => this.#table.keysIn(range, count))
  }

  readEntries(range: Range, count: number): { key: string; entry: Entry }[] {
    return this.#fresh(() => this.#table.entries(range, count))
  }

  // Not async: a hit after others have committed must cost no more than the look at what they changed.
  #read(key: string): Promise<Entry | undefined> {
    try {
      checkKey(key)
      return this.#fresh(() => this.#cache.get(key)?.promise ?? this.#readThrough(key))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The disk may be a commit ahead of what was published. It is read again when more was published meanwhile: else the cache
   * could learn of the commits in between later, and go back to what they wrote.
   */
  #readThrough(key: string): Promise<Entry | undefined> {
    let entry = this.#table.get(key)
    for (let tries = 0; tries < MAX_READS_AGAIN; tries += 1) {
      if (this.#link.seen === this.#shared.sequence()) return this.#cache.offer(key, entry)
      this.#link.catchUp()
      entry = this.#table.get(key)
    }
    return Promise.resolve(entry)
  }

  /**
   * After hearing of all commits so far, so that listeners never learn of one after its effects were read. Synchronous, and
   * all that it reads is of one moment.
   */
  #fresh<T>(read: () => T): T {
    this.#checkOpen()
    this.#link.catchUp()
    try {
      this.#lookOnce()
      return read()
    } catch (error) {
      if (error instanceof ApiError) throw error
      const detail = error instanceof Error ? error.message : String(error)
      throw new ApiError('storage_failed', 'the store cannot be read: check its disk', { reason: detail, cause: error })
    }
  }

  /**
   * All reads until the next commit is heard of, at most those of one turn of the event loop, look at the same state of the
   * store: taking and giving back SQLite's locks costs several times what a look-up does. Not longer, since the log cannot
   * begin anew under a reader.
   */
  #lookOnce(): void {
    if (this.#looking) return
    this.#begin.run()
    this.#looking = true
    setImmediate(this.#lookAway)
  }

  readonly #lookAway = (): void => {
    if (!this.#looking) return
    this.#looking = false
    // Some errors have ended it already.
    if (this.#database.isTransaction) this.#commit.run()
  }

  #published(keys: string[], versions: number[]): void {
    this.#lookAway()
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
