/**
 * The key ring as it lies in the store, before the root key encrypts it. Binary rather than JSON, since text with keys in
 * it could never be wiped from memory.
 *
 *     format (1) | rotation: enabled (1), maximum of operations (8), interval in seconds (8) | count of terms (4)
 *     then for each term: number (4) | installed, Unix ms (8) | encryptions reserved (8) | key (32)
 *
 * Numbers are big endian; those of 8 bytes are doubles, exact for whole numbers up to 2^53.
 */
import type { RotationPolicy } from '#sdk/seal.ts'

export const KEY_BYTES = 32
/** A ring that grew without end would have to be decrypted on every reservation. */
export const MAX_TERMS = 10_000

const FORMAT = 1
const HEAD_BYTES = 22
const TERM_BYTES = 20 + KEY_BYTES

export interface TermData {
  term: number
  installedAt: Date
  /** Upper bound of the encryptions made under this term, by all processes and those that crashed. */
  reserved: number
  key: Uint8Array
}

export interface RingData {
  rotation: RotationPolicy
  /** Ascending; the last one is for new entries. Never empty. */
  terms: TermData[]
}

/** The caller wipes the result. */
export function packRing(ring: RingData): Buffer {
  const bytes = Buffer.allocUnsafeSlow(HEAD_BYTES + ring.terms.length * TERM_BYTES)
  bytes[0] = FORMAT
  bytes[1] = ring.rotation.enabled ? 1 : 0
  bytes.writeDoubleBE(ring.rotation.maxOperations, 2)
  bytes.writeDoubleBE(ring.rotation.intervalSeconds, 10)
  bytes.writeUInt32BE(ring.terms.length, 18)
  ring.terms.forEach((each, index) => {
    const at = HEAD_BYTES + index * TERM_BYTES
    bytes.writeUInt32BE(each.term, at)
    bytes.writeDoubleBE(each.installedAt.getTime(), at + 4)
    bytes.writeDoubleBE(each.reserved, at + 12)
    bytes.set(each.key, at + 20)
  })
  return bytes
}

/** Undefined if this is no ring. Keys are views of `bytes`: wiping that wipes them. */
export function unpackRing(bytes: Buffer): RingData | undefined {
  if (bytes.length < HEAD_BYTES + TERM_BYTES || bytes[0] !== FORMAT) return undefined
  const count = bytes.readUInt32BE(18)
  if (count > MAX_TERMS || bytes.length !== HEAD_BYTES + count * TERM_BYTES) return undefined
  const terms = Array.from({ length: count }, (_, index): TermData => {
    const at = HEAD_BYTES + index * TERM_BYTES
    return {
      term: bytes.readUInt32BE(at),
      installedAt: new Date(bytes.readDoubleBE(at + 4)),
      reserved: bytes.readDoubleBE(at + 12),
      key: bytes.subarray(at + 20, at + TERM_BYTES),
    }
  })
  const rotation = {
    enabled: bytes[1] === 1,
    maxOperations: bytes.readDoubleBE(2),
    intervalSeconds: bytes.readDoubleBE(10),
  }
  return { rotation, terms }
}
