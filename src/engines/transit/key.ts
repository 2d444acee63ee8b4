/**
 * What is kept of a key.
 *
 * Storage below the mount: `key/<name>` → KeyEntry, which has no secrets and is read on each request; `rotating/<name>` for
 * those that rotate by themselves; and for each version `version/<id>/<number>` → VersionEntry, which never changes its meaning once written. What a name stands for
 * and the material are bound by the id, so that a key deleted and made again cannot be mistaken for the one before.
 */
import { randomUUID } from 'node:crypto'
import type { Mount } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Field } from '#sdk/schema.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import type { TypeName } from './types.ts'

/**
 * Times of all versions are part of the entry of a key, and all versions go in one transaction: both need an end. Rotated
 * each hour a key comes here after a year; `trim` makes room.
 */
export const MAX_VERSIONS = 10_000

const MAX_NAME_BYTES = 512

export interface KeyEntry {
  id: string
  type: TypeName
  derived: boolean
  /** How keys are derived: 0 counter mode with HMAC-SHA256 (very old keys), 1 HKDF with SHA-256. */
  kdf: 0 | 1
  convergent: boolean
  /** As the API shows it: -1, each version has its own; 0, not convergent; 1 and 2, of old keys. */
  convergent_version: number
  exportable: boolean
  allow_plaintext_backup: boolean
  deletion_allowed: boolean
  soft_deleted: boolean
  latest_version: number
  min_decryption_version: number
  /** 0: the latest. */
  min_encryption_version: number
  /** 0: never trimmed. */
  min_available_version: number
  auto_rotate_period_seconds: number
  imported: boolean
  allow_rotation: boolean
  /** Of HMAC keys, in bytes; else 0. */
  key_size: number
  /** When each version was made, RFC 3339, beginning with the oldest one that is there. */
  created: string[]
}

export interface VersionEntry {
  /** Base64: raw bytes; of ed25519 seed and public key; of EC and RSA PKCS#8. Absent where only the public part is known. */
  secret?: string
  /** Base64 of the raw ed25519 key or of the SubjectPublicKeyInfo. */
  public?: string
  /** Base64. */
  hmac: string
  convergent_version: number
  /** Base64 of the certificates, the key's own first. */
  chain?: string[]
}

export const nameField = { type: 'string', about: 'Name of the key.', required: true } as const satisfies Field

export function keyPath(name: string): string {
  return `key/${name}`
}

/** Stands for each key that rotates by itself, so that finding those does not mean reading all. */
export const ROTATING = 'rotating/'

export function versionPath(id: string, version: number): string {
  return `version/${id}/${version}`
}

/** @throws ApiError `not_found` for what the API has no path for */
export function checkedName(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES && /^\w(?:[\w.-]*\w)?$/.test(name)) return name
  throw new ApiError('not_found', oneError('unsupported path'))
}

/** The version that `created` begins with. */
export function oldestVersion(key: Readonly<KeyEntry>): number {
  return key.latest_version - key.created.length + 1
}

/** @returns the same object until the key changes */
export function keyNamed(storage: Storage, name: string): Promise<Readonly<KeyEntry> | undefined> {
  return storage.getShared<KeyEntry>(keyPath(checkedName(name)))
}

export function newKey(type: TypeName): KeyEntry {
  return {
    id: randomUUID(),
    type,
    derived: false,
    kdf: 1,
    convergent: false,
    convergent_version: 0,
    exportable: false,
    allow_plaintext_backup: false,
    deletion_allowed: false,
    soft_deleted: false,
    latest_version: 0,
    min_decryption_version: 1,
    min_encryption_version: 0,
    min_available_version: 0,
    auto_rotate_period_seconds: 0,
    imported: false,
    allow_rotation: false,
    key_size: 0,
    created: [],
  }
}

/**
 * Puts `version` after the latest one.
 *
 * @returns the key to be put, with that version as its latest
 */
export function withVersion(
  transaction: Pick<StorageTransaction, 'put'>,
  key: Readonly<KeyEntry>,
  version: VersionEntry,
  at: Date,
): KeyEntry {
  if (key.created.length >= MAX_VERSIONS) {
    throw new ApiError('invalid_request', `a key has at most ${MAX_VERSIONS} versions: trim those not needed any more`)
  }
  const latest = key.latest_version + 1
  transaction.put<VersionEntry>(versionPath(key.id, latest), version)
  const created = [...key.created, at.toISOString()]
  // As the API has it: the first version that is made can be used by everybody.
  const { min_decryption_version: oldest } = key
  return { ...key, latest_version: latest, created, min_decryption_version: oldest === 0 ? 1 : oldest }
}

/** @param before  what the name stood for until now */
export function putKey(
  transaction: Pick<StorageTransaction, 'put' | 'delete'>,
  name: string,
  key: KeyEntry,
  before?: KeyEntry,
): void {
  transaction.put<KeyEntry>(keyPath(name), key)
  const [rotates, rotated] = [key, before].map((each) => (each?.auto_rotate_period_seconds ?? 0) > 0)
  if (rotates && !rotated) transaction.put<true>(ROTATING + name, true)
  if (rotated && !rotates) transaction.delete(ROTATING + name)
}

/** With all its versions. */
export function removeKey(transaction: Pick<StorageTransaction, 'delete'>, name: string, key: KeyEntry): void {
  for (let version = oldestVersion(key); version <= key.latest_version; version++) {
    transaction.delete(versionPath(key.id, version))
  }
  if (key.auto_rotate_period_seconds > 0) transaction.delete(ROTATING + name)
  transaction.delete(keyPath(name))
}

/**
 * One change of a key that is there, with nobody else on it.
 *
 * @param change  may run more than once
 * @throws ApiError of `missing` when there is no such key
 */
export function changeKey(
  mount: Mount,
  name: string,
  missing: () => ApiError,
  change: (key: KeyEntry, transaction: StorageTransaction) => KeyEntry | Promise<KeyEntry>,
): Promise<KeyEntry> {
  const path = keyPath(checkedName(name))
  return mount.storage.transact(async (transaction) => {
    const stored = await transaction.get<KeyEntry>(path)
    if (!stored) throw missing()
    const changed = await change(stored, transaction)
    putKey(transaction, name, changed, stored)
    return changed
  })
}

export function refuse(message: string, reason?: string): never {
  throw new ApiError('invalid_request', message, reason === undefined ? {} : { reason })
}
