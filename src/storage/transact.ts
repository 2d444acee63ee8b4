/**
 * Optimistic transactions over a store that can check what was read and commit what was written in one step: run the
 * change on a draft, commit if all it read still stands, else run it again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '#sdk/errors.ts'
import type { Transaction } from '#sdk/storage.ts'
import { Draft, type Base, type WriteSet } from '#storage/draft.ts'
import type { ReadSet } from '#storage/reads.ts'
import type { Turns } from '#storage/turns.ts'

export const MAX_TRIES = 20
const TRIES_WITHOUT_PAUSE = 5
const MAX_PAUSE_MS = 32

export interface Committer extends Base {
  /** A number that changes with every commit: that it is unchanged proves that nothing else did. */
  moment(): number
  /** The key or prefix that is not as it was read, in one view of the store; undefined if all is. */
  check(reads: ReadSet): string | undefined
  /**
   * Check, and write if all is as it was read, in one step.
   *
   * @param since  moment() from before the first read
   * @returns when the writes are durable: undefined, or the conflicting key or prefix, and nothing was written
   */
  commit(since: number, reads: ReadSet, writes: WriteSet): Promise<string | undefined>
}

type Outcome<T> = { done: true; result: T } | { done: false; conflict: string }

export async function transact<T>(
  store: Committer,
  turns: Turns,
  change: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  let outcome = await attempt(store, change)
  for (let tries = 1; !outcome.done; tries += 1) {
    if (tries === MAX_TRIES) {
      throw new ApiError('storage_failed', 'too many changes of the same entry at once: try again', {
        reason: `${MAX_TRIES} tries met a conflict, the last at ${outcome.conflict}`,
      })
    }
    if (tries >= TRIES_WITHOUT_PAUSE)
      await sleep(Math.random() * Math.min(MAX_PAUSE_MS, 2 ** (tries - TRIES_WITHOUT_PAUSE)))
    const endTurn = await turns.take(outcome.conflict)
    try {
      outcome = await attempt(store, change)
    } finally {
      endTurn()
    }
  }
  return outcome.result
}

async function attempt<T>(store: Committer, change: (transaction: Transaction) => Promise<T>): Promise<Outcome<T>> {
  const since = store.moment()
  const draft = new Draft(store)
  let result: T
  try {
    result = await change(draft)
  } catch (error) {
    // It may have thrown over two reads of different moments, and must not when both are of one.
    const conflict = store.check(draft.reads())
    if (conflict !== undefined) return { done: false, conflict }
    throw error
  } finally {
    draft.end()
  }
  const writes = draft.writes()
  const conflict = writes ? await store.commit(since, draft.reads(), writes) : store.check(draft.reads())
  return conflict === undefined ? { done: true, result } : { done: false, conflict }
}
