/**
 * Changing the seal of a store: shamir → auto-unseal, auto-unseal → shamir, one auto-unseal → another.
 *
 * The key that people hold stays the same and changes its office: the unseal key becomes the recovery key, the recovery key
 * becomes the unseal key, or it stays what it is. The root key stays too, so no entry of the barrier is touched: what
 * changes is `seal/config`, `seal/root-key` and `seal/recovery-key`, in one transaction. A server that is killed before its
 * commit finds the old seal, one that is killed after it the new one, and there is nothing between.
 */
import { timingSafeEqual, type KeyObject } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal, WrappedKey } from '#sdk/seal.ts'
import type { Driver, Transaction } from '#sdk/storage.ts'
import { wrapByShares } from './by-shares.ts'
import {
  readBackup,
  readConfig,
  readRootKey,
  RECOVERY_BACKUP_ENTRY,
  RECOVERY_ENTRY,
  UNSEAL_BACKUP_ENTRY,
  writeBackup,
  writeConfig,
  writeRecoveryKey,
  writeRootKey,
  type StoredConfig,
} from './stored.ts'

const SHAMIR = 'shamir'

/** The seals of a configuration, by type: the one to use, and the one with `disabled = "true"`. */
export interface ConfiguredSeals {
  used: string
  leaving: string | undefined
  /** The seal in use has opened this store: then a disabled one of the same type is only left over. */
  proven: boolean
}

/**
 * Whether the store waits for its seal to be changed.
 *
 * With two seals of one type the types do not tell: then it is pending until the one in use has opened the store.
 */
export function isMigrationPending(stored: string | undefined, { used, leaving, proven }: ConfiguredSeals): boolean {
  if (stored === undefined) return false
  if (stored !== used) return true
  return stored !== SHAMIR && leaving === stored && !proven
}

/** @throws ApiError `invalid_request` if the configuration has no seal that opens this store */
export function checkSeals(stored: string, { used, leaving }: ConfiguredSeals): void {
  if (stored === used || stored === SHAMIR || stored === leaving) return
  throw new ApiError(
    'invalid_request',
    `this store was initialized with a seal of type ${stored}, the configuration says ${used}; to change the seal, keep the stanza seal "${stored}" beside it with disabled = "true"`,
  )
}

/** @throws ApiError `internal` (500, as the Vault API has it) if `migrate` is given without need, or missing */
export function checkMigrate(migrate: boolean, pending: boolean): void {
  if (migrate === pending) return
  throw new ApiError(
    'internal',
    migrate
      ? "can't perform a seal migration, no migration seal found"
      : 'migrate option not provided and seal migration is pending',
  )
}

export interface Change {
  driver: Driver
  before: StoredConfig
  /** What `seal/root-key` holds before. */
  wrappedBefore: WrappedKey
  to: { type: string; auto: AutoUnseal | undefined }
  rootBytes: Uint8Array
  rootKey: KeyObject
  /** Unseal key before, recovery key after, or the other way round. */
  peoplesKey: KeyObject
}

/**
 * @param change  its root key has been shown to open the key ring
 * @returns the configuration as it is stored now
 * @throws ApiError if the new seal does not give back what it was given, or another process changed the seal meanwhile
 */
export async function changeSeal(change: Change): Promise<StoredConfig> {
  const { driver, before, wrappedBefore, to, rootBytes, rootKey, peoplesKey } = change
  const wrapped = to.auto ? await wrapProven(to.auto, rootBytes) : wrapByShares(peoplesKey, rootBytes)
  const after = configAfter(before, to)
  const peoplesBytes = peoplesKey.export()
  try {
    await driver.transact(async (transaction) => {
      const now = [await readConfig(transaction), await readRootKey(transaction)]
      if (!isDeepStrictEqual(now, [before, wrappedBefore])) {
        throw new ApiError('invalid_request', 'the seal of this store was changed meanwhile: try again')
      }
      writeConfig(transaction, after)
      writeRootKey(transaction, wrapped)
      if (before.type === SHAMIR) {
        writeRecoveryKey(transaction, rootKey, peoplesBytes)
        await moveBackup(transaction, UNSEAL_BACKUP_ENTRY, RECOVERY_BACKUP_ENTRY)
      } else if (to.auto === undefined) {
        transaction.delete(RECOVERY_ENTRY)
        await moveBackup(transaction, RECOVERY_BACKUP_ENTRY, UNSEAL_BACKUP_ENTRY)
      }
    })
  } finally {
    peoplesBytes.fill(0)
  }
  return after
}

/** Shares encrypted to PGP keys change their office like the shares themselves. */
async function moveBackup(transaction: Transaction, from: string, to: string): Promise<void> {
  const backup = await readBackup(transaction, from)
  if (backup === undefined) return
  writeBackup(transaction, to, backup)
  transaction.delete(from)
}

/** A service that may encrypt and not decrypt, or hands back something else, would lock the store for ever. */
export async function wrapProven(auto: AutoUnseal, key: Uint8Array): Promise<WrappedKey> {
  const wrapped = await auto.wrap(key)
  const again = await auto.unwrap(wrapped)
  try {
    if (again.length === key.length && timingSafeEqual(again, key)) return wrapped
  } finally {
    again.fill(0)
  }
  throw new ApiError('upstream_failed', 'the seal does not give back the key it was given')
}

function configAfter(before: StoredConfig, to: Change['to']): StoredConfig {
  const fromShares = before.type === SHAMIR
  const [shares, threshold] = fromShares
    ? [before.shares, before.threshold]
    : [before.recovery_shares, before.recovery_threshold]
  return to.auto
    ? { type: to.type, shares: 0, threshold: 0, recovery_shares: shares, recovery_threshold: threshold }
    : { type: SHAMIR, shares, threshold, recovery_shares: 0, recovery_threshold: 0 }
}
