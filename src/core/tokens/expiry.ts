/** Where tokens tell when they end. Leases, which keep that order, stand above tokens: they hand in what is called here. */
import { trimLastSlashes } from '#lib/slashes.ts'
import { ApiError } from '#sdk/errors.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { isTokenName } from './ids.ts'
import { ROOT_PATH, type TokenEntry } from './token.ts'

export interface Expiring {
  tokenId: string
  dueAtMs: number
}

export interface ExpiryIndex {
  /**
   * @param before  undefined: it was not there or had no end
   * @param after  undefined: it is gone or has no end
   */
  change(transaction: StorageTransaction, before: Expiring | undefined, after: Expiring | undefined): void
}

/**
 * Told of every token with a lease that comes or goes, within the transaction; `limited`: it must not come when there are
 * too many, and what is thrown then passes through.
 */
export type LeaseCounter = (
  transaction: StorageTransaction,
  id: string,
  entry: Readonly<TokenEntry>,
  step: 1 | -1,
  limited: boolean,
) => Promise<void>

export class Expiry {
  index: ExpiryIndex | undefined
  counter: LeaseCounter | undefined

  async count(...[transaction, id, entry, step, limited]: Parameters<LeaseCounter>): Promise<void> {
    if (this.counter && hasLease(entry)) await this.counter(transaction, id, entry, step, limited)
  }

  change(
    transaction: StorageTransaction,
    id: string,
    before: TokenEntry | undefined,
    after: TokenEntry | undefined,
  ): void {
    const [old, fresh] = [expiringOf(id, before), expiringOf(id, after)]
    if (old?.dueAtMs === fresh?.dueAtMs) return
    // A token that nobody would ever end must not be made.
    if (!this.index) throw new ApiError('internal', 'internal error', { reason: 'nobody keeps the order of expiry' })
    this.index.change(transaction, old, fresh)
  }
}

function expiringOf(id: string, entry: TokenEntry | undefined): Expiring | undefined {
  const dueAtMs = entry && dueAt(entry)
  return dueAtMs ? { tokenId: id, dueAtMs } : undefined
}

/** 0: never. */
export function dueAt(entry: Readonly<TokenEntry>): number {
  return entry.due_at_ms ?? entry.expires_at_ms
}

/** `auth/userpass/login/mara/h<accessor>`: what operators see of it among the leases. */
export function leaseIdOf(id: string, entry: Readonly<TokenEntry>): string {
  return `${trimLastSlashes(entry.path)}/h${id}`
}

/** The id at the end of such a name, or undefined if it is none. */
export function idInLease(leaseId: string): string | undefined {
  const end = leaseId.slice(leaseId.lastIndexOf('/') + 1)
  return end.startsWith('h') && isTokenName(end.slice(1)) ? end.slice(1) : undefined
}

/** The tokens that stand at the beginning have none. */
export function hasLease(entry: Readonly<TokenEntry>): boolean {
  return entry.path !== ROOT_PATH
}
