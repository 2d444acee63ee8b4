/**
 * ECDSA signatures of a digest that the caller made. node:crypto signs messages only, so these are made by a library, on a
 * thread of their own since they take milliseconds. Nonces are those of RFC 6979, with fresh randomness mixed in (§3.6).
 */
import type { KeyObject } from 'node:crypto'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import type { EcdsaType } from './types.ts'

const curves: Record<EcdsaType['curve'], typeof p256> = { 'P-256': p256, 'P-384': p384, 'P-521': p521 }

/** Signatures are two numbers of `fieldBytes` each, as in JWS; of the two values of s that fit, either is one. */
const FORM = { prehash: false, lowS: false, format: 'compact' } as const

export function signDigest(type: EcdsaType, key: KeyObject, digest: Uint8Array): Buffer {
  const secret = Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url')
  try {
    return Buffer.from(curves[type.curve].sign(digest, secret, { ...FORM, extraEntropy: true }))
  } finally {
    secret.fill(0)
  }
}

export function verifyDigest(type: EcdsaType, key: KeyObject, digest: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 2 * type.fieldBytes) return false
  const { x, y } = key.export({ format: 'jwk' })
  const coordinates = [x!, y!].map((text) => Buffer.from(text, 'base64url'))
  return curves[type.curve].verify(signature, digest, Buffer.concat([Buffer.of(4), ...coordinates]), FORM)
}
