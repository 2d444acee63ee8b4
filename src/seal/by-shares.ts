/**
 * The root key under the key that shares make, and what a share has to look like. Texts are those of the Vault API, down to
 * its cipher's: clients and scripts look for them.
 */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { WrappedKey } from '#sdk/seal.ts'
import { decrypt, encrypt, ROOT_TERM } from './envelope.ts'
import { KEY_BYTES } from './ring-data.ts'
import { ROOT_KEY_ENTRY } from './stored.ts'

/** What a share may weigh: shortest key of AES, and a key of 32 bytes with its x coordinate. */
const MIN_SHARE_BYTES = 16
const MAX_SHARE_BYTES = KEY_BYTES + 1

/** Not bound to the entry's version: rekeying writes it anew, and an older one holds a key that opens nothing more. */
export function wrapByShares(unsealKey: KeyObject, rootKey: Uint8Array): WrappedKey {
  return { keyId: 'shamir', bytes: encrypt(unsealKey, ROOT_TERM, ROOT_KEY_ENTRY, 0, rootKey) }
}

/** The caller wipes the result. @throws ApiError `invalid_request` if this is not the key that wrapped it */
export function unwrapByShares(unsealKey: Uint8Array, { bytes }: WrappedKey): Uint8Array {
  if (unsealKey.length !== KEY_BYTES) {
    throw invalidKey(`failed to setup unseal key: crypto/aes: invalid key size ${unsealKey.length}`)
  }
  const rootKey = decrypt(createSecretKey(unsealKey), ROOT_KEY_ENTRY, 0, bytes)
  if (rootKey !== undefined) return rootKey
  const reason = 'failed to decrypt keys from storage: cipher: message authentication failed'
  throw new ApiError('invalid_request', `unable to retrieve stored keys: invalid key: ${reason}`)
}

/** @throws ApiError `invalid_request` */
export function checkShare(share: Uint8Array): void {
  if (share.length < MIN_SHARE_BYTES) throw invalidKey(`key is shorter than minimum ${MIN_SHARE_BYTES} bytes`)
  if (share.length > MAX_SHARE_BYTES) throw invalidKey(`key is longer than maximum ${MAX_SHARE_BYTES} bytes`)
}

export function invalidKey(reason: string): ApiError {
  return new ApiError('invalid_request', `invalid key: ${reason}`)
}
