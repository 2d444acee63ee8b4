/** The keys of a new store, and the one transaction that writes them. */
import { createSecretKey, randomBytes } from 'node:crypto'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal, InitOptions, InitResult } from '#sdk/seal.ts'
import type { Driver, StorageTransaction } from '#sdk/storage.ts'
import { across, Barrier } from './barrier.ts'
import { wrapByShares } from './by-shares.ts'
import { damaged } from './envelope.ts'
import { KeyRing } from './keyring.ts'
import type { PgpKey } from './pgp/keys.ts'
import { KEY_BYTES } from './ring-data.ts'
import { sharesFor } from './shares-for.ts'
import { CONFIG_ENTRY, writeConfig, writeRecoveryKey, writeRootKey, type StoredConfig } from './stored.ts'

/** Writes what belongs to a new store from its first moment: part of the transaction that initializes it. */
export type SetUp = (barrier: Barrier, transaction: Pick<StorageTransaction, 'in'>) => Promise<void>

interface NewStore {
  driver: Driver
  clock: Clock
  type: string
  auto: AutoUnseal | undefined
}

/** @param wipe  takes what the caller has to wipe once all is over */
export async function makeStore(
  { driver, clock, type, auto }: NewStore,
  options: InitOptions,
  pgp: { shares: PgpKey[]; recovery: PgpKey[] },
  setUp: SetUp | undefined,
  wipe: Uint8Array[],
): Promise<{ config: StoredConfig; result: InitResult }> {
  const make = () => {
    const key = randomBytes(KEY_BYTES)
    wipe.push(key)
    return key
  }
  const rootBytes = make()
  const rootKey = createSecretKey(rootBytes)
  const unsealKey = auto ? undefined : make()
  const recoveryKey = auto && options.recoveryShares > 0 ? make() : undefined
  const firstKey = make()
  const wrapped = unsealKey ? wrapByShares(createSecretKey(unsealKey), rootBytes) : await auto!.wrap(rootBytes)
  // Encrypted before anything is written: what cannot be told must not become the key of a store.
  const result = {
    shares: unsealKey ? await sharesFor(pgp.shares, unsealKey, options.shares, options.threshold) : [],
    recoveryShares: recoveryKey
      ? await sharesFor(pgp.recovery, recoveryKey, options.recoveryShares, options.recoveryThreshold)
      : [],
  }
  const context = { driver, clock, rootKey }
  const config = configFor(type, options)
  try {
    const { ring, barrier } = await driver.transact(async (transaction) => {
      // Looked at again in here, since two servers on one store may have come this far at once.
      if ((await transaction.get(CONFIG_ENTRY)) !== undefined) throw alreadyInitialized()
      // New keys on top of these would make a store that has lost one entry lose all of them.
      if ((await transaction.list('seal/')).length > 0) throw damaged(CONFIG_ENTRY)
      writeConfig(transaction, config)
      writeRootKey(transaction, wrapped)
      if (recoveryKey) writeRecoveryKey(transaction, rootKey, recoveryKey)
      const fresh = KeyRing.create(context, transaction, firstKey, wipe)
      const freshBarrier = new Barrier(driver, fresh)
      await setUp?.(freshBarrier, across(transaction, freshBarrier))
      return { ring: fresh, barrier: freshBarrier }
    })
    barrier.seal()
    await giveBack(ring)
    return { config, result }
  } catch (error) {
    wipe.push(...result.shares, ...result.recoveryShares)
    throw error
  }
}

function configFor(type: string, options: InitOptions): StoredConfig {
  return {
    type,
    shares: options.shares,
    threshold: options.threshold,
    recovery_shares: options.recoveryShares,
    recovery_threshold: options.recoveryThreshold,
  }
}

export function alreadyInitialized(): ApiError {
  return new ApiError('invalid_request', 'Vault is already initialized')
}

export async function giveBack(ring: KeyRing): Promise<void> {
  try {
    await ring.close()
  } catch {
    // Only the unused rest of the reserved encryptions was not given back. The count is then too high, which is the
    // safe side; a store in trouble must not keep anybody from sealing, nor take away the shares of a new one.
  }
}
