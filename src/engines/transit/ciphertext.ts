/** `vault:v<version>:<payload>`, which ciphertexts, signatures and HMACs have in common. Pure. */
import type { KeyEntry } from './key.ts'
import { refuse } from './key.ts'

const PREFIX = 'vault:v'

export function labelled(version: number, payload: string): string {
  return `${PREFIX}${version}:${payload}`
}

/**
 * @param what  for the refusals
 * @throws ApiError `invalid_request` when it is none, or its version is not to be used
 */
export function versionOf(
  key: Readonly<KeyEntry>,
  text: string,
  what: 'ciphertext' | 'signature' | 'HMAC to verify',
): { version: number; payload: string } {
  if (!text.startsWith(PREFIX)) refuse(`invalid ${what}: no prefix`)
  const cut = text.indexOf(':', PREFIX.length)
  if (cut < 0) refuse(`invalid ${what}: wrong number of fields`)
  const number = text.slice(PREFIX.length, cut)
  if (!/^[+-]?\d{1,15}$/.test(number)) refuse(`invalid ${what}: version number could not be decoded`)
  // The first keys had no versions: their texts say 0.
  const version = Number(number) || 1
  if (version > key.latest_version) refuse(`invalid ${what}: version is too new`)
  if (version < 1 || version < key.min_decryption_version || version < key.min_available_version) {
    if (what === 'HMAC to verify') refuse('cannot verify HMAC: version is too old (disallowed by policy)')
    refuse('ciphertext or signature version is disallowed by policy (too old)')
  }
  return { version, payload: text.slice(cut + 1) }
}

/**
 * The version that a request for `asked` uses to encrypt or sign; 0: the latest.
 *
 * @param what  what it is for, in the refusals
 */
export function usableVersion(key: Readonly<KeyEntry>, asked: number, what: 'encryption' | 'signing'): number {
  if (asked === 0) return key.latest_version
  if (asked < 0) refuse(`requested version for ${what} is negative`)
  if (asked > key.latest_version) refuse(`requested version for ${what} is higher than the latest key version`)
  if (asked < key.min_encryption_version) {
    refuse(`requested version for ${what} is less than the minimum encryption key version`)
  }
  if (asked < key.min_available_version) refuse(`requested version for ${what} is not available any more`)
  return asked
}
