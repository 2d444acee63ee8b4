/**
 * What people look for beside names: the notes of secrets that have any, apart from their values, so that a search opens no
 * value; and the order in which secrets expire. Both follow the secret in the transaction that changes it.
 *
 * Storage: about/<path> → Notes; expires/<ms, 15 digits>/<path> → {}.
 */
import type { StorageTransaction } from '#sdk/storage.ts'
import type { SecretEntry } from './secret.ts'

export type Notes = Pick<SecretEntry, 'owner' | 'expires_ms' | 'custom_metadata'>

export const NOTES = 'about/'
export const EXPIRES = 'expires/'
const DIGITS = 15

/** `expires/000001767225600000/app/db`: in the order of time. */
export function expiryKey(expiresMs: number, secretPath: string): string {
  return `${EXPIRES}${String(expiresMs).padStart(DIGITS, '0')}/${secretPath}`
}

export function parseExpiryKey(key: string): { expiresMs: number; path: string } {
  const start = EXPIRES.length + DIGITS
  return { expiresMs: Number(key.slice(EXPIRES.length, start)), path: key.slice(start + 1) }
}

/** @param after  undefined: the secret is no more */
export function followNotes(
  transaction: StorageTransaction,
  secretPath: string,
  before: SecretEntry | undefined,
  after: SecretEntry | undefined,
): void {
  if (after && hasNotes(after)) {
    const { owner, expires_ms, custom_metadata } = after
    transaction.put<Notes>(NOTES + secretPath, { owner, expires_ms, custom_metadata })
  } else if (before && hasNotes(before)) transaction.delete(NOTES + secretPath)
  const [old, current] = [before?.expires_ms ?? 0, after?.expires_ms ?? 0]
  if (old === current) return
  if (old !== 0) transaction.delete(expiryKey(old, secretPath))
  if (current !== 0) transaction.put(expiryKey(current, secretPath), {})
}

function hasNotes({ owner, expires_ms, custom_metadata }: Notes): boolean {
  return owner !== '' || expires_ms !== 0 || custom_metadata !== null
}
