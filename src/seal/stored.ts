/**
 * The seal's own entries in the driver, beside the key ring. All are below `seal/`, where no view of the barrier reaches.
 *
 *     seal/config        plain JSON: type, and how many shares are needed; nothing secret, and nothing that is trusted
 *     seal/root-key      JSON: the root key, wrapped by the unseal key that the shares make, or by the auto-unseal
 *     seal/recovery-key  digest of the recovery key, under the root key: whoever writes to the disk cannot make up his own
 *     seal/keyring       see keyring.ts
 *     seal/unseal-keys-backup, seal/recovery-keys-backup
 *                        plain JSON: shares encrypted to PGP keys, kept where whoever cannot unseal can still find them
 *
 * With Shamir shares the unseal key wraps the root key rather than being it, so that new shares can be made, and the type
 * of the seal changed, by writing `seal/config` and `seal/root-key` anew.
 */
import { createHash, timingSafeEqual, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import type { KeyBackup } from '#sdk/seal-keys.ts'
import type { WrappedKey } from '#sdk/seal.ts'
import type { Entry, Reads, Transaction } from '#sdk/storage.ts'
import { damaged, decrypt, encrypt, ROOT_TERM } from './envelope.ts'

export const CONFIG_ENTRY = 'seal/config'
export const ROOT_KEY_ENTRY = 'seal/root-key'
export const RECOVERY_ENTRY = 'seal/recovery-key'
export const UNSEAL_BACKUP_ENTRY = 'seal/unseal-keys-backup'
export const RECOVERY_BACKUP_ENTRY = 'seal/recovery-keys-backup'

export interface StoredConfig {
  type: string
  shares: number
  threshold: number
  recovery_shares: number
  recovery_threshold: number
}

export async function readConfig(reads: Reads): Promise<StoredConfig | undefined> {
  const entry = await reads.get(CONFIG_ENTRY)
  if (entry === undefined) return undefined
  const config = parseEntry(CONFIG_ENTRY, entry)
  const numbers = [config['shares'], config['threshold'], config['recovery_shares'], config['recovery_threshold']]
  if (typeof config['type'] !== 'string' || !numbers.every(isShareCount)) throw damaged(CONFIG_ENTRY)
  return config as unknown as StoredConfig
}

export function writeConfig(transaction: Transaction, config: StoredConfig): void {
  const bytes = Buffer.from(JSON.stringify(config))
  transaction.put(CONFIG_ENTRY, () => bytes)
}

export async function readRootKey(reads: Reads): Promise<WrappedKey> {
  const entry = await reads.get(ROOT_KEY_ENTRY)
  if (entry === undefined) throw damaged(ROOT_KEY_ENTRY)
  const { key_id: keyId, wrapped } = parseEntry(ROOT_KEY_ENTRY, entry)
  if (typeof keyId !== 'string' || typeof wrapped !== 'string') throw damaged(ROOT_KEY_ENTRY)
  return { keyId, bytes: Buffer.from(wrapped, 'base64') }
}

export function writeRootKey(transaction: Transaction, { keyId, bytes }: WrappedKey): void {
  const text = JSON.stringify({ key_id: keyId, wrapped: Buffer.from(bytes).toString('base64') })
  transaction.put(ROOT_KEY_ENTRY, () => Buffer.from(text))
}

/** Only the digest: nobody ever needs the recovery key itself, and 32 random bytes cannot be guessed from it. */
export function writeRecoveryKey(transaction: Transaction, rootKey: KeyObject, recoveryKey: Uint8Array): void {
  const digest = digestOf(recoveryKey)
  transaction.put(RECOVERY_ENTRY, (version) => encrypt(rootKey, ROOT_TERM, RECOVERY_ENTRY, version, digest))
}

/** Put it under another root key, if there is one. */
export async function moveRecoveryKey(transaction: Transaction, from: KeyObject, to: KeyObject): Promise<void> {
  const entry = await transaction.get(RECOVERY_ENTRY)
  if (entry === undefined) return
  const digest = decrypt(from, RECOVERY_ENTRY, entry.version, entry.value)
  if (digest === undefined) throw damaged(RECOVERY_ENTRY)
  transaction.put(RECOVERY_ENTRY, (version) => encrypt(to, ROOT_TERM, RECOVERY_ENTRY, version, digest))
}

export async function isRecoveryKey(reads: Reads, rootKey: KeyObject, given: Uint8Array): Promise<boolean> {
  const entry = await reads.get(RECOVERY_ENTRY)
  const digest = entry && decrypt(rootKey, RECOVERY_ENTRY, entry.version, entry.value)
  if (digest === undefined) throw damaged(RECOVERY_ENTRY)
  return digest.length === 32 && timingSafeEqual(digest, digestOf(given))
}

export async function readBackup(reads: Reads, storageKey: string): Promise<KeyBackup | undefined> {
  const entry = await reads.get(storageKey)
  if (entry === undefined) return undefined
  const { nonce, keys } = parseEntry(storageKey, entry)
  if (typeof nonce !== 'string' || !isObject(keys)) throw damaged(storageKey)
  const lists = Object.values(keys)
  if (!lists.every((list) => Array.isArray(list) && list.every((each) => typeof each === 'string'))) {
    throw damaged(storageKey)
  }
  return { nonce, keys: keys as Record<string, string[]> }
}

export function writeBackup(transaction: Transaction, storageKey: string, backup: KeyBackup): void {
  const bytes = Buffer.from(JSON.stringify(backup))
  transaction.put(storageKey, () => bytes)
}

function digestOf(recoveryKey: Uint8Array): Buffer {
  return createHash('sha256').update('strongroom recovery key\0').update(recoveryKey).digest()
}

function isShareCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
}

function parseEntry(storageKey: string, { value }: Entry): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString('utf8'))
    if (isObject(parsed)) return parsed
  } catch (error) {
    throw new ApiError('internal', damaged(storageKey).message, { reason: `${storageKey} is no JSON`, cause: error })
  }
  throw damaged(storageKey)
}
