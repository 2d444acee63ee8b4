/**
 * A transaction while it is being made: reads are remembered, writes are kept back, and reads see those writes. Nothing
 * here touches the store; `transact` commits what the draft holds.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Entry, Page, Transaction } from '#sdk/storage.ts'
import { checkKey, checkPrefix, compareKeys, seek } from '#storage/keys.ts'
import { limitOf, listLevelLater, scanRange, type Chunk, type Range } from '#storage/levels.ts'
import { chunkOf, joinNames, joinVersions, type ReadSet } from '#storage/reads.ts'

export const MAX_VALUE_BYTES = 4 * 1024 * 1024
export const MAX_TRANSACTION_WRITES = 10_000
export const MAX_TRANSACTION_BYTES = 32 * 1024 * 1024
export const MAX_TRANSACTION_READS = 100_000

export interface Found {
  key: string
  entry: Entry
}

/** The store as a draft reads it. What it reads need not be of one moment: the commit checks that. */
export interface Base {
  get(key: string): Promise<Entry | undefined>
  readList(prefix: string, page: Page): string[] | Promise<string[]>
  readKeys(range: Range, count: number): string[] | Promise<string[]>
  readEntries(range: Range, count: number): Found[] | Promise<Found[]>
  nextVersion(): number
}

/** Kept apart, not as objects, since they go to another thread. Version 0 deletes. */
export interface WriteSet {
  keys: string[]
  versions: number[]
  values: (Uint8Array | undefined)[]
}

export class Draft implements Transaction {
  readonly #base: Base
  readonly #seen = new Map<string, Entry | undefined>()
  readonly #lists: ReadSet['lists'] = []
  readonly #ranges: ReadSet['ranges'] = []
  readonly #writes = new Map<string, Entry | undefined>()
  #writeBytes = 0
  #open = true

