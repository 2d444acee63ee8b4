/** Encrypting and decrypting one message with a version of a key. */
import { createHmac, type KeyObject, subtle } from 'node:crypto'
import { decodeBase64 } from '#lib/base64.ts'
import type { Mount } from '#sdk/engine.ts'
import { decrypt, encrypt, freshNonce } from './aead.ts'
import { labelled, usableVersion, versionOf } from './ciphertext.ts'
import { derive, NONCE_KEY_BYTES } from './derive.ts'
import { type KeyEntry, refuse } from './key.ts'
import { kept, materialOf } from './loaded.ts'
import type { Material } from './material.ts'
import { type AeadType, keyTypes } from './types.ts'

export interface Message {
  /** Decoded; empty where none was given. */
  context: Uint8Array
  associated: Uint8Array
}

/** From this version on the key of the nonces is derived as well; version 2 took the HMAC key. */
const DERIVED_NONCES = 3

export async function encryptMessage(
  mount: Mount,
  key: Readonly<KeyEntry>,
  plain: Buffer,
  { context, associated, keyVersion }: Message & { keyVersion: number },
): Promise<{ ciphertext: string; version: number }> {
  const type = keyTypes[key.type]
  if (type.family !== 'aead' && type.family !== 'rsa') {
    refuse(`message encryption not supported for key type ${key.type}`)
  }
  const version = usableVersion(key, keyVersion, 'encryption')
  const material = kept(key, version) ?? (await materialOf(mount, key, version))
  let sealed: Buffer
  if (type.family === 'rsa') {
    // What OAEP with SHA-256 takes away (RFC 8017 §7.1.1).
    if (plain.length > type.bits / 8 - 66) refuse('crypto/rsa: message too long for RSA key size')
    sealed = Buffer.from(await oaep('encrypt', material.public!, plain))
  } else {
    sealed = sealWith(type, key, material, { plain, context, associated })
  }
  return { ciphertext: labelled(version, sealed.toString('base64')), version }
}

export async function decryptMessage(
  mount: Mount,
  key: Readonly<KeyEntry>,
  ciphertext: string,
  { context, associated }: Message,
): Promise<Buffer> {
  const type = keyTypes[key.type]
  if (type.family !== 'aead' && type.family !== 'rsa') {
    refuse(`message decryption not supported for key type ${key.type}`)
  }
  const { version, payload } = versionOf(key, ciphertext, 'ciphertext')
  const sealed = decodeBase64(payload) ?? refuse('invalid ciphertext: could not decode base64')
  const material = kept(key, version) ?? (await materialOf(mount, key, version))
  if (type.family === 'aead') return openWith(type, key, material, { sealed, context, associated })
  if (!material.private) refuse('requested version for decryption contains a public key only')
  try {
    return Buffer.from(await oaep('decrypt', material.private, sealed))
  } catch {
    // OpenSSL's own words would tell a wrong padding from a wrong length, which is how such ciphers are attacked.
    refuse('invalid ciphertext: unable to decrypt')
  }
}

interface Sealing extends Message {
  plain: Buffer
}

function sealWith(type: AeadType, key: Readonly<KeyEntry>, material: Material, message: Sealing): Buffer {
  if (!key.derived) {
    return encrypt(type, material.secret!, freshNonce(type.nonceBytes), message.plain, message.associated)
  }
  const derived = derivedKeys(type, key, material, message.context)
  // The same text in the same context gets the same nonce, and so the same ciphertext; another text another nonce.
  const nonce = derived.nonceKey
    ? createHmac('sha256', derived.nonceKey).update(message.plain).digest().subarray(0, type.nonceBytes)
    : freshNonce(type.nonceBytes)
  const sealed = encrypt(type, derived.key, nonce, message.plain, message.associated)
  derived.all.fill(0)
  return sealed
}

function openWith(
  type: AeadType,
  key: Readonly<KeyEntry>,
  material: Material,
  { sealed, context, associated }: Message & { sealed: Buffer },
): Buffer {
  if (sealed.length < type.nonceBytes) refuse('invalid ciphertext length')
  const derived = key.derived ? derivedKeys(type, key, material, context) : undefined
  const plain = decrypt(type, derived?.key ?? material.secret!, sealed, associated)
  derived?.all.fill(0)
  return plain ?? refuse('invalid ciphertext: unable to decrypt')
}

interface DerivedKeys {
  key: Buffer
  /** Of convergent keys. */
  nonceKey: KeyObject | Buffer | undefined
  /** All bytes that were derived, to be wiped. */
  all: Buffer
}

function derivedKeys(type: AeadType, key: Readonly<KeyEntry>, material: Material, context: Uint8Array): DerivedKeys {
  if (context.length === 0) {
    refuse(
      "missing 'context' for key derivation; the key was created using a derived key, which means additional, " +
        'per-request information must be included in order to perform operations with the key',
    )
  }
  const version = key.convergent ? material.convergentVersion || key.convergent_version : 0
  if (key.convergent && version < 2) refuse('convergent encryption of version 1 is not supported: it reuses nonces')
  const bytes = type.keyBytes + (version >= DERIVED_NONCES ? NONCE_KEY_BYTES : 0)
  const all = derive(key.kdf, material.secret!, context, bytes)
  const nonceKey = version >= DERIVED_NONCES ? all.subarray(type.keyBytes) : version === 2 ? material.hmac : undefined
  return { key: all.subarray(0, type.keyBytes), nonceKey, all }
}

/** RSA-OAEP with SHA-256 and no label (RFC 8017 §7.1), on the thread pool. */
async function oaep(what: 'encrypt' | 'decrypt', key: KeyObject, bytes: Buffer): Promise<ArrayBuffer> {
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' }
  return subtle[what](algorithm, key.toCryptoKey(algorithm, false, [what]), new Uint8Array(bytes))
}
