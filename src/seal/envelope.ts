/**
 * The bytes of one encrypted entry:
 *
 *     format (1) | term (4, big endian) | IV (12) | AES-256-GCM ciphertext | tag (16)
 *
 * The associated data is format, term, the entry's version (8, big endian) and its storage key in UTF-8. So an entry
 * opens only where it was written and as the write it was: not under another key, not after another entry's version.
 */
import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'

export const FORMAT = 1
/** Stands for the root key, which encrypts the key ring; terms of the ring start at 1. */
export const ROOT_TERM = 0

const ALGORITHM = 'aes-256-gcm'
const HEADER_BYTES = 5
const IV_BYTES = 12
const TAG_BYTES = 16
const BODY_AT = HEADER_BYTES + IV_BYTES
const CONTEXT_BYTES = HEADER_BYTES + 8
const MAX_KEY_BYTES = 1024
const TAG_OPTIONS = { authTagLength: TAG_BYTES }

/** How many bytes encryption adds. */
export const OVERHEAD_BYTES = BODY_AT + TAG_BYTES

// A call into the system's generator costs more than the encryption of a small entry, so random bytes come in bulk.
const randomPool = Buffer.allocUnsafeSlow(IV_BYTES * 1024)
let randomAt = randomPool.length

// Reused for every entry: nothing awaits between filling it and the cipher's copy of it.
// Room for four bytes more than a key may have, so that a longer key is noticed instead of cut.
const context = Buffer.allocUnsafeSlow(CONTEXT_BYTES + MAX_KEY_BYTES + 4)

/**
 * @param version  of the entry these bytes will be, from `Transaction.put`
 * @returns bytes that share no memory with anything else, so that a driver may hand them to another thread
 */
export function encrypt(
  key: KeyObject,
  term: number,
  storageKey: string,
  version: number,
  plain: string | Uint8Array,
): Uint8Array {
  if (randomAt === randomPool.length) {
    randomFillSync(randomPool)
    randomAt = 0
  }
  const iv = randomPool.subarray(randomAt, (randomAt += IV_BYTES))
  const cipher = createCipheriv(ALGORITHM, key, iv, TAG_OPTIONS)
  cipher.setAAD(associate(FORMAT, term, storageKey, version))
  const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)
  cipher.final()
  const out = Buffer.allocUnsafeSlow(OVERHEAD_BYTES + body.length)
  out[0] = FORMAT
  out.writeUInt32BE(term, 1)
  out.set(iv, HEADER_BYTES)
  out.set(body, BODY_AT)
  out.set(cipher.getAuthTag(), BODY_AT + body.length)
  return out
}

/** Which key opens these bytes; undefined if they are no entry at all. */
export function termOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < OVERHEAD_BYTES || bytes[0] !== FORMAT) return undefined
  return ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0
}

/** The plain bytes, or undefined if these are not the bytes that were written at this key with this version. */
export function decrypt(key: KeyObject, storageKey: string, version: number, bytes: Uint8Array): Buffer | undefined {
  const term = termOf(bytes)
  if (term === undefined) return undefined
  const bodyEnd = bytes.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(HEADER_BYTES, BODY_AT), TAG_OPTIONS)
  decipher.setAAD(associate(FORMAT, term, storageKey, version))
  decipher.setAuthTag(bytes.subarray(bodyEnd))
  const plain = decipher.update(bytes.subarray(BODY_AT, bodyEnd))
  try {
    decipher.final()
  } catch {
    // The only failure left is that the tag does not fit, and that is what undefined says.
    plain.fill(0)
    return undefined
  }
  return plain
}

function associate(format: number, term: number, storageKey: string, version: number): Buffer {
  context[0] = format
  context.writeUInt32BE(term, 1)
  context.writeUInt32BE(Math.floor(version / 0x1_0000_0000), HEADER_BYTES)
  context.writeUInt32BE(version % 0x1_0000_0000, HEADER_BYTES + 4)
  const keyBytes = context.write(storageKey, CONTEXT_BYTES, 'utf8')
  if (keyBytes > MAX_KEY_BYTES) throw new ApiError('invalid_request', 'storage key is longer than 1024 bytes')
  return context.subarray(0, CONTEXT_BYTES + keyBytes)
}

/** A refusal for bytes of the store that do not open. The client learns no key; the audit log does. */
export function damaged(storageKey: string): ApiError {
  return new ApiError('internal', 'an entry of the store is damaged or was tampered with', {
    reason: `the entry at storage key ${JSON.stringify(storageKey)} does not open: it is damaged, or was changed, moved or replaced outside of this server`,
  })
}
