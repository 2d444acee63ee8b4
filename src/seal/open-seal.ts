/** What a change of its keys needs of an unsealed seal, and the two things all of them do: prove shares, replace the root key. */
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal } from '#sdk/seal.ts'
import type { Driver, Transaction } from '#sdk/storage.ts'
import { unwrapByShares, wrapByShares } from './by-shares.ts'
import type { KeyRing } from './keyring.ts'
import { KEY_BYTES } from './ring-data.ts'
import { joinShares } from './shamir/shares.ts'
import { isRecoveryKey, moveRecoveryKey, readRootKey, type StoredConfig, writeConfig, writeRootKey } from './stored.ts'

export interface OpenSeal {
  driver: Driver
  /** Undefined: people unseal it, with shares. */
  auto: AutoUnseal | undefined
  /** These two refuse with `sealed`. */
  ring(): KeyRing
  config(): StoredConfig
  /** Of a seal that people open. */
  unsealKey(): KeyObject | undefined
  /** One change of the seal's state at a time. */
  exclusive<T>(work: () => Promise<T>): Promise<T>
  /** After a commit. */
  took(config: StoredConfig, unsealKey: KeyObject | undefined): void
}

/** How many shares a change of the keys needs: of the unseal key, or of the recovery key where the server unseals itself. */
export function requiredShares(seal: OpenSeal): number {
  const { threshold, recovery_threshold: recovery } = seal.config()
  return seal.auto ? recovery : threshold
}

/** @throws ApiError `invalid_request` unless these shares make the key of this store */
export async function prove(seal: OpenSeal, shares: readonly Uint8Array[]): Promise<void> {
  const { rootKey } = seal.ring()
  const joined = await joinShares(shares)
  if (!joined.ok) throw new ApiError('invalid_request', `failed to compute root key: ${joined.message}`)
  let rootBytes: Uint8Array | undefined
  try {
    if (seal.auto) {
      if (await isRecoveryKey(seal.driver, rootKey, joined.key)) return
      const reason = 'recovery key does not match submitted values'
      throw new ApiError('invalid_request', `recovery key verification failed: ${reason}`)
    }
    rootBytes = unwrapByShares(joined.key, await readRootKey(seal.driver))
    if (!createSecretKey(rootBytes).equals(rootKey)) {
      throw new ApiError('invalid_request', 'root key verification failed: it is not the key of this store')
    }
  } finally {
    joined.key.fill(0)
    rootBytes?.fill(0)
  }
}

export interface NewKeys {
  config: StoredConfig
  /** What people's shares make from now on; undefined where the server unseals itself. */
  unsealKey: KeyObject | undefined
  /** Further writes of the same transaction. */
  also?: (transaction: Transaction) => void
}

/**
 * A new root key, and with it everything that lies under the root key, in one transaction: after a crash either the old
 * shares open the store or the new ones. The root key itself changes so that the old shares open nothing, not even together
 * with an old copy of `seal/root-key`. The key ring stays as it is, so what is stored need not be written again.
 */
export async function replaceRootKey(seal: OpenSeal, { config, unsealKey, also }: NewKeys): Promise<void> {
  const ring = seal.ring()
  const before = ring.rootKey
  const rootBytes = randomBytes(KEY_BYTES)
  const wipe: Uint8Array[] = [rootBytes]
  try {
    const rootKey = createSecretKey(rootBytes)
    const wrapped = seal.auto ? await seal.auto.wrap(rootBytes) : wrapByShares(unsealKey!, rootBytes)
    await committed(ring, rootKey, async () => {
      await seal.driver.transact(async (transaction) => {
        writeConfig(transaction, config)
        writeRootKey(transaction, wrapped)
        await moveRecoveryKey(transaction, before, rootKey)
        await ring.rewrap(transaction, rootKey, wipe)
        also?.(transaction)
      })
    })
    seal.took(config, unsealKey)
  } finally {
    for (const bytes of wipe) bytes.fill(0)
  }
}

/** A driver that fails may have committed all the same; what is stored says whether it did. */
async function committed(ring: KeyRing, rootKey: KeyObject, commit: () => Promise<void>): Promise<void> {
  try {
    await commit()
  } catch (error) {
    const valid = await ring.settle().catch(() => undefined)
    if (valid !== rootKey) throw error
    return
  }
  await ring.settle()
}
