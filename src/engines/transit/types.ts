/** The types of keys, what each can do, and the number each has in a backup. Pure. */
import { ApiError } from '#sdk/errors.ts'

/** What a key of this kind works with. */
export type Family = 'aead' | 'ed25519' | 'ecdsa' | 'rsa' | 'hmac'

interface TypeOf<F extends Family> {
  family: F
  /** In backups, as the reference numbers them. */
  number: number
}

export type AeadType = TypeOf<'aead'> & {
  cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  keyBytes: 16 | 32
  /** 24: the extended nonce of XChaCha20, from which a key of its own is made for each message. */
  nonceBytes: 12 | 24
}

export type EcdsaType = TypeOf<'ecdsa'> & {
  /** As keys are shown. */
  curve: 'P-256' | 'P-384' | 'P-521'
  nodeCurve: 'prime256v1' | 'secp384r1' | 'secp521r1'
  /** Of one number of a signature, and of a coordinate. */
  fieldBytes: 32 | 48 | 66
}

export type RsaType = TypeOf<'rsa'> & { bits: 2048 | 3072 | 4096 }

export type KeyType = AeadType | EcdsaType | RsaType | TypeOf<'ed25519'> | TypeOf<'hmac'>

export type TypeName =
  | 'aes128-gcm96'
  | 'aes256-gcm96'
  | 'chacha20-poly1305'
  | 'xchacha20-poly1305'
  | 'ed25519'
  | 'ecdsa-p256'
  | 'ecdsa-p384'
  | 'ecdsa-p521'
  | 'rsa-2048'
  | 'rsa-3072'
  | 'rsa-4096'
  | 'hmac'

export const keyTypes: Record<TypeName, KeyType> = {
  'aes256-gcm96': { family: 'aead', number: 0, cipher: 'aes-256-gcm', keyBytes: 32, nonceBytes: 12 },
  'aes128-gcm96': { family: 'aead', number: 8, cipher: 'aes-128-gcm', keyBytes: 16, nonceBytes: 12 },
  'chacha20-poly1305': { family: 'aead', number: 5, cipher: 'chacha20-poly1305', keyBytes: 32, nonceBytes: 12 },
  'xchacha20-poly1305': { family: 'aead', number: 11, cipher: 'chacha20-poly1305', keyBytes: 32, nonceBytes: 24 },
  ed25519: { family: 'ed25519', number: 2 },
  'ecdsa-p256': { family: 'ecdsa', number: 1, curve: 'P-256', nodeCurve: 'prime256v1', fieldBytes: 32 },
  'ecdsa-p384': { family: 'ecdsa', number: 6, curve: 'P-384', nodeCurve: 'secp384r1', fieldBytes: 48 },
  'ecdsa-p521': { family: 'ecdsa', number: 7, curve: 'P-521', nodeCurve: 'secp521r1', fieldBytes: 66 },
  'rsa-2048': { family: 'rsa', number: 3, bits: 2048 },
  'rsa-3072': { family: 'rsa', number: 9, bits: 3072 },
  'rsa-4096': { family: 'rsa', number: 4, bits: 4096 },
  hmac: { family: 'hmac', number: 10 },
}

/** @throws ApiError `invalid_request` */
export function typeNamed(name: string): TypeName {
  if (Object.hasOwn(keyTypes, name)) return name as TypeName
  throw new ApiError('invalid_request', `unknown key type ${name}`)
}

export function encrypts({ family }: KeyType): boolean {
  return family === 'aead' || family === 'rsa'
}

export function derives({ family }: KeyType): boolean {
  return family === 'aead' || family === 'ed25519'
}

export function signs({ family }: KeyType): boolean {
  return family === 'ed25519' || family === 'ecdsa' || family === 'rsa'
}
