/**
 * Public-key algorithms of certificates: how a signature is named in DER, and made.
 *
 * RFC 5758 (ECDSA), RFC 8017 with RFC 4055 (RSA, PSS), RFC 8410 (Ed25519).
 */
import { constants, createPublicKey, hash, type KeyObject, sign } from 'node:crypto'
import { explicit, nothing, oid, sequence, smallInteger } from '#lib/der.ts'

export type KeyType = 'rsa' | 'ec' | 'ed25519'
export type HashBits = 256 | 384 | 512

export interface Signing {
  key: KeyObject
  /** AlgorithmIdentifier in DER. */
  identifier: Buffer
  digest: string | undefined
  /** Bytes of salt for PSS; undefined: not PSS. */
  saltBytes: number | undefined
}

const hashes: Record<HashBits, { oid: string; name: string; ecdsa: string; rsa: string }> = {
  256: { oid: '2.16.840.1.101.3.4.2.1', name: 'sha256', ecdsa: '1.2.840.10045.4.3.2', rsa: '1.2.840.113549.1.1.11' },
  384: { oid: '2.16.840.1.101.3.4.2.2', name: 'sha384', ecdsa: '1.2.840.10045.4.3.3', rsa: '1.2.840.113549.1.1.12' },
  512: { oid: '2.16.840.1.101.3.4.2.3', name: 'sha512', ecdsa: '1.2.840.10045.4.3.4', rsa: '1.2.840.113549.1.1.13' },
}

export const ED25519 = '1.3.101.112'
const PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'

/** Asked of OpenSSL once for each key. */
const detailsOf = new WeakMap<KeyObject, { bits: number; isQuick: boolean }>()

/** Undefined for what certificates here have no use for: other types, curves that are not NIST's, RSA for PSS alone. */
export function keyTypeOf(key: KeyObject): KeyType | undefined {
  const type = key.asymmetricKeyType
  if (type === 'ec') return known(key).bits > 0 ? type : undefined
  return type === 'rsa' || type === 'ed25519' ? type : undefined
}

/** NIST curves by bits: their names in OpenSSL. */
export const curves: Record<number, string> = {
  224: 'secp224r1',
  256: 'prime256v1',
  384: 'secp384r1',
  521: 'secp521r1',
}

/** Bits of an RSA or EC key; 0 for Ed25519 and for curves that are not NIST's. */
export const keyBitsOf = (key: KeyObject): number => known(key).bits

function known(key: KeyObject): { bits: number; isQuick: boolean } {
  let details = detailsOf.get(key)
  if (!details) {
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
    const curve = Object.entries(curves).find(([, name]) => name === namedCurve)
    const bits = modulusLength ?? (curve ? Number(curve[0]) : 0)
    details = { bits, isQuick: key.asymmetricKeyType === 'ed25519' || (namedCurve !== undefined && bits === 256) }
    detailsOf.set(key, details)
  }
  return details
}

/** @param hashBits  0: what fits the key; ECDSA always takes what fits the curve (Mozilla root store policy §5.1.2) */
export function signingWith(key: KeyObject, hashBits = 0, usePss = false): Signing {
  const type = keyTypeOf(key)
  if (type === 'ed25519') return { key, identifier: sequence(oid(ED25519)), digest: undefined, saltBytes: undefined }
  if (type === 'ec') {
    const bits = keyBitsOf(key)
    const { name, ecdsa } = hashes[bits === 521 ? 512 : bits === 384 ? 384 : 256]
    return { key, identifier: sequence(oid(ecdsa)), digest: name, saltBytes: undefined }
  }
  const wide: HashBits = hashBits === 384 || hashBits === 512 ? hashBits : 256
  const { name, rsa, oid: hashOid } = hashes[wide]
  if (!usePss) return { key, identifier: sequence(oid(rsa), nothing), digest: name, saltBytes: undefined }
  const saltBytes = wide / 8
  const digestIdentifier = sequence(oid(hashOid), nothing)
  const parameters = sequence(
    explicit(0, digestIdentifier),
    explicit(1, sequence(oid(MGF1), digestIdentifier)),
    explicit(2, smallInteger(saltBytes)),
  )
  return { key, identifier: sequence(oid(PSS), parameters), digest: name, saltBytes }
}

/** P-256 and Ed25519 take some 25 µs and are made on the spot; RSA, larger curves and what is long, on the thread pool. */
export function signed({ key, digest, saltBytes }: Signing, bytes: Uint8Array): Promise<Buffer> | Buffer {
  const options =
    saltBytes === undefined ? key : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltBytes }
  if (known(key).isQuick && bytes.byteLength < 64 * 1024) return sign(digest, bytes, options)
  return new Promise((resolve, reject) => {
    sign(digest, bytes, options, (error, signature) => (error ? reject(error) : resolve(signature)))
  })
}

/** SubjectPublicKeyInfo in DER. */
export function spkiOf(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' })
}

/**
 * The usual key identifier: SHA-1 of the key's bits (RFC 5280 §4.2.1.2, method 1). No secret depends on it.
 *
 * @param spki  well-formed, as node:crypto writes it
 */
export function keyIdentifier(spki: Uint8Array): Buffer {
  return hash('sha1', bitsOfSpki(spki), 'buffer')
}

/** The bits of the key itself. */
export function bitsOfSpki(spki: Uint8Array): Uint8Array {
  const algorithm = contentAt(spki, 0).from
  const bitString = contentAt(spki, contentAt(spki, algorithm).to)
  return spki.subarray(bitString.from + 1, bitString.to)
}

/** Where the content of the element at `at` begins and ends. */
function contentAt(der: Uint8Array, at: number): { from: number; to: number } {
  const first = der[at + 1]!
  if (first < 0x80) return { from: at + 2, to: at + 2 + first }
  let bytes = 0
  for (let index = 0; index < (first & 0x7f); index += 1) bytes = bytes * 256 + der[at + 2 + index]!
  const from = at + 2 + (first & 0x7f)
  return { from, to: from + bytes }
}
