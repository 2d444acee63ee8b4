/** Storage in memory, for development and tests. Lost at exit. */
import { ApiError } from '#sdk/errors.ts'
import type { Commit, Driver, Entry, Page, Transaction } from '#sdk/storage.ts'
import type { WriteSet } from '#storage/draft.ts'
import { checkKey, checkPrefix } from '#storage/keys.ts'
import { limitOf, listLevel, scanRange, type Range } from '#storage/levels.ts'
import { tell, type CommitListener } from '#storage/listeners.ts'
import {
  chunksOf,
  conflictIn,
  lateWrite,
  MAX_SCAN_BYTES,
  scanTooLarge,
  type ReadSet,
  type Source,
  type Versioned,
} from '#storage/reads.ts'
import { transact, type Committer } from '#storage/transact.ts'
import { Turns } from '#storage/turns.ts'
import { OrderedMap } from './ordered.ts'

export async function open(): Promise<Driver> {
  return new MemoryDriver()
}

/** Nothing is awaited between check and write, so the event loop itself is the lock. */
class MemoryDriver implements Driver, Committer, Source {
  readonly #entries = new OrderedMap<Entry>()
  readonly #listeners: CommitListener[] = []
  readonly #turns = new Turns()
  #version = 0
  #moment = 0
  #closed = false

  async get(key: string): Promise<Entry | undefined> {
    this.#checkOpen()
    checkKey(key)
    return this.#entries.get(key)
  }

  async getMany(keys: readonly string[]): Promise<(Entry | undefined)[]> {
    this.#checkOpen()
    keys.forEach(checkKey)
    return keys.map((key) => this.#entries.get(key))
  }

  async list(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    return this.readList(prefix, page)
  }

  async keys(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    return this.keysIn(scanRange(prefix, page.after), limitOf(page))
  }

  async scan(prefix: string, page: Page = {}): Promise<{ key: string; entry: Entry }[]> {
    this.#checkOpen()
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
    return this.#closed ? 'the store is closed' : undefined
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  moment(): number {
    return this.#moment
  }

  nextVersion(): number {
    this.#version += 1
    return this.#version
  }

  check(_since: number, reads: ReadSet): string | undefined {
    return conflictIn(reads, this)
  }

  async commit(since: number, reads: ReadSet, writes: WriteSet): Promise<string | undefined> {
    this.#checkOpen()
    if (since !== this.#moment) {
      const conflict = conflictIn(reads, this) ?? lateWrite(reads, writes.keys, writes.versions, this)
      if (conflict !== undefined) return conflict
    }
    for (const [index, key] of writes.keys.entries()) {
      const value = writes.values[index]
      if (value) this.#entries.set(key, { version: writes.versions[index]!, value })
      else this.#entries.delete(key)
    }
    this.#moment += 1
    tell(this.#listeners, { keys: writes.keys })
    return undefined
  }

  readList(prefix: string, page: Page): string[] {
    return listLevel(chunksOf(this), prefix, page)
  }

  readKeys(range: Range, count: number): string[] {
    return this.keysIn(range, count)
  }

  readEntries(range: Range, count: number): { key: string; entry: Entry }[] {
    let bytes = 0
    return this.#entries.keys(range, count).map((key) => {
      const entry = this.#entries.get(key)!
      bytes += entry.value.byteLength
      if (bytes > MAX_SCAN_BYTES) throw scanTooLarge()
      return { key, entry }
    })
  }

  versionOf(key: string): number {
    return this.#entries.get(key)?.version ?? 0
  }

  keysIn(range: Range, count: number): string[] {
    return this.#entries.keys(range, count)
  }

  versionsIn(range: Range, count: number): Versioned[] {
    return this.#entries.keys(range, count).map((key) => ({ key, version: this.versionOf(key) }))
  }

  #checkOpen(): void {
    if (this.#closed) throw new ApiError('storage_failed', 'the store is closed')
  }
}
