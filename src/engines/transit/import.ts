/** The paths that take keys in which were made elsewhere, and give keys out to other servers. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { isKeyOf } from '#lib/key-pair.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { rawEd25519, rawPublic } from './ed25519.ts'
import {
  changeKey,
  checkedName,
  type KeyEntry,
  keyPath,
  nameField,
  newKey,
  oldestVersion,
  putKey,
  refuse,
  type VersionEntry,
  versionPath,
  withVersion,
} from './key.ts'
import { checkedPeriod } from './keys.ts'
import { encodedPair, HMAC_KEY_BYTES } from './material.ts'
import { derives, type KeyType, keyTypes, typeNamed } from './types.ts'
import { unwrapMaterial } from './wrapping.ts'

const MIN_HMAC_BYTES = 32
const MAX_HMAC_BYTES = 512

const materialFields = {
  name: nameField,
  ciphertext: { type: 'string', about: 'The wrapped key, in base64.', default: '' },
  public_key: { type: 'string', about: 'A public key alone, as PEM.', default: '' },
  hash_function: { type: 'string', about: 'Hash with which the key was wrapped (RSA-OAEP).', default: 'SHA256' },
} as const satisfies Fields
const importFields = {
  ...materialFields,
  type: { type: 'string', about: 'What the key works with.', default: 'aes256-gcm96' },
  allow_rotation: { type: 'boolean', about: 'Whether versions may be made here.', default: false },
  derived: { type: 'boolean', about: 'Whether each use derives a key from a context.', default: false },
  exportable: { type: 'boolean', about: 'Whether the key may be exported.', default: false },
  allow_plaintext_backup: { type: 'boolean', about: 'Whether the key may be backed up.', default: false },
  auto_rotate_period: { type: 'duration', about: 'How often the key gets a new version by itself.', default: 0 },
  context: { type: 'string', about: 'Not used: contexts are given with each use.', default: '' },
} as const satisfies Fields
const versionFields = {
  ...materialFields,
  version: { type: 'integer', about: 'Version that gets its private part; without it, the latest or a new one.' },
} as const satisfies Fields

export const importPaths: readonly Path[] = [
  {
    pattern: 'keys/:name/import',
    about: 'A key that was made elsewhere.',
    operations: { update: endpoint('Import a key.', importFields, importKey) },
  },
  {
    pattern: 'keys/:name/import_version',
    about: 'A version of an imported key.',
    operations: { update: endpoint('Import a version.', versionFields, importVersion) },
  },
]

async function importKey({ mount, data }: Call<typeof importFields>): Promise<Reply> {
  const type = typeNamed(data.type)
  if (data.derived && !derives(keyTypes[type])) {
    fail(`key derivation and convergent encryption not supported for keys of type ${type}`)
  }
  const period = checkedPeriod(data.auto_rotate_period)
  if (period > 0 && !data.allow_rotation) refuse('allow_rotation must be set to true if auto-rotation is enabled')
  const version = await versionOf(keyTypes[type], { mount, data })
  const path = keyPath(checkedName(data.name))
  await mount.storage.transact(async (transaction) => {
    if (await transaction.get<KeyEntry>(path)) {
      fail('the import path cannot be used with an existing key; use import-version to rotate an existing imported key')
    }
    const fresh: KeyEntry = {
      ...newKey(type),
      derived: data.derived,
      kdf: data.derived ? 1 : 0,
      exportable: data.exportable,
      allow_plaintext_backup: data.allow_plaintext_backup,
      auto_rotate_period_seconds: period,
      imported: true,
      allow_rotation: data.allow_rotation,
      key_size: type === 'hmac' ? Buffer.byteLength(version.secret!, 'base64') : 0,
    }
    putKey(transaction, data.name, withVersion(transaction, fresh, version, mount.clock.now()))
  })
  return {}
}

async function importVersion({ mount, data }: Call<typeof versionFields>): Promise<Reply> {
  const { name } = data
  const missing = () =>
    new ApiError('invalid_request', `no key found with name ${name}; to import a new key, use the import/ endpoint`)
  const known = await mount.storage.get<KeyEntry>(keyPath(checkedName(name)))
  if (!known) throw missing()
  const version = await versionOf(keyTypes[known.type], { mount, data })
  await changeKey(mount, name, missing, async (key, transaction) => {
    if (!key.imported || key.type !== known.type) {
      refuse('the import_version endpoint can only be used with an imported key')
    }
    const number = data.version ?? key.latest_version
    if (number < oldestVersion(key) || number > key.latest_version) refuse(`key version ${number} does not exist`)
    const stored = await transaction.get<VersionEntry>(versionPath(key.id, number))
    const lacksPrivate = stored?.secret === undefined && version.secret !== undefined
    if (data.version === undefined && !lacksPrivate) return withVersion(transaction, key, version, mount.clock.now())
    if (!lacksPrivate) refuse('the version has its private key already, or none was given')
    if (stored?.public !== version.public) refuse('the private key does not belong to the public key of this version')
    transaction.put<VersionEntry>(versionPath(key.id, number), { ...stored!, secret: version.secret! })
    return key
  })
  return {}
}

function fail(message: string): never {
  throw new ApiError('internal', oneError(message))
}

/** The version that a request brings: wrapped, or the public part of one. */
async function versionOf(
  about: KeyType,
  { mount, data }: Pick<Call<typeof materialFields>, 'mount' | 'data'>,
): Promise<VersionEntry> {
  if (data.ciphertext !== '' && data.public_key !== '') {
    refuse('only one of the following fields, ciphertext and public_key, can be set')
  }
  if (data.public_key !== '') return { ...freshParts(), ...publicPart(about, data.public_key) }
  if (data.ciphertext === '') refuse('one of the following fields, ciphertext and public_key, must be set')
  const material = await unwrapMaterial(mount, data.ciphertext, data.hash_function)
  try {
    const parts = { ...freshParts(), ...(await wholePart(about, material)) }
    return about.family === 'hmac' ? { ...parts, hmac: parts.secret! } : parts
  } finally {
    material.fill(0)
  }
}

