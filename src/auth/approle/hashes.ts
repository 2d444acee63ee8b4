/**
 * Keyed hashes under which role ids and secret ids are stored and found. What a client shows is never written down, and
 * whoever reads the store without the key of the mount cannot even test a guess.
 *
 * Storage: salt → Salt, made once with the mount.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'

interface Salt {
  /** Base64. */
  key: string
}

const SALT_KEY = 'salt'
const SALT_BYTES = 32

export class Hashes {
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    this.#key = key
  }

  roleId(roleId: string): string {
    return this.#hash(`role-id\0${roleId}`)
  }

  /** With the role in it, so that one text given to two roles leaves no trace of being the same. */
  secretId(roleUuid: string, secretId: string): string {
    return this.#hash(`secret-id\0${roleUuid}\0${secretId}`)
  }

  #hash(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('base64url')
  }
}

/** By the shared entry, which is replaced whenever it is read anew: so nothing outlives a seal. */
const kept = new WeakMap<Readonly<Salt>, Hashes>()

export async function hashesOf(storage: Storage): Promise<Hashes> {
  const salt = await storage.getShared<Salt>(SALT_KEY)
  if (!salt) throw new ApiError('internal', 'internal error', { reason: 'the mount has no key for its hashes' })
  let hashes = kept.get(salt)
  if (!hashes) kept.set(salt, (hashes = new Hashes(createSecretKey(salt.key, 'base64'))))
  return hashes
}

export async function makeSalt(storage: Storage): Promise<void> {
  if (await storage.getShared<Salt>(SALT_KEY)) return
  const fresh: Salt = { key: randomBytes(SALT_BYTES).toString('base64') }
  await storage.update<Salt>(SALT_KEY, (salt) => salt ?? fresh)
}
