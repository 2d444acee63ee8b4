/** Steps in the life of a secret's lease, each within a transaction on the storage of leases. */
import { ApiError } from '#sdk/errors.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { dueKey, nameOf, type Pointer, type SecretLease } from './entry.ts'

/** After the last failed attempt a lease is only shown, until an operator does something about it. */
export const MAX_ATTEMPTS = 6
/** Each pause is twice the one before. */
const FIRST_RETRY_MS = 10_000
const MAX_ERROR_LETTERS = 300

/** @param dueAtMs  when the worker looks at it; 0: no more */
export function putDue(transaction: StorageTransaction, leaseId: string, entry: SecretLease, dueAtMs: number): void {
  const name = nameOf(leaseId)
  if (entry.due_at_ms !== 0) transaction.delete(dueKey(entry.due_at_ms, 's', name))
  if (dueAtMs !== 0) transaction.put<Pointer>(dueKey(dueAtMs, 's', name), { lease: leaseId })
  transaction.put<SecretLease>(`id/${leaseId}`, { ...entry, due_at_ms: dueAtMs })
}

export function forget(transaction: StorageTransaction, leaseId: string, entry: SecretLease): void {
  const name = nameOf(leaseId)
  transaction.delete(`id/${leaseId}`)
  if (entry.due_at_ms === 0) transaction.delete(`stuck/${name}`)
  else transaction.delete(dueKey(entry.due_at_ms, 's', name))
  if (entry.owner !== undefined) transaction.delete(`owner/${entry.owner}/${name}`)
}

/** Over, whether or not it can be taken back right now. */
export function endNow(transaction: StorageTransaction, leaseId: string, entry: SecretLease, nowMs: number): void {
  if (entry.due_at_ms === 0) transaction.delete(`stuck/${nameOf(leaseId)}`)
  const { attempts: _, ...rest } = entry
  putDue(transaction, leaseId, { ...rest, expires_at_ms: Math.min(entry.expires_at_ms, nowMs) }, nowMs)
}

/** It could not be taken back: again later, or no more. */
export function postpone(
  transaction: StorageTransaction,
  leaseId: string,
  entry: SecretLease,
  nowMs: number,
  failure: unknown,
): void {
  const attempts = (entry.attempts ?? 0) + 1
  const error = (failure instanceof Error ? failure.message : 'failed').slice(0, MAX_ERROR_LETTERS)
  const stuck = attempts >= MAX_ATTEMPTS
  if (stuck) transaction.put<Pointer>(`stuck/${nameOf(leaseId)}`, { lease: leaseId })
  putDue(transaction, leaseId, { ...entry, attempts, error }, stuck ? 0 : nowMs + FIRST_RETRY_MS * 2 ** (attempts - 1))
}

export function checkRenewable(entry: SecretLease, now: Date): void {
  if (entry.expires_at_ms <= now.getTime()) throw new ApiError('invalid_request', 'lease expired')
  if (!entry.renewable) throw new ApiError('invalid_request', 'lease is not renewable')
}

/** No renewal reaches beyond the end of a batch token. */
export function capped(seconds: number, latestMs: number | undefined, now: Date): number {
  return latestMs === undefined
    ? seconds
    : Math.min(seconds, Math.max(1, Math.floor((latestMs - now.getTime()) / 1000)))
}
