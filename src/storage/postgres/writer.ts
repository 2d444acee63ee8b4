/**
 * What waits to be committed, and the one connection that commits it: all that has come while the last commit was made goes
 * into the next one. Failures that pass are tried again within the limit; what fails for good is tried alone, so that one
 * transaction cannot spoil others.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Request } from './check.ts'
import { Unanswered, type Committer, type Plan } from './committer.ts'
import { failed, isConflict, isPassing, textOf, whyOf } from './failures.ts'
import { Session } from './session.ts'
import type { Settings } from './settings.ts'

/** What may wait for the database. Beyond it writes are refused: memory must not grow with a slow one. */
export const MAX_WAITING_COMMITS = 10_000
export const MAX_WAITING_BYTES = 128 * 1024 * 1024
const MAX_BATCH_REQUESTS = 256
const MAX_BATCH_BYTES = 16 * 1024 * 1024
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 500
/** A commit that takes longer is told as trouble. */
const SLOW_MS = 5000
/** Who loses so often gets the lock before it runs again, and nobody else can come between. */
const LOST_TRIES = 4
/** A try takes well below 1 ms on an idle machine. Longer, and the lock is let go: the other nodes wait for it. */
const MAX_HOLD_MS = 100
/** How often a store that cannot write tries whether it can again. */
const PROBE_MS = 1000

interface Waiting {
  request: Request
  bytes: number
  since: number
  resolve: (conflict: string | undefined) => void
  reject: (error: ApiError) => void
}

export class Writer {
  readonly #settings: Settings
  readonly #committer: Committer
  #waiting: Waiting[] = []
  #bytes = 0
  #session: Session | undefined
  #running: Promise<void> | undefined
  #current: Waiting | undefined
  #closed = false
  #trouble: string | undefined
  #probe: NodeJS.Timeout | undefined
  /** The transaction that the lock is held for, until it comes. */
  #awaited: { ticket: number; come: () => void } | undefined

  constructor(settings: Settings, committer: Committer) {
    this.#settings = settings
    this.#committer = committer
  }

