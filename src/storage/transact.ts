/**
 * Optimistic transactions over a store that can check what was read and commit what was written in one step: run the
 * change on a draft, commit if all it read still stands, else run it again.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Transaction } from '#sdk/storage.ts'
import { Draft, type Base, type WriteSet } from '#storage/draft.ts'
import type { ReadSet } from '#storage/reads.ts'
import type { Turns } from '#storage/turns.ts'

export const MAX_TRIES = 20

/** Which try of which transaction a commit is, for stores where other threads compete for the same entries. */
export interface Try {
  /** Unique to the transaction in this thread. */
  ticket: number
  /** How many tries met a conflict before. */
  lost: number
}

export interface Committer extends Base {
  /** A number that changes with every commit: that it is unchanged proves that nothing else did. */
  moment(): number
  /**
   * The key or prefix that is not as it was read, in one view of the store; undefined if all is.
   *
   * @param since  moment() from before the first read
   */
  check(since: number, reads: ReadSet): string | undefined | Promise<string | undefined>
  /**
   * Check, and write if all is as it was read, in one step.
   *
   * @param since  moment() from before the first read
   * @returns when the writes are durable: undefined, or the conflicting key or prefix, and nothing was written
   */
  commit(since: number, reads: ReadSet, writes: WriteSet, attempt: Try): Promise<string | undefined>
}

type Outcome<T> = { done: true; result: T } | { done: false; conflict: string }

let lastTicket = 0

export async function transact<T>(
  store: Committer,
  turns: Turns,
  change: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  let conflict = ''
  lastTicket += 1
  const ticket = lastTicket
  let turn: { key: string; end: () => void } | undefined
  try {
    for (let lost = 0; lost < MAX_TRIES; lost += 1) {
      const outcome = await runOnce(store, { ticket, lost }, change)
      if (outcome.done) return outcome.result
      conflict = outcome.conflict
      // Who loses at the same key again keeps the turn: the end of the queue would be the wrong place.
      if (turn?.key === conflict) continue
      turn?.end()
      turn = { key: conflict, end: await turns.take(conflict) }
    }
  } finally {
    turn?.end()
  }
  throw new ApiError('storage_failed', 'too many changes of the same entry at once: try again', {
    reason: `${MAX_TRIES} tries met a conflict, the last at ${conflict}`,
  })
}

async function runOnce<T>(
  store: Committer,
  attempt: Try,
  change: (transaction: Transaction) => Promise<T>,
): Promise<Outcome<T>> {
  const since = store.moment()
  const draft = new Draft(store)
  let result: T
  try {
    result = await change(draft)
  } catch (error) {
    // It may have thrown over two reads of different moments, and must not when both are of one.
    const conflict = await store.check(since, draft.reads())
    if (conflict !== undefined) return { done: false, conflict }
    throw error
  } finally {
    draft.end()
  }
  const writes = draft.writes()
  const conflict = writes
    ? await store.commit(since, draft.reads(), writes, attempt)
    : await store.check(since, draft.reads())
  return conflict === undefined ? { done: true, result } : { done: false, conflict }
}
