/**
 * RSA signatures of a digest that the caller made. OpenSSL through node:crypto signs messages only, so the encoding of the
 * digest stands here (RFC 8017 §9) and the private key is used without padding of its own. Everything but that one
 * operation works on what is public: digests, salts and signatures.
 */
import {
  constants,
  createHash,
  type KeyObject,
  privateEncrypt,
  publicDecrypt,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { Hash } from './hashes.ts'

const { RSA_NO_PADDING, RSA_PKCS1_PADDING } = constants

/** As long as the key allows, the length of the hash, or so many bytes. */
export type SaltLength = 'auto' | 'hash' | number

/**
 * PKCS #1 v1.5.
 *
 * @param hash  undefined: the digest stands alone, without the name of its algorithm
 */
export function signPkcs1(key: KeyObject, digest: Buffer, hash: Hash | undefined): Buffer {
  return privateEncrypt({ key, padding: RSA_PKCS1_PADDING }, digestInfo(digest, hash))
}

export function verifyPkcs1(key: KeyObject, digest: Buffer, hash: Hash | undefined, signature: Buffer): boolean {
  const wanted = digestInfo(digest, hash)
  const given = opened(key, signature, RSA_PKCS1_PADDING)
  return given !== undefined && given.length === wanted.length && timingSafeEqual(given, wanted)
}

function digestInfo(digest: Buffer, hash: Hash | undefined): Buffer {
  return hash === undefined ? digest : Buffer.concat([hash.digestInfo, digest])
}

/** Bytes for which there is room beside the hash (RFC 8017 §9.1.1). */
export function longestSalt(key: KeyObject, hash: Hash): number {
  return Math.ceil((modulusBits(key) - 1) / 8) - hash.bytes - 2
}

/** PSS with MGF1 of the same hash. @throws RangeError if the salt has no room */
export function signPss(key: KeyObject, digest: Buffer, hash: Hash, length: SaltLength): Buffer {
  const bits = modulusBits(key) - 1
  const bytes = Math.ceil(bits / 8)
  const saltBytes = length === 'auto' ? longestSalt(key, hash) : length === 'hash' ? hash.bytes : length
  const padding = longestSalt(key, hash) - saltBytes
  if (padding < 0) throw new RangeError('the salt has no room')
  const salt = randomBytes(saltBytes)
  const sum = hashed(hash, Buffer.alloc(8), digest, salt)
  const block = Buffer.concat([Buffer.alloc(padding), Buffer.from([1]), salt])
  const masked = xor(block, mask(hash, sum, block.length))
  masked[0]! &= 0xff >> (8 * bytes - bits)
  return privateEncrypt({ key, padding: RSA_NO_PADDING }, whole(key, Buffer.concat([masked, sum, Buffer.from([0xbc])])))
}

export function verifyPss(key: KeyObject, digest: Buffer, hash: Hash, length: SaltLength, signature: Buffer): boolean {
  const bits = modulusBits(key) - 1
  const bytes = Math.ceil(bits / 8)
  const encoded = opened(key, signature, RSA_NO_PADDING)?.subarray(-bytes)
  if (!encoded || bytes < hash.bytes + 2 || encoded.at(-1) !== 0xbc) return false
  const sum = encoded.subarray(-1 - hash.bytes, -1)
  const masked = encoded.subarray(0, bytes - hash.bytes - 1)
  const unused = 0xff & ~(0xff >> (8 * bytes - bits))
  if ((masked[0]! & unused) !== 0) return false
  const block = xor(masked, mask(hash, sum, masked.length))
  block[0]! &= ~unused
  const one = block.findIndex((byte) => byte !== 0)
  if (one < 0 || block[one] !== 1) return false
  const salt = block.subarray(one + 1)
  const wanted = length === 'auto' ? salt.length : length === 'hash' ? hash.bytes : length
  return salt.length === wanted && timingSafeEqual(hashed(hash, Buffer.alloc(8), digest, salt), sum)
}

/** Undefined when it is no signature of this key's size, or its padding is wrong. */
function opened(key: KeyObject, signature: Buffer, padding: number): Buffer | undefined {
  if (signature.length !== modulusBits(key) / 8) return undefined
  try {
    return publicDecrypt({ key, padding }, signature)
  } catch {
    // Not a number below the modulus, or another padding: no signature.
    return undefined
  }
}

/** As long as the modulus: a key whose bits are 1 more than a whole number of bytes has a byte more. */
function whole(key: KeyObject, encoded: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(modulusBits(key) / 8 - encoded.length), encoded])
}

/** All keys here have a whole number of bytes. */
function modulusBits(key: KeyObject): number {
  return key.asymmetricKeyDetails!.modulusLength!
}

/** MGF1 (RFC 8017 §B.2.1). */
function mask(hash: Hash, seed: Buffer, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let count = 0; count * hash.bytes < bytes; count++) {
    blocks.push(hashed(hash, seed, Buffer.from([count >>> 24, count >>> 16, count >>> 8, count])))
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

function hashed(hash: Hash, ...parts: Buffer[]): Buffer {
  const state = createHash(hash.node)
  for (const part of parts) state.update(part)
  return state.digest()
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ other[index]!))
}
