/** Authenticated encryption of one message: nonce, ciphertext and tag in one piece, as the API has it. */
import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from 'node:crypto'
import { hchacha } from '@noble/ciphers/chacha.js'
import type { AeadType } from './types.ts'

const TAG_BYTES = 16
const POOL_BYTES = 4096

/** What each state of ChaCha20 begins with (RFC 8439 §2.3). */
const SIGMA = new Uint32Array([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574])

const pool = Buffer.alloc(POOL_BYTES)
let spent = POOL_BYTES

type Key = KeyObject | Uint8Array

// The three ciphers have one interface, which the types of node:crypto describe under one name each.
type Gcm = 'aes-256-gcm'

/** Random bytes for one nonce; many are fetched at once, since one call for each costs more than the encryption. */
export function freshNonce(bytes: number): Buffer {
  if (spent + bytes > POOL_BYTES) {
    randomFillSync(pool)
    spent = 0
  }
  const nonce = Buffer.from(pool.subarray(spent, spent + bytes))
  spent += bytes
  return nonce
}

export function encrypt(type: AeadType, key: Key, nonce: Buffer, plain: Uint8Array, associated: Uint8Array): Buffer {
  const { messageKey, messageNonce } = keyOfMessage(type, key, nonce)
  const cipher = createCipheriv(type.cipher as Gcm, messageKey, messageNonce, { authTagLength: TAG_BYTES })
  if (associated.length > 0) cipher.setAAD(associated)
  const body = cipher.update(plain)
  const sealed = Buffer.concat([nonce, body, cipher.final(), cipher.getAuthTag()])
  forget(messageKey, key)
  return sealed
}

/** Undefined when it is too short or was not made with this key, nonce and associated data. */
export function decrypt(type: AeadType, key: Key, sealed: Buffer, associated: Uint8Array): Buffer | undefined {
  if (sealed.length < type.nonceBytes + TAG_BYTES) return undefined
  const { messageKey, messageNonce } = keyOfMessage(type, key, sealed.subarray(0, type.nonceBytes))
  const decipher = createDecipheriv(type.cipher as Gcm, messageKey, messageNonce, { authTagLength: TAG_BYTES })
  forget(messageKey, key)
  if (associated.length > 0) decipher.setAAD(associated)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = decipher.update(sealed.subarray(type.nonceBytes, -TAG_BYTES))
  try {
    decipher.final()
    return plain
  } catch {
    // The tag did not fit; what was deciphered is not to be believed.
    plain.fill(0)
    return undefined
  }
}

function keyOfMessage({ nonceBytes }: AeadType, key: Key, nonce: Buffer): { messageKey: Key; messageNonce: Buffer } {
  if (nonceBytes === 12) return { messageKey: key, messageNonce: nonce }
  // XChaCha20: a key from the first 16 bytes, and the other 8 as the nonce (draft-irtf-cfrg-xchacha §2.3).
  const messageNonce = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)])
  return { messageKey: hchacha20(key, nonce.subarray(0, 16)), messageNonce }
}

/** A key that was made for one message is wiped once the cipher has taken it. */
function forget(messageKey: Key, key: Key): void {
  if (messageKey !== key && messageKey instanceof Uint8Array) messageKey.fill(0)
}

/** HChaCha20 (draft-irtf-cfrg-xchacha §2.2), which OpenSSL does not offer by itself. */
export function hchacha20(key: Key, nonce: Uint8Array): Buffer {
  const words = (bytes: Uint8Array) => new Uint32Array(Uint8Array.from(bytes).buffer)
  const secret = words(key instanceof Uint8Array ? key : key.export())
  const out = new Uint32Array(8)
  hchacha(SIGMA, secret, words(nonce), out)
  secret.fill(0)
  return Buffer.from(out.buffer)
}
