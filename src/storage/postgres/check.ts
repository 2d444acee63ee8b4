/**
 * Whether what transactions read still stands, for several that are to be committed together: each against the store as the
 * earlier ones leave it. While the lock of the writers is held, what was heard of is all there is, so most of this needs no
 * question to the database.
 */
import type { WriteSet } from '#storage/draft.ts'
import { endOf } from '#storage/keys.ts'
import { listLevelLater, type Range } from '#storage/levels.ts'
import { chunkOf, joinNames, joinVersions, type ReadSet } from '#storage/reads.ts'
import type { Try } from '#storage/transact.ts'
import { isIn, type Recent } from './recent.ts'
import type { Session } from './session.ts'
import type { Table } from './table.ts'

const MAX_KEYS_ASKED = 10_000

export interface Request {
  /** The last commit heard of before the first read. */
  since: number
  reads: ReadSet
  writes: WriteSet
  attempt: Try
}

/** `later`: it lists where another of the same commit writes; it goes into the next one. */
export type Verdict = { kind: 'fine' } | { kind: 'later' } | { kind: 'conflict'; at: string; late: boolean }

export type Writes = Map<string, { version: number; value: Uint8Array | undefined }>

const FINE: Verdict = { kind: 'fine' }

export class Check {
  readonly #session: Session
  readonly #table: Table
  readonly #recent: Recent | undefined
  readonly #writes: Writes
  /** Asked of the database; undefined: what was heard of must do. */
  #stored: Map<string, number> | undefined

  /**
   * @param recent  undefined: nothing that was heard of counts, only what the database says
   * @param writes  of those that were found fine; the caller adds to it
   */
  constructor(session: Session, table: Table, recent: Recent | undefined, writes: Writes) {
    this.#session = session
    this.#table = table
    this.#recent = recent
    this.#writes = writes
  }

  /** Ask for the versions of all keys that will be looked at. */
  async ask(requests: readonly Request[]): Promise<void> {
    const keys = new Set(requests.flatMap(({ reads, writes }) => [...reads.keys, ...writes.keys]))
    const all = [...keys]
    const stored = new Map<string, number>()
    for (let at = 0; at < all.length; at += MAX_KEYS_ASKED) {
      const page = all.slice(at, at + MAX_KEYS_ASKED)
      for (const [key, version] of await this.#table.versions(this.#session, page)) stored.set(key, version)
    }
    this.#stored = stored
  }

  async verdict({ since, reads, writes }: Request): Promise<Verdict> {
    const changed = reads.keys.find(
      (key, index) => this.#now(key, since, reads.versions[index]!) !== reads.versions[index],
    )
    if (changed !== undefined) return { kind: 'conflict', at: changed, late: false }
    const ranges = [...reads.lists.map(({ prefix }) => under(prefix)), ...reads.ranges.map(({ range }) => range)]
    if (ranges.some((range) => this.#writesIn(range))) return { kind: 'later' }
    const at = await this.#changedRange(reads, since)
    if (at !== undefined) return { kind: 'conflict', at, late: false }
    const read = new Map(reads.keys.map((key, index) => [key, reads.versions[index]!]))
    const late = writes.keys.find(
      (key, index) => writes.versions[index]! > 0 && this.#now(key, 0, read.get(key) ?? 0) > writes.versions[index]!,
    )
    return late === undefined ? FINE : { kind: 'conflict', at: late, late: true }
  }

  /** The version of a key; `otherwise` if it was not changed since. */
  #now(key: string, since: number, otherwise: number): number {
    const written = this.#writes.get(key)
    if (written) return written.version
    if (this.#stored) return this.#stored.get(key) ?? 0
    return this.#recent?.changed(key, since) ?? otherwise
  }

  #writesIn(range: Range): boolean {
    for (const key of this.#writes.keys()) if (isIn(key, range)) return true
    return false
  }

  async #changedRange({ lists, ranges }: ReadSet, since: number): Promise<string | undefined> {
    const holds = (range: Range) => this.#recent?.knows(since) === true && !this.#recent.changedIn(range, since)
    for (const { prefix, page, seen } of lists) {
      if (holds(under(prefix))) continue
      const read = async (range: Range, count: number) =>
        chunkOf((await this.#table.keysIn(this.#session, range, count)).value, count)
      if (joinNames(await listLevelLater(read, prefix, page)) !== seen) return prefix
    }
    for (const { range, count, versions, seen } of ranges) {
      if (holds(range)) continue
      const now = versions
        ? joinVersions(await this.#table.versionsIn(this.#session, range, count))
        : joinNames((await this.#table.keysIn(this.#session, range, count)).value)
      if (now !== seen) return range.from
    }
    return undefined
  }
}

function under(prefix: string): Range {
  return { from: prefix, to: endOf(prefix) }
}
