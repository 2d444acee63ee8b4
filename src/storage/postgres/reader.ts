/**
 * Reads: from memory while that is proven fresh, else from the database. What is asked for in one turn of the event loop, or
 * while all connections are busy, goes in one question. No answer is used before all commits that it may show are heard of.
 */
import type { Entry, Page } from '#sdk/storage.ts'
import type { Cache } from '#storage/cache.ts'
import type { Found } from '#storage/draft.ts'
import { listLevelLater, type Range } from '#storage/levels.ts'
import { chunkOf, type ReadSet } from '#storage/reads.ts'
import { Check } from './check.ts'
import { isPassing } from './failures.ts'
import type { Feed } from './feed.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'
import type { Seen, Table } from './table.ts'

const MAX_KEYS_A_QUESTION = 256
const MAX_TRIES = 3

/** From before the database was asked: the time, and the last commit heard of. */
interface View {
  asked: number
  before: number
}

interface Asked {
  promise: Promise<Entry | undefined>
  resolve: (entry: Entry | undefined) => void
  reject: (error: unknown) => void
}

export class Reader {
  readonly #pool: Pool
  readonly #table: Table
  readonly #feed: Feed
  readonly #cache: Cache
  readonly #limitMs: number
  #asked = new Map<string, Asked>()
  #scheduled = false

  constructor(pool: Pool, table: Table, feed: Feed, cache: Cache, limitMs: number) {
    this.#pool = pool
    this.#table = table
    this.#feed = feed
    this.#cache = cache
    this.#limitMs = limitMs
  }

  /** Past memory. */
  get(key: string): Promise<Entry | undefined> {
    const known = this.#asked.get(key)
    if (known) return known.promise
    const asked = Promise.withResolvers<Entry | undefined>()
    this.#asked.set(key, asked)
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.#askAll())
    }
    return asked.promise
  }

  async list(prefix: string, page: Page): Promise<string[]> {
    return await this.#asking(async (session) => {
      let chunks = 0
      const within = (view: View | undefined) => async (range: Range, count: number) => {
        chunks += 1
        return chunkOf(await this.#heard(session, () => this.#table.keysIn(session, range, count), view), count)
      }
      const names = await listLevelLater(within(undefined), prefix, page)
      if (chunks <= 1) return names
      // Several answers are of one moment only in a transaction that sees but one.
      return await this.#inOneView(session, (view) => listLevelLater(within(view), prefix, page))
    })
  }

  async keys(range: Range, count: number): Promise<string[]> {
    return await this.#asking((session) => this.#heard(session, () => this.#table.keysIn(session, range, count)))
  }

  async entries(range: Range, count: number): Promise<Found[]> {
    return await this.#asking((session) => this.#heard(session, () => this.#table.scan(session, range, count)))
  }

  /**
   * For a change that wrote nothing: whether all that it read is of one moment.
   *
   * @param since  the last commit heard of before the first read
   */
  async check(reads: ReadSet, since: number): Promise<string | undefined> {
    this.#feed.checkAlive()
    if (reads.keys.length + reads.lists.length + reads.ranges.length <= 1) return undefined
    const { recent } = this.#feed
    const unchanged =
      recent.knows(since) &&
      reads.keys.every((key) => recent.changed(key, since) === undefined) &&
      reads.lists.length + reads.ranges.length === 0
    if (unchanged) return undefined
    return await this.#asking((session) =>
      this.#inOneView(session, async () => {
        const nothing = { keys: [], versions: [], values: [] }
        const request = { since, reads, writes: nothing, attempt: { ticket: 0, lost: 0 } }
        // Which commits this view sees is not known, so all is asked of it and nothing taken from what was heard.
        const check = new Check(session, this.#table, undefined, new Map())
        await check.ask([request])
        const verdict = await check.verdict(request)
        return verdict.kind === 'conflict' ? verdict.at : undefined
      }),
    )
  }

  #askAll(): void {
    this.#scheduled = false
    while (this.#asked.size > 0 && this.#pool.free) this.#askSome()
    // No connection is free: those that come meanwhile join the question that waits for one.
    if (this.#asked.size > 0) this.#askSome()
  }

  #askSome(): void {
    const asked = this.#asked
    this.#asked = new Map([...asked].slice(MAX_KEYS_A_QUESTION))
    const some = new Map([...asked].slice(0, MAX_KEYS_A_QUESTION))
    this.#asking((session) => this.#read(session, some)).catch((error: unknown) => {
      for (const { reject } of some.values()) reject(error)
    })
  }

  async #read(session: Session, some: ReadonlyMap<string, Asked>): Promise<void> {
    let sequence = 0
    const found = await this.#heard(session, async () => {
      const answer = await this.#table.entries(session, [...some.keys()])
      sequence = answer.sequence
      return answer
    })
    for (const [key, { resolve }] of some) {
      const entry = found.get(key)
      if (this.#holds(key, sequence)) void this.#cache.offer(key, entry)
      resolve(entry)
    }
  }

  /** Nothing that was heard of since changed it: later commits may have been heard of before this answer came. */
  #holds(key: string, sequence: number): boolean {
    const { recent } = this.#feed
    return recent.knows(sequence) && recent.changed(key, sequence) === undefined
  }

  /** Again on another connection when this one was lost, as all are when a database is started anew. */
  async #asking<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const until = performance.now() + this.#limitMs
    for (let tries = 1; ; tries += 1) {
      let lost = false
      try {
        return await this.#pool.use(async (session) => {
          try {
            return await work(session)
          } finally {
            lost = session.over
          }
        })
      } catch (error) {
        if (!lost || tries === MAX_TRIES || !isPassing(error) || performance.now() > until) throw error
      }
    }
  }

  async #heard<T>(session: Session, ask: () => Promise<Seen<T>>, view: View = this.#now()): Promise<T> {
    const { sequence, value } = await ask()
    await this.#feed.follow(session, { sequence }, view.before)
    this.#feed.prove(view.asked)
    return value
  }

  #now(): View {
    return { asked: performance.now(), before: this.#feed.seen }
  }

  async #inOneView<T>(session: Session, work: (view: View) => Promise<T>): Promise<T> {
    // However long it stays open, what it shows is not newer than this.
    const view = this.#now()
    await session.simple('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', this.#limitMs)
    try {
      return await work(view)
    } finally {
      if (!session.over) await session.simple('COMMIT', this.#limitMs).catch(() => session.cut())
    }
  }
}
