/**
 * Private keys of issuers. What is no secret of a key and what is are kept apart, so that the first may stay in the cache of
 * decoded entries.
 *
 * Storage below the mount: key/<id> → KeyEntry; key-secret/<id> → KeySecret; key-name/<name> → Pointer; config/keys → KeyConfig.
 */
import { createPrivateKey, generateKeyPair, type KeyObject, randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { curves, keyBitsOf, keyTypeOf, type KeyType, spkiOf } from '#lib/x509/algorithms.ts'
import type { Mount } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { StorageReads, StorageTransaction } from '#sdk/storage.ts'

export interface KeyEntry {
  id: string
  name: string
  type: KeyType
  bits: number
  /** Base64 of its SubjectPublicKeyInfo. */
  public_key: string
}

interface KeySecret {
  /** Base64 of PKCS #8. */
  pkcs8: string
}

export interface Pointer {
  id: string
}

export interface KeyConfig {
  default: string
}

export const MAX_NAME_BYTES = 256

export type Reads = Pick<StorageReads, 'get' | 'list'>

const generate = promisify(generateKeyPair)

/** RSA takes from 25 ms to seconds and is made on the thread pool. @throws ApiError for bits that the type does not have */
export async function generateKey(type: string, bits: number): Promise<KeyObject> {
  const { keyType, keyBits } = checkedKind(type, bits)
  if (keyType === 'ed25519') return (await generate('ed25519')).privateKey
  if (keyType === 'ec') return (await generate('ec', { namedCurve: curves[keyBits]! })).privateKey
  return (await generate('rsa', { modulusLength: keyBits })).privateKey
}

/** @param bits  0: what the type usually has */
export function checkedKind(type: string, bits: number): { keyType: KeyType; keyBits: number } {
  switch (type) {
    case 'rsa':
      if (![0, 2048, 3072, 4096, 8192].includes(bits)) refuse(`unsupported bit length for RSA key: ${bits}`)
      return { keyType: type, keyBits: bits || 2048 }
    case 'ec':
      if (bits !== 0 && curves[bits] === undefined) refuse(`unsupported bit length for EC key: ${bits}`)
      return { keyType: type, keyBits: bits || 256 }
    case 'ed25519':
      return { keyType: type, keyBits: 0 }
    default:
      return refuse(`unknown key type ${type}`)
  }
}

export function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}

const privateKeys = new WeakMap<Readonly<KeyEntry>, KeyObject>()

/** Parsed once for as long as the shared entry stays: it is replaced when it changes, and gone after a seal. */
export async function privateKeyOf(
  { storage }: Mount,
  keyId: string,
): Promise<{ entry: Readonly<KeyEntry>; key: KeyObject }> {
  const entry = keyId === '' ? undefined : await storage.getShared<KeyEntry>(`key/${keyId}`)
  if (!entry) return refuse('unable to fetch corresponding key for issuer: it has none here')
  const kept = privateKeys.get(entry)
  if (kept) return { entry, key: kept }
  const secret = await storage.get<KeySecret>(`key-secret/${keyId}`)
  if (!secret)
    throw new ApiError('internal', 'internal error', { reason: `the secret part of key ${keyId} is missing` })
  const key = createPrivateKey({ key: Buffer.from(secret.pkcs8, 'base64'), format: 'der', type: 'pkcs8' })
  privateKeys.set(entry, key)
  return { entry, key }
}

/** `default`, an id or a name → the id of a key that is there. */
export async function resolveKey(storage: Reads, ref: string): Promise<string> {
  if (ref === 'default') {
    const id = (await storage.get<KeyConfig>('config/keys'))?.default
    return id || refuseInternal('no default key currently configured')
  }
  if (fitsKey(ref)) {
    if (await storage.get<KeyEntry>(`key/${ref}`)) return ref
    const named = await storage.get<Pointer>(`key-name/${ref}`)
    if (named) return named.id
  }
  return refuseInternal(`unable to find PKI key for reference: ${ref}`)
}

export function refuseInternal(message: string): never {
  throw new ApiError('internal', `1 error occurred:\n\t* ${message}\n\n`)
}

/** What may stand in a storage key: whatever else a reference holds is the name of nothing. */
export function fitsKey(ref: string): boolean {
  return /^[\w.-]+$/.test(ref) && Buffer.byteLength(ref) <= MAX_NAME_BYTES
}

/**
 * Keep a key, or find that it is kept already.
 *
 * @param name  empty: none
 * @throws ApiError when another key has that name
 */
export async function putKey(
  transaction: StorageTransaction,
  key: KeyObject,
  name: string,
): Promise<{ entry: KeyEntry; existed: boolean }> {
  const publicKey = spkiOf(key).toString('base64')
  for (const id of await transaction.list('key/')) {
    const entry = await transaction.get<KeyEntry>(`key/${id}`)
    if (entry?.public_key === publicKey) return { entry, existed: true }
  }
  await checkKeyName(transaction, name)
  const entry: KeyEntry = {
    id: randomUUID(),
    name,
    type: keyTypeOf(key) ?? refuse('unsupported type of key'),
    bits: keyBitsOf(key),
    public_key: publicKey,
  }
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  transaction.put<KeyEntry>(`key/${entry.id}`, entry)
  transaction.put<KeySecret>(`key-secret/${entry.id}`, { pkcs8 })
  if (name !== '') transaction.put<Pointer>(`key-name/${name}`, { id: entry.id })
  const config = await transaction.get<KeyConfig>('config/keys')
  if (!config?.default) transaction.put<KeyConfig>('config/keys', { default: entry.id })
  return { entry, existed: false }
}

/** @throws ApiError for one that is taken, reserved, or cannot be a name */
export async function checkKeyName(storage: Pick<StorageReads, 'get'>, name: string): Promise<void> {
  if (name === '') return
  if (name === 'default') refuse('reserved keyword `default` can not be used as key name')
  if (!fitsKey(name)) refuse('key name contained invalid characters')
  if (await storage.get<Pointer>(`key-name/${name}`)) refuse('key name already in use')
}

export async function deleteKey(transaction: StorageTransaction, entry: KeyEntry): Promise<boolean> {
  transaction.delete(`key/${entry.id}`)
  transaction.delete(`key-secret/${entry.id}`)
  if (entry.name !== '') transaction.delete(`key-name/${entry.name}`)
  const config = await transaction.get<KeyConfig>('config/keys')
  if (config?.default !== entry.id) return false
  transaction.put<KeyConfig>('config/keys', { default: '' })
  return true
}