  /** @returns the conflicting key or prefix; undefined: it is committed, and durable */
  async commit(request: Request): Promise<string | undefined> {
    if (this.#closed) throw new ApiError('storage_failed', 'the store is closed')
    const bytes = request.writes.values.reduce((sum, value) => sum + (value?.byteLength ?? 0), 0)
    if (this.#waiting.length >= MAX_WAITING_COMMITS || this.#bytes + bytes > MAX_WAITING_BYTES) {
      throw new ApiError('storage_failed', 'more writes wait for the database than the store takes: try again later')
    }
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
    const waiting = { request, bytes, since: performance.now(), resolve, reject }
    this.#bytes += bytes
    if (this.#awaited?.ticket === request.attempt.ticket) {
      this.#waiting.unshift(waiting)
      this.#awaited.come()
    } else this.#waiting.push(waiting)
    this.#running ??= this.#run()
    return await promise
  }

  /** Resolves when more versions are reserved. */
  async reserve(): Promise<void> {
    const none = { keys: [], versions: [], values: [] }
    const reads = { keys: [], versions: [], lists: [], ranges: [] }
    await this.commit({ since: this.#committer.seen, reads, writes: none, attempt: { ticket: 0, lost: 0 } })
  }

  trouble(): string | undefined {
    if (this.#trouble !== undefined) return this.#trouble
    const waited = this.#current ? performance.now() - this.#current.since : 0
    return waited < SLOW_MS ? undefined : `the database is slow: a commit waits for ${Math.round(waited / 1000)} s`
  }

  /** What waits is committed, or fails within its limit. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#probe)
    await this.#running
    this.#session?.cut()
  }

  async #run(): Promise<void> {
    // What is asked for in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const batch = this.#take()
      this.#current = batch[0]
      await this.#commit(batch)
    }
    this.#current = undefined
    this.#running = undefined
  }

  #take(): Waiting[] {
    let count = 0
    for (let bytes = 0; count < this.#waiting.length && count < MAX_BATCH_REQUESTS; count += 1) {
      bytes += this.#waiting[count]!.bytes
      if (count > 0 && bytes > MAX_BATCH_BYTES) break
    }
    const batch = this.#waiting.splice(0, count)
    for (const { bytes } of batch) this.#bytes -= bytes
    return batch
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const until = batch[0]!.since + this.#settings.commitLimitMs
    let unanswered: Unanswered['plan'] | undefined
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const plan = await this.#tryOnce(batch, unanswered)
        this.#setTrouble(undefined)
        return await this.#answer(batch, plan)
      } catch (error) {
        if (error instanceof Unanswered) unanswered = error.plan
        const cause = error instanceof Unanswered ? error.cause : error
        // Whether a try whose end is not known was committed cannot be found out by trying again alone.
        if (!isPassing(cause)) {
          return unanswered ? refuse(batch, cause, true) : await this.#apart(batch, cause)
        }
        if (!isConflict(cause)) this.#setTrouble(`the database takes no writes: ${whyOf(cause)}`)
        if (performance.now() + pauseMs > until) return refuse(batch, cause, unanswered !== undefined)
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }

  async #tryOnce(batch: readonly Waiting[], unanswered: Unanswered['plan'] | undefined): Promise<Plan> {
    if (!this.#session || this.#session.over) {
      this.#session = await Session.open(this.#settings.place, this.#settings.limitMs, { atOnce: true })
    }
    return await this.#committer.commit(
      this.#session,
      batch.map(({ request }) => request),
      unanswered,
    )
  }

  async #answer(batch: readonly Waiting[], { verdicts }: Plan): Promise<void> {
    const later: Waiting[] = []
    let starving: { waiting: Waiting; at: string } | undefined
    for (const [index, waiting] of batch.entries()) {
      const verdict = verdicts[index]!
      if (verdict.kind === 'later') later.push(waiting)
      else if (verdict.kind === 'fine') waiting.resolve(undefined)
      else if (starving || waiting.request.attempt.lost + 1 < LOST_TRIES) waiting.resolve(verdict.at)
      else starving = { waiting, at: verdict.at }
    }
    for (const { bytes } of later) this.#bytes += bytes
    this.#waiting.unshift(...later)
    if (starving) await this.#holdFor(starving.waiting, starving.at)
  }

  /** Other nodes would win again and again: this one runs again while the lock is held for it. */
  async #holdFor({ request, resolve }: Waiting, at: string): Promise<void> {
    const session = this.#session!
    const { promise, resolve: come } = Promise.withResolvers<void>()
    try {
      await this.#committer.hold(session)
      this.#awaited = { ticket: request.attempt.ticket, come }
    } catch (error) {
      // Then it runs again without: whatever is wrong, its next commit finds out.
      this.#setTrouble(`the database takes no writes: ${whyOf(error)}`)
      session.cut()
      return resolve(at)
    }
    resolve(at)
    const timer = setTimeout(come, MAX_HOLD_MS)
    await promise
    clearTimeout(timer)
    this.#awaited = undefined
    if (this.#waiting.length === 0) await this.#committer.release(session).catch(() => session.cut())
  }

  /** A store that takes no writes is tried until it does: those who look at its health need not write to find out. */
  #setTrouble(text: string | undefined): void {
    this.#trouble = text
    if (text === undefined) {
      clearInterval(this.#probe)
      this.#probe = undefined
    } else if (!this.#closed) {
      this.#probe ??= setInterval(() => {
        // What it meets is told as trouble.
        if (!this.#running) this.reserve().catch(() => undefined)
      }, PROBE_MS)
    }
  }

  async #apart(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (batch.length > 1) {
      for (const each of batch) await this.#commit([each])
      return
    }
    this.#setTrouble(`the database refuses writes: ${whyOf(error)}`)
    batch[0]!.reject(failed(error))
  }
}

function refuse(batch: readonly Waiting[], error: unknown, unknownEnd: boolean): void {
  const text = unknownEnd
    ? 'the database was lost while it committed: whether this was written is not known'
    : `the database takes no writes, nothing was written: ${whyOf(error)}`
  const refusal = new ApiError('storage_failed', text, { reason: textOf(error), cause: error })
  for (const { reject } of batch) reject(refusal)
}