  constructor(base: Base) {
    this.#base = base
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#checkOpen()
    if (this.#writes.has(key)) return this.#writes.get(key)
    // A key read twice reads the same, whatever happened meanwhile; the commit notices.
    if (this.#seen.has(key)) return this.#seen.get(key)
    this.#countRead()
    const entry = await this.#base.get(key)
    // Two reads of one key may have been under way at once: the first to end is what both saw.
    if (this.#seen.has(key)) return this.#seen.get(key)
    this.#seen.set(key, entry)
    return entry
  }

  async list(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    this.#countRead()
    const own = this.#ownKeys()
    if (own.some((key) => key.startsWith(prefix))) {
      return await listLevelLater((range, count) => this.#mergedChunk(own, range, count), prefix, page)
    }
    const names = await this.#base.readList(prefix, page)
    this.#lists.push({ prefix, page: { after: page.after, limit: page.limit }, seen: joinNames(names) })
    return names
  }

  async keys(prefix: string, page: Page = {}): Promise<string[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    this.#countRead()
    const limit = limitOf(page)
    const range = scanRange(prefix, page.after)
    const own = within(this.#ownKeys(), range)
    const count = this.#countUnder(own, limit)
    const stored = await this.#base.readKeys(range, count)
    this.#ranges.push({ range, count, versions: false, seen: joinNames(stored) })
    return own.length === 0 ? stored : this.#laidOver(stored, own).slice(0, limit)
  }

  async scan(prefix: string, page: Page = {}): Promise<{ key: string; entry: Entry }[]> {
    this.#checkOpen()
    checkPrefix(prefix)
    this.#countRead()
    const limit = limitOf(page)
    const range = scanRange(prefix, page.after)
    const own = within(this.#ownKeys(), range)
    const count = this.#countUnder(own, limit)
    const stored = await this.#base.readEntries(range, count)
    const seen = joinVersions(stored.map(({ key, entry }) => ({ key, version: entry.version })))
    this.#ranges.push({ range, count, versions: true, seen })
    if (own.length === 0) return stored
    const kept = stored.filter(({ key }) => !this.#writes.has(key))
    for (const key of own) {
      const entry = this.#writes.get(key)
      if (entry) kept.push({ key, entry })
    }
    return kept.toSorted((a, b) => compareKeys(a.key, b.key)).slice(0, limit)
  }

  put(key: string, encode: (version: number) => Uint8Array): void {
    this.#checkOpen()
    checkKey(key)
    const version = this.#base.nextVersion()
    const value = encode(version)
    if (value.byteLength > MAX_VALUE_BYTES) {
      throw new ApiError('too_large', `a stored value has at most ${MAX_VALUE_BYTES} bytes`)
    }
    // A view of a larger buffer would keep all of that alive in the cache.
    this.#write(key, { version, value: value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value) })
  }

  delete(key: string): void {
    this.#checkOpen()
    checkKey(key)
    this.#write(key, undefined)
  }

  /** No more reads and writes: what the draft holds is about to be committed. */
  end(): void {
    this.#open = false
  }

  reads(): ReadSet {
    const versions = Array.from(this.#seen.values(), (entry) => entry?.version ?? 0)
    return { keys: [...this.#seen.keys()], versions, lists: this.#lists, ranges: this.#ranges }
  }

  /** Undefined if nothing was written. */
  writes(): WriteSet | undefined {
    if (this.#writes.size === 0) return undefined
    const entries = [...this.#writes.values()]
    return {
      keys: [...this.#writes.keys()],
      versions: entries.map((entry) => entry?.version ?? 0),
      values: entries.map((entry) => entry?.value),
    }
  }

  #write(key: string, entry: Entry | undefined): void {
    const before = this.#writes.get(key)?.value.byteLength ?? 0
    this.#writeBytes += (entry?.value.byteLength ?? 0) - before
    this.#writes.set(key, entry)
    if (this.#writes.size > MAX_TRANSACTION_WRITES || this.#writeBytes > MAX_TRANSACTION_BYTES) {
      throw new ApiError(
        'too_large',
        `one transaction writes at most ${MAX_TRANSACTION_WRITES} entries of ${MAX_TRANSACTION_BYTES} bytes together`,
      )
    }
  }

  #checkOpen(): void {
    if (!this.#open) throw new ApiError('internal', 'a transaction was used after its end')
  }

  #countRead(): void {
    if (this.#seen.size + this.#lists.length + this.#ranges.length >= MAX_TRANSACTION_READS) {
      throw new ApiError('too_large', `one transaction reads at most ${MAX_TRANSACTION_READS} times`)
    }
  }

  #ownKeys(): string[] {
    return this.#writes.size === 0 ? [] : [...this.#writes.keys()].toSorted(compareKeys)
  }

  /** How many stored entries a page of `limit` needs: each own delete may hide one. */
  #countUnder(own: readonly string[], limit: number): number {
    return limit + own.filter((key) => this.#writes.get(key) === undefined).length
  }

  #laidOver(stored: readonly string[], own: readonly string[]): string[] {
    const kept = stored.filter((key) => !this.#writes.has(key))
    return [...kept, ...own.filter((key) => this.#writes.get(key))].toSorted(compareKeys)
  }

  /** Stored keys with the own writes laid over them. `own` are the own keys, sorted. */
  async #mergedChunk(own: readonly string[], range: Range, count: number): Promise<Chunk> {
    const stored = await this.#base.readKeys(range, count)
    this.#ranges.push({ range, count, versions: false, seen: joinNames(stored) })
    const { rest } = chunkOf(stored, count)
    const mine = within(own, { from: range.from, to: rest ?? range.to })
    return { keys: this.#laidOver(stored, mine), rest }
  }
}

function within(keys: readonly string[], { from, to }: Range): readonly string[] {
  return keys.slice(seek(keys, from), to === undefined ? keys.length : Math.max(seek(keys, from), seek(keys, to)))
}
