/** The hash algorithms by their names in this API. Pure. */

export interface Hash {
  /** In this API. */
  name: string
  /** Of node:crypto. */
  node: string
  bytes: number
  /** DER of DigestInfo before the digest (RFC 8017 §9.2 note 1). */
  digestInfo: Buffer
}

/** The last arc of 2.16.840.1.101.3.4.2, below which NIST numbers its hash algorithms. */
function nist(name: string, node: string, bytes: number, arc: number): Hash {
  const head = [
    0x30,
    17 + bytes,
    0x30,
    13,
    0x06,
    9,
    0x60,
    0x86,
    0x48,
    0x01,
    0x65,
    0x03,
    0x04,
    0x02,
    arc,
    5,
    0,
    4,
    bytes,
  ]
  return { name, node, bytes, digestInfo: Buffer.from(head) }
}

const sha1: Hash = {
  name: 'sha1',
  node: 'sha1',
  bytes: 20,
  digestInfo: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
}

/** For digests and HMACs. */
const safe: Readonly<Record<string, Hash>> = {
  'sha2-224': nist('sha2-224', 'sha224', 28, 4),
  'sha2-256': nist('sha2-256', 'sha256', 32, 1),
  'sha2-384': nist('sha2-384', 'sha384', 48, 2),
  'sha2-512': nist('sha2-512', 'sha512', 64, 3),
  'sha3-224': nist('sha3-224', 'sha3-224', 28, 7),
  'sha3-256': nist('sha3-256', 'sha3-256', 32, 8),
  'sha3-384': nist('sha3-384', 'sha3-384', 48, 9),
  'sha3-512': nist('sha3-512', 'sha3-512', 64, 10),
}

export const DEFAULT_HASH = 'sha2-256'

export function hashNamed(name: string): Hash | undefined {
  return Object.hasOwn(safe, name) ? safe[name] : undefined
}

/** Signatures may still use SHA-1: old verifiers know nothing else. */
export function signatureHash(name: string): Hash | undefined {
  return name === 'sha1' ? sha1 : hashNamed(name)
}
