/** Making keys, and adding versions to them. */
import type { Mount } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import {
  changeKey,
  checkedName,
  type KeyEntry,
  keyNamed,
  keyPath,
  MAX_VERSIONS,
  newKey,
  putKey,
  withVersion,
} from './key.ts'
import { generate } from './material.ts'
import { derives, keyTypes, type TypeName } from './types.ts'

export interface Wanted {
  type: TypeName
  derived?: boolean
  convergent?: boolean
  exportable?: boolean
  allowPlaintextBackup?: boolean
  autoRotateSeconds?: number
  keySize?: number
}

const DEFAULT_HMAC_BYTES = 32
const MIN_HMAC_BYTES = 32
const MAX_HMAC_BYTES = 512

/** How often a rotation is begun again because the key was deleted and made anew meanwhile. */
const MAX_TRIES = 3

/** @returns the key of that name; `made` is false when there was one already, which then stays as it is */
export async function makeKey(
  mount: Mount,
  name: string,
  wanted: Wanted,
): Promise<{ key: Readonly<KeyEntry>; made: boolean }> {
  const there = await keyNamed(mount.storage, name)
  if (there) return { key: there, made: false }
  const fresh = checkedKey(wanted)
  const version = await generate(wanted.type, { convergent: fresh.convergent, keyBytes: fresh.key_size })
  const path = keyPath(checkedName(name))
  return mount.storage.transact(async (transaction) => {
    const stored = await transaction.get<KeyEntry>(path)
    if (stored) return { key: stored, made: false }
    const key = withVersion(transaction, fresh, version, mount.clock.now())
    putKey(transaction, name, key)
    return { key, made: true }
  })
}

function checkedKey(wanted: Wanted): KeyEntry {
  const about = keyTypes[wanted.type]
  const { derived = false, convergent = false } = wanted
  if (derived && !derives(about))
    fail(`key derivation and convergent encryption not supported for keys of type ${wanted.type}`)
  if (convergent && about.family !== 'aead') {
    fail(`convergent encryption not supported for keys of type ${wanted.type}`)
  }
  const size = wanted.keySize || (about.family === 'hmac' ? DEFAULT_HMAC_BYTES : 0)
  if (about.family === 'hmac' && (size < MIN_HMAC_BYTES || size > MAX_HMAC_BYTES)) {
    fail(`invalid key size ${size} for HMAC key, must be between ${MIN_HMAC_BYTES} and ${MAX_HMAC_BYTES} bytes`)
  }
  return {
    ...newKey(wanted.type),
    derived,
    kdf: derived ? 1 : 0,
    convergent,
    convergent_version: convergent ? -1 : 0,
    exportable: wanted.exportable ?? false,
    allow_plaintext_backup: wanted.allowPlaintextBackup ?? false,
    auto_rotate_period_seconds: wanted.autoRotateSeconds ?? 0,
    key_size: size,
  }
}

function fail(message: string): never {
  throw new ApiError('internal', oneError(message))
}

/**
 * Adds a version, whoever else does so at the same time.
 *
 * @param due  looked at in the transaction: whether it is still wanted
 * @throws ApiError of `missing` when there is no such key
 */
export async function rotateKey(
  mount: Mount,
  name: string,
  missing: () => ApiError,
  due: (key: KeyEntry) => boolean = () => true,
): Promise<Readonly<KeyEntry>> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const key = await keyNamed(mount.storage, name)
    if (!key) throw missing()
    refuseRotation(name, key)
    const version = await generate(key.type, { convergent: key.convergent, keyBytes: key.key_size })
    const rotated = await changeKey(mount, name, missing, (stored, transaction) => {
      if (stored.id !== key.id || !due(stored)) return stored
      refuseRotation(name, stored)
      return { ...withVersion(transaction, stored, version, mount.clock.now()), imported: false }
    })
    if (rotated.id === key.id) return rotated
  }
  throw new ApiError('internal', 'the key is being replaced again and again')
}

function refuseRotation(name: string, key: Readonly<KeyEntry>): void {
  if (key.soft_deleted) fail('key is soft deleted: restore it before it can be used')
  if (key.imported && !key.allow_rotation) fail(`imported key ${name} does not allow rotation within Vault`)
  if (key.created.length >= MAX_VERSIONS) fail(`a key has at most ${MAX_VERSIONS} versions: trim it first`)
}
