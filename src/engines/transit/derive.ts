/** Keys that are derived from a key and a context. */
import { createHmac, hkdfSync, type KeyObject } from 'node:crypto'

/** Of the key of the nonces, where that is derived too. */
export const NONCE_KEY_BYTES = 32

/**
 * @param kdf  1: HKDF with SHA-256, without salt, the context as info (RFC 5869). 0: counter mode with HMAC-SHA256, the
 *             counter before the context and the bits behind it, 32 bits each (NIST SP 800-108 §4.1); keys of old backups
 */
export function derive(kdf: 0 | 1, secret: KeyObject, context: Uint8Array, bytes: number): Buffer {
  return kdf === 1 ? Buffer.from(hkdfSync('sha256', secret, '', context, bytes)) : counterMode(secret, context, bytes)
}

function counterMode(secret: KeyObject, context: Uint8Array, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let counter = 1; (counter - 1) * 32 < bytes; counter++) {
    blocks.push(
      createHmac('sha256', secret)
        .update(number32(counter - 1))
        .update(context)
        .update(number32(bytes * 8))
        .digest(),
    )
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
