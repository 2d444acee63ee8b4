/**
 * ECDSA signatures of a digest that the caller made. OpenSSL through node:crypto signs messages only, so this asks it for
 * the signature of another message, by another key, that is the same signature but for a factor:
 *
 * s = (e + r·d) / k. With f = e′/e, where e′ is the digest of a message of our own, the key d·f signs that message as
 * s′ = (e′ + r·d·f) / k = f·s. So s = s′ / f, and to verify, s·f must be a signature of our message by the key f·Q.
 *
 * Nonces, and every operation with points, stay OpenSSL's. Of the private key only one product is made here, with a factor
 * that is random each time.
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  ECDH,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { fromBytes, inverse, toBytes } from '#lib/bignum.ts'
import type { EcdsaType } from './types.ts'

interface Curve {
  /** Order of the group. */
  n: bigint
  /** Of the field. */
  p: bigint
  bits: number
}

/** SP 800-186 §3.2.1. */
const curves: Record<EcdsaType['curve'], Curve> = {
  'P-256': {
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    bits: 256,
  },
  'P-384': {
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    bits: 384,
  },
  'P-521': {
    n: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    p: (1n << 521n) - 1n,
    bits: 521,
  },
}

/** Of the messages of our own; any would do, and none is longer than the order. */
const OWN_HASH = 'sha256'
const OWN_BITS = 256

/** Two numbers of `fieldBytes` each, as in JWS. Undefined for a digest of which there is no signature: nothing but zeros. */
export function signDigest(type: EcdsaType, key: KeyObject, digest: Buffer): Buffer | undefined {
  const curve = curves[type.curve]
  const factor = factorFor(curve, digest)
  if (!factor) return undefined
  const own = fromBytes(Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url'))
  const other = privateKey(type, (own * factor.f) % curve.n)
  const signature = sign(OWN_HASH, factor.message, { key: other, dsaEncoding: 'ieee-p1363' })
  const s = (fromBytes(signature.subarray(type.fieldBytes)) * inverse(factor.f, curve.n)) % curve.n
  return Buffer.concat([signature.subarray(0, type.fieldBytes), toBytes(s, type.fieldBytes)])
}

/** @param signature  two numbers of `fieldBytes` each */
export function verifyDigest(type: EcdsaType, key: KeyObject, digest: Buffer, signature: Buffer): boolean {
  const curve = curves[type.curve]
  const factor = factorFor(curve, digest)
  if (!factor || signature.length !== 2 * type.fieldBytes) return false
  const s = fromBytes(signature.subarray(type.fieldBytes))
  if (s === 0n || s >= curve.n) return false
  const scaled = toBytes((s * factor.f) % curve.n, type.fieldBytes)
  const other = multiple(type, key, factor.f)
  if (!other) return false
  const ours = Buffer.concat([signature.subarray(0, type.fieldBytes), scaled])
  return verify(OWN_HASH, factor.message, { key: other, dsaEncoding: 'ieee-p1363' }, ours)
}

/** A message of our own, and how its digest stands to the one that was given. */
function factorFor(curve: Curve, digest: Buffer): { message: Buffer; f: bigint } | undefined {
  // The leftmost bits, as many as the order has (FIPS 186-5 §6.4.1).
  const excess = Math.max(0, digest.length * 8 - curve.bits)
  const e = (fromBytes(digest) >> BigInt(excess)) % curve.n
  if (e === 0n) return undefined
  const message = randomBytes(32)
  const own = fromBytes(createHash(OWN_HASH).update(message).digest()) >> BigInt(Math.max(0, OWN_BITS - curve.bits))
  const f = ((own % curve.n) * inverse(e, curve.n)) % curve.n
  // That our digest is zero, or f so special, has one chance in 2^250.
  return f > 1n && f < curve.n - 1n ? { message, f } : undefined
}

/**
 * The public key f·Q. ECDH gives its first coordinate, which two points share; which of the two it is tells the first
 * coordinate of (f+1)·Q, the sum of the right one and Q. Taking either would accept a signature for the negative digest.
 */
function multiple(type: EcdsaType, key: KeyObject, f: bigint): KeyObject | undefined {
  const { p } = curves[type.curve]
  const firstOf = (factor: bigint) => diffieHellman({ privateKey: privateKey(type, factor), publicKey: key })
  const x = firstOf(f)
  const next = fromBytes(firstOf(f + 1n))
  const jwk = key.export({ format: 'jwk' })
  const [x0, y0] = [jwk.x!, jwk.y!].map((text) => fromBytes(Buffer.from(text, 'base64url'))) as [bigint, bigint]
  for (const sign of [2, 3]) {
    const point = ECDH.convertKey(Buffer.concat([Buffer.from([sign]), x]), type.nodeCurve) as Buffer
    const y = fromBytes(point.subarray(1 + type.fieldBytes))
    const run = fromBytes(x) - x0
    const slope = ((y - y0) * inverse(run, p)) % p
    const sum = (slope * slope - x0 - fromBytes(x)) % p
    if ((sum + p) % p === next) return publicKey(type, point)
  }
  return undefined
}

function privateKey(type: EcdsaType, d: bigint): KeyObject {
  const pair = createECDH(type.nodeCurve)
  const secret = toBytes(d, type.fieldBytes)
  pair.setPrivateKey(secret)
  const jwk = { ...jwkOf(type, pair.getPublicKey()), d: secret.toString('base64url') }
  secret.fill(0)
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

function publicKey(type: EcdsaType, point: Buffer): KeyObject {
  return createPublicKey({ key: jwkOf(type, point), format: 'jwk' })
}

/** @param point  uncompressed: 4 and the two coordinates */
function jwkOf(type: EcdsaType, point: Buffer) {
  const x = point.subarray(1, 1 + type.fieldBytes).toString('base64url')
  const y = point.subarray(1 + type.fieldBytes).toString('base64url')
  return { kty: 'EC', crv: type.curve, x, y }
}