function freshParts(): Pick<VersionEntry, 'hmac' | 'convergent_version'> {
  return { hmac: randomBytes(HMAC_KEY_BYTES).toString('base64'), convergent_version: 0 }
}

function publicPart(about: KeyType, text: string): Pick<VersionEntry, 'public'> {
  const key = keyFrom(() => createPublicKey({ key: text, format: 'pem' }))
  if (text.includes('PRIVATE KEY')) refuse('a private key must not be sent in clear: wrap it and give it as ciphertext')
  checkKind(about, key)
  if (about.family === 'ed25519') return { public: rawPublic(key).toString('base64') }
  return { public: key.export({ format: 'der', type: 'spki' }).toString('base64') }
}

/** Raw bytes of symmetric keys, PKCS#8 of the others. */
async function wholePart(about: KeyType, material: Buffer): Promise<{ secret: string; public?: string }> {
  if (about.family === 'aead') {
    if (material.length !== about.keyBytes) refuse(`invalid key size ${material.length} bytes for this key type`)
    return { secret: material.toString('base64') }
  }
  if (about.family === 'hmac') {
    if (material.length < MIN_HMAC_BYTES || material.length > MAX_HMAC_BYTES) {
      refuse(`invalid key size ${material.length} bytes for HMAC key, must be between 32 and 512 bytes`)
    }
    return { secret: material.toString('base64') }
  }
  const privateKey = keyFrom(() => createPrivateKey({ key: material, format: 'der', type: 'pkcs8' }))
  checkKind(about, privateKey)
  if (!(await isKeyOf(privateKey))) refuse('the parts of the private key do not belong together')
  const pair = { privateKey, publicKey: createPublicKey(privateKey.export({ format: 'pem', type: 'pkcs8' })) }
  return about.family === 'ed25519' ? rawEd25519(pair) : encodedPair(pair)
}

function keyFrom(make: () => KeyObject): KeyObject {
  try {
    return make()
  } catch {
    refuse('error parsing asymmetric key')
  }
}

function checkKind(about: KeyType, key: KeyObject): void {
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = key
  const fits =
    (about.family === 'ed25519' && kind === 'ed25519') ||
    (about.family === 'ecdsa' && kind === 'ec' && details?.namedCurve === about.nodeCurve) ||
    (about.family === 'rsa' && kind === 'rsa' && details?.modulusLength === about.bits)
  if (!fits) refuse('invalid key type: expected a key of the type of this transit key')
}
