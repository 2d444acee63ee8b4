/** Signing and verifying one message with a version of a key. */
import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { aside } from './aside.ts'
import { derive } from './derive.ts'
import { ed25519Private, rawPublic } from './ed25519.ts'
import type { Hash } from './hashes.ts'
import { type KeyEntry, refuse } from './key.ts'
import type { Material } from './material.ts'
import { longestSalt, type SaltLength, verifyPkcs1, verifyPss } from './rsa-digest.ts'
import { fromRaw, toRaw } from './ecdsa-form.ts'
import { type EcdsaType, keyTypes, type TypeName } from './types.ts'

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
      return { bytes: await signEcdsa(key.type, type, material.private, input, options) }
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
      return verifyEcdsa(key.type, type, material.public!, { input, signature }, options)
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

async function signEcdsa(
  name: TypeName,
  type: EcdsaType,
  key: KeyObject,
  input: Buffer,
  { hash, prehashed, marshaling }: SignOptions,
): Promise<Buffer> {
  if (!prehashed) {
    const form = { key, dsaEncoding: marshaling === 'jws' ? 'ieee-p1363' : 'der' } as const
    return isFast(type) ? sign(named(hash).node, input, form) : signLater(named(hash).node, input, form)
  }
  const raw = await aside.run({ kind: 'ecdsa-sign', key, type: name, digest: input })
  const bytes = Buffer.from(raw as Uint8Array)
  return marshaling === 'jws' ? bytes : fromRaw(bytes)
}

async function verifyEcdsa(
  name: TypeName,
  type: EcdsaType,
  key: KeyObject,
  { input, signature }: { input: Buffer; signature: Buffer },
  { hash, prehashed, marshaling }: SignOptions,
): Promise<boolean> {
  if (!prehashed) {
    const form = { key, dsaEncoding: marshaling === 'jws' ? 'ieee-p1363' : 'der' } as const
    const { node } = named(hash)
    return isFast(type) ? verify(node, input, form, signature) : verifyLater(node, input, form, signature)
  }
  const raw = marshaling === 'jws' ? signature : toRaw(signature, type.fieldBytes)
  if (!raw) return false
  return (await aside.run({ kind: 'ecdsa-verify', key, type: name, digest: input, signature: raw })) === true
}

/** OpenSSL has P-256 in assembler: 20 µs, less than the way to the thread pool; the others take a millisecond or two. */
function isFast(type: EcdsaType): boolean {
  return type.curve === 'P-256'
}

async function signRsa(key: KeyObject, input: Buffer, options: SignOptions): Promise<Buffer> {
  const { hash, prehashed, scheme, saltLength } = options
  if (scheme === 'pss' && typeof saltLength === 'number' && saltLength > longestSalt(key, named(hash))) {
    refuse('crypto/rsa: salt length is too long for this key')
  }
  if (!prehashed) return signLater(named(hash).node, input, withPadding(key, options))
  checkDigest(input, hash)
  // Padding of PKCS #1 v1.5 takes 11 bytes (RFC 8017 §9.2).
  if (!hash && input.length > key.asymmetricKeyDetails!.modulusLength! / 8 - 11) {
    refuse('crypto/rsa: message too long for RSA key size')
  }
  const task = { kind: 'rsa-sign', key, digest: input, hash: hash?.name, scheme, saltLength } as const
  return Buffer.from((await aside.run(task)) as Uint8Array)
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
