/** Signing and verifying one message with a version of a key. */
import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { derive } from './derive.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { ed25519Private, rawPublic } from './ed25519.ts'
import type { Hash } from './hashes.ts'
import { type KeyEntry, refuse } from './key.ts'
import type { Material } from './material.ts'
import { longestSalt, type SaltLength, signPkcs1, signPss, verifyPkcs1, verifyPss } from './rsa-digest.ts'
import { fromRaw, toRaw } from './ecdsa-form.ts'
import { type EcdsaType, keyTypes } from './types.ts'

export interface SignOptions {
  /** Undefined: none, the input is signed without a name of its hash. */
  hash: Hash | undefined
  /** The input is a digest. */
  prehashed: boolean
  scheme: 'pss' | 'pkcs1v15'
  marshaling: 'asn1' | 'jws'
  saltLength: SaltLength
}

export interface Signed {
  bytes: Buffer
  /** Of keys that are derived: which one signed. */
  publicKey?: Buffer
}

const ED25519_BYTES = 32

const signLater = promisify(sign)
const verifyLater = promisify(verify)

export async function signMessage(
  key: Readonly<KeyEntry>,
  material: Material,
  input: Buffer,
  context: Uint8Array,
  options: SignOptions,
): Promise<Signed> {
  const type = keyTypes[key.type]
  if (!material.private) refuse('requested version for signing does not contain a private part')
  switch (type.family) {
    case 'ed25519': {
      if (!key.derived) return { bytes: sign(null, input, material.private) }
      const own = derivedKey(key, material, context)
      const publicKey = rawPublic(createPublicKey(own.export({ format: 'pem', type: 'pkcs8' })))
      return { bytes: sign(null, input, own), publicKey }
    }
    case 'ecdsa':
      return { bytes: signEcdsa(type, material.private, input, options) }
    case 'rsa':
      return { bytes: await signRsa(material.private, input, options) }
    case 'aead':
    case 'hmac':
      refuse(`message signing not supported for key type ${key.type}`)
  }
}

export async function verifyMessage(
  key: Readonly<KeyEntry>,
  material: Material,
  { input, signature, context }: { input: Buffer; signature: Buffer; context: Uint8Array },
  options: SignOptions,
): Promise<boolean> {
  const type = keyTypes[key.type]
  switch (type.family) {
    case 'ed25519': {
      if (!key.derived) return verify(null, input, material.public!, signature)
      const own = createPublicKey(derivedKey(key, material, context).export({ format: 'pem', type: 'pkcs8' }))
      return verify(null, input, own, signature)
    }
    case 'ecdsa':
      return verifyEcdsa(type, material.public!, input, signature, options)
    case 'rsa':
      return verifyRsa(material.public!, input, signature, options)
    case 'aead':
    case 'hmac':
      refuse(`message verification not supported for key type ${key.type}`)
  }
}

function derivedKey(key: Readonly<KeyEntry>, material: Material, context: Uint8Array): KeyObject {
  if (context.length === 0) {
    refuse(
      "missing 'context' for key derivation; the key was created using a derived key, which means additional, " +
        'per-request information must be included in order to perform operations with the key',
    )
  }
  const seed = derive(key.kdf, material.secret!, context, ED25519_BYTES)
  const own = ed25519Private(seed)
  seed.fill(0)
  return own
}

function signEcdsa(type: EcdsaType, key: KeyObject, input: Buffer, options: SignOptions): Buffer {
  const { hash, prehashed, marshaling } = options
  if (!prehashed) {
    return sign(named(hash).node, input, { key, dsaEncoding: marshaling === 'jws' ? 'ieee-p1363' : 'der' })
  }
  const raw = signDigest(type, key, input) ?? refuse('a digest of zeros cannot be signed')
  return marshaling === 'jws' ? raw : fromRaw(raw)
}

function verifyEcdsa(
  type: EcdsaType,
  key: KeyObject,
  input: Buffer,
  signature: Buffer,
  { hash, prehashed, marshaling }: SignOptions,
): boolean {
  if (!prehashed) {
    const dsaEncoding = marshaling === 'jws' ? 'ieee-p1363' : 'der'
    return verify(named(hash).node, input, { key, dsaEncoding }, signature)
  }
  const raw = marshaling === 'jws' ? signature : toRaw(signature, type.fieldBytes)
  return raw !== undefined && verifyDigest(type, key, input, raw)
}

async function signRsa(key: KeyObject, input: Buffer, options: SignOptions): Promise<Buffer> {
  const { hash, prehashed, scheme, saltLength } = options
  if (scheme === 'pss' && typeof saltLength === 'number' && saltLength > longestSalt(key, named(hash))) {
    refuse('crypto/rsa: salt length is too long for this key')
  }
  if (!prehashed) return signLater(named(hash).node, input, withPadding(key, options))
  checkDigest(input, hash)
  return scheme === 'pkcs1v15' ? signPkcs1(key, input, hash) : signPss(key, input, named(hash), saltLength)
}

async function verifyRsa(key: KeyObject, input: Buffer, signature: Buffer, options: SignOptions): Promise<boolean> {
  const { hash, prehashed, scheme, saltLength } = options
  if (!prehashed) return verifyLater(named(hash).node, input, withPadding(key, options), signature)
  checkDigest(input, hash)
  return scheme === 'pkcs1v15'
    ? verifyPkcs1(key, input, hash, signature)
    : verifyPss(key, input, named(hash), saltLength, signature)
}

function checkDigest(input: Buffer, hash: Hash | undefined): void {
  if (hash && input.length !== hash.bytes) refuse('crypto/rsa: input must be hashed message')
}

function withPadding(key: KeyObject, { scheme, saltLength }: SignOptions) {
  if (scheme === 'pkcs1v15') return { key, padding: constants.RSA_PKCS1_PADDING }
  const named = { auto: constants.RSA_PSS_SALTLEN_AUTO, hash: constants.RSA_PSS_SALTLEN_DIGEST }
  const length = typeof saltLength === 'number' ? saltLength : named[saltLength]
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: length }
}

function named(hash: Hash | undefined): Hash {
  return hash ?? refuse('hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15')
}
