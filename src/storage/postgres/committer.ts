/**
 * One commit: many transactions in one of the database's. The lock on the head is taken first, so that commits of all nodes
 * come one after the other and each sees all before it; then what was read is checked, and what passed is written together
 * with the commit's line in the feed.
 */
import { randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import { Check, type Request, type Verdict, type Writes } from './check.ts'
import { encodeChanges, type Commit, type Feed } from './feed.ts'
import { codeOf, NOT_NULL } from './failures.ts'
import { checkOldest, type Names } from './schema.ts'
import type { Session, Statement } from './session.ts'
import { bytesOf, type Table } from './table.ts'
import { BLOCK, type Versions } from './versions.ts'

/** How many commits the feed keeps: nodes that were away for longer start their memory anew. */
const KEPT_COMMITS = 20_000
const TRIM_EVERY = 512
const MARK_BYTES = 8

export interface Plan {
  /** In the order of the requests. */
  verdicts: Verdict[]
  /** Undefined if nothing is written. */
  commit: Commit | undefined
  /** The last version of a block that is reserved along with it. */
  block: number | undefined
}

/** With what it writes. */
interface Planned extends Plan {
  writes: Writes
}

/** The connection was lost between COMMIT and its answer. */
export class Unanswered extends Error {
  readonly plan: Plan & { commit: Commit }

  constructor(plan: Plan & { commit: Commit }, cause: unknown) {
    super('the database did not say whether it committed', { cause })
    this.plan = plan
  }
}

/** A stored entry is newer than the one to be written, and it was not known here: look at all of them. */
class LateWrite extends Error {}

interface Locked {
  sequence: number
  mark: string
  version: number
}

export class Committer {
  readonly #table: Table
  readonly #feed: Feed
  readonly #versions: Versions
  readonly #limitMs: number
  readonly #lock: string
  readonly #put: Statement
  readonly #delete: Statement
  readonly #tell: Statement
  readonly #told: Statement
  readonly #trim: Statement
  readonly #names: Names
  readonly #node = randomBytes(MARK_BYTES).toString('hex')
  /** The lock that is held between two calls, by the connection that has it. */
  #held: { session: Session; head: Locked } | undefined
  /** The database can notify. */
  notify = false

  constructor(names: Names, table: Table, feed: Feed, versions: Versions, limitMs: number) {
    this.#table = table
    this.#feed = feed
    this.#versions = versions
    this.#limitMs = limitMs
    this.#names = names
    const { entry, head, feed: lines } = names
    this.#lock =
      'BEGIN ISOLATION LEVEL READ COMMITTED; ' +
      `SELECT sequence, mark, version, schema_version, oldest_schema FROM ${head} WHERE id = 1 FOR UPDATE`
    this.#put = {
      name: 'put',
      text:
        `INSERT INTO ${entry} AS e (key, version, value) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) ` +
        // A stored entry that is newer ends the transaction: a version is not null.
        'ON CONFLICT (key) DO UPDATE SET value = excluded.value, ' +
        'version = CASE WHEN e.version < excluded.version THEN excluded.version END',
    }
    this.#delete = { name: 'delete', text: `DELETE FROM ${entry} WHERE key = ANY($1)` }
    this.#tell = { name: 'tell', text: `INSERT INTO ${lines} (sequence, mark, changes) VALUES ($1, $2, $3)` }
    this.#told = { name: 'told', text: `SELECT mark FROM ${lines} WHERE sequence = $1` }
    this.#trim = { name: 'trim', text: `DELETE FROM ${lines} WHERE sequence <= $1` }
  }

  get seen(): number {
    return this.#feed.seen
  }

  /** What this node's own notices say, so that it need not wake itself. */
  get node(): string {
    return this.#node
  }

  /**
   * @param unanswered  an earlier try of the same requests whose end is not known
   * @throws Unanswered, or what the database said; then nothing was written
   */
  async commit(session: Session, requests: readonly Request[], unanswered?: Plan & { commit: Commit }): Promise<Plan> {
    try {
      return await this.#try(session, requests, unanswered, false)
    } catch (error) {
      if (!(error instanceof LateWrite)) throw error
      return await this.#try(session, requests, undefined, true)
    }
  }

  async #try(
    session: Session,
    requests: readonly Request[],
    unanswered: (Plan & { commit: Commit }) | undefined,
    careful: boolean,
  ): Promise<Plan> {
    let plan: Planned
    try {
      const before = this.#feed.seen
      const head = this.#takeHeld(session) ?? (await this.#begin(session))
      await this.#feed.follow(session, head, before)
      // Whoever has the lock knows that the earlier try has ended, one way or the other.
      if (unanswered && (await this.#wasCommitted(session, unanswered.commit))) {
        await session.simple('ROLLBACK', this.#limitMs)
        return unanswered
      }
      plan = await this.#plan(session, head, requests, careful)
    } catch (error) {
      if (!session.over) await session.simple('ROLLBACK', this.#limitMs).catch(() => session.cut())
      throw error
    }
    const { writes, ...rest } = plan
    await this.#end(session, rest, writes)
    return rest
  }

  /** Take the lock, and keep it for the next commit on this connection: what is read from now on stands there. */
  async hold(session: Session): Promise<void> {
    const before = this.#feed.seen
    const head = await this.#begin(session)
    await this.#feed.follow(session, head, before)
    this.#held = { session, head }
  }

  async release(session: Session): Promise<void> {
    if (this.#held?.session !== session) return
    this.#held = undefined
    await session.simple('ROLLBACK', this.#limitMs)
  }

  #takeHeld(session: Session): Locked | undefined {
    const held = this.#held
    this.#held = undefined
    return held?.session === session ? held.head : undefined
  }

  async #begin(session: Session): Promise<Locked> {
    const [row] = (await session.simple(this.#lock, this.#limitMs)).rows
    if (!row) throw new ApiError('storage_failed', `the table ${this.#names.head} is empty: restore it from a copy`)
    const [sequence, mark, version, schema, oldest] = row
    checkOldest(Number(oldest), Number(schema))
    return { sequence: sequence as number, mark: mark as string, version: version as number }
  }

  async #wasCommitted(session: Session, { sequence, mark }: Commit): Promise<boolean> {
    const [row] = (await session.run(this.#told, [sequence], this.#limitMs)).rows
    return row?.[0] === mark
  }

  async #plan(session: Session, head: Locked, requests: readonly Request[], careful: boolean): Promise<Planned> {
    const writes: Writes = new Map()
    const check = new Check(session, this.#table, this.#feed.recent, writes)
    if (careful || requests.some(({ since }) => !this.#feed.recent.knows(since))) await check.ask(requests)
    const verdicts: Verdict[] = []
    for (const request of requests) {
      const verdict = await check.verdict(request)
      verdicts.push(verdict)
      if (verdict.kind !== 'fine') continue
      const { keys, versions, values } = request.writes
      for (const [index, key] of keys.entries()) writes.set(key, { version: versions[index]!, value: values[index] })
    }
    const isLate = verdicts.some((verdict) => verdict.kind === 'conflict' && verdict.late)
    // Who wants nothing written wants versions.
    const wanted = this.#versions.low || isLate || requests.some(({ writes: { keys } }) => keys.length === 0)
    const block = wanted ? head.version + BLOCK : undefined
    const commit = writes.size === 0 ? undefined : commitOf(head.sequence + 1, writes)
    return { verdicts, commit, block, writes }
  }

  /** Questions that are sent at once, in this order: the database stops at the first that fails. */
  #store(session: Session, writes: Writes, { sequence, mark, keys, versions }: Commit): Promise<unknown>[] {
    const run = (statement: Statement, values: unknown[]) => session.run(statement, values, this.#limitMs)
    const puts = [...writes].filter(([, { value }]) => value !== undefined)
    const deletes = [...writes].filter(([, { value }]) => value === undefined)
    const columns = [
      puts.map(([key]) => bytesOf(key)),
      puts.map(([, { version }]) => version),
      puts.map(([, { value }]) => Buffer.from(value!.buffer, value!.byteOffset, value!.byteLength)),
    ]
    return [
      ...(puts.length > 0 ? [run(this.#put, columns)] : []),
      ...(deletes.length > 0 ? [run(this.#delete, [deletes.map(([key]) => bytesOf(key))])] : []),
      run(this.#tell, [sequence, mark, encodeChanges(keys, versions)]),
      ...(sequence % TRIM_EVERY === 0 ? [run(this.#trim, [sequence - KEPT_COMMITS])] : []),
    ]
  }

  async #end(session: Session, plan: Plan, writes: Writes): Promise<void> {
    const { commit, block } = plan
    if (!commit && block === undefined) {
      await session.simple('ROLLBACK', this.#limitMs)
      return
    }
    const settings = [
      ...(commit ? [`sequence = ${commit.sequence}`, `mark = '${commit.mark}'`] : []),
      ...(block === undefined ? [] : [`version = ${block}`]),
    ]
    const notice = commit && this.notify ? `NOTIFY ${this.#names.channel}, '${this.#node}'; ` : ''
    const text = `UPDATE ${this.#names.head} SET ${settings.join(', ')} WHERE id = 1; ${notice}COMMIT`
    const asked = [...(commit ? this.#store(session, writes, commit) : []), session.simple(text, this.#limitMs)]
    const failure = (await Promise.allSettled(asked)).find((answer) => answer.status === 'rejected')
    if (failure) {
      const error: unknown = failure.reason
      if (session.over && commit) throw new Unanswered({ ...plan, commit }, error)
      if (!session.over) await session.simple('ROLLBACK', this.#limitMs).catch(() => session.cut())
      throw codeOf(error) === NOT_NULL ? new LateWrite() : error
    }
    if (commit) this.#feed.apply(commit)
    if (block !== undefined) this.#versions.take(block)
  }
}

function commitOf(sequence: number, writes: Writes): Commit {
  const mark = randomBytes(MARK_BYTES).toString('hex')
  return { sequence, mark, keys: [...writes.keys()], versions: Array.from(writes.values(), ({ version }) => version) }
}
