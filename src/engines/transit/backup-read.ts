/** Reading a key with all its versions from one text. It comes from outside: no part of it is believed unseen. */
import { createECDH, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { decodeBase64 } from '#lib/base64.ts'
import { inverse, toBytes } from '#lib/bignum.ts'
import { isObject } from '#sdk/schema.ts'
import { type Backup, NO_TIME } from './backup-form.ts'
import { ed25519Public } from './ed25519.ts'
import { type KeyEntry, MAX_VERSIONS, newKey, refuse, type VersionEntry } from './key.ts'
import { encodedPair, HMAC_KEY_BYTES } from './material.ts'
import { type EcdsaType, type KeyType, keyTypes, type RsaType, type TypeName } from './types.ts'

type Json = Record<string, unknown>

/** A number of 4,096 bits has 1,234 digits; longer ones would only keep us busy. */
const MAX_DIGITS = 1300

/** Versions read in one go, each a millisecond or two for RSA; then others have their turn. */
const AT_ONCE = 5

/** @throws ApiError `invalid_request` when it is none, or any part of it is not to be believed */
export async function readBackup(text: string, now: Date): Promise<Backup> {
  const bytes = decodeBase64(text.trim()) ?? refuse('the backup is not base64')
  const all = parsed(bytes.toString('utf8'))
  bytes.fill(0)
  const policy = object(all['policy'])
  const type = typeOf(policy['type'])
  const latest = count(policy['latest_version'], 'latest_version')
  const oldest = Math.max(1, count(policy['min_available_version'] ?? 0, 'min_available_version'))
  if (latest < oldest || latest - oldest >= MAX_VERSIONS) refuse('the backup has too many versions, or none')
  const versions: VersionEntry[] = []
  const created: string[] = []
  for (let version = oldest; version <= latest; version++) {
    const stored = versionIn(all, policy, version)
    versions.push(readVersion(type, stored))
    created.push(createdAt(stored, now))
    if (versions.length % AT_ONCE === 0) await setImmediate()
  }
  return {
    name: typeof policy['name'] === 'string' ? policy['name'] : '',
    key: readKey(policy, type, { latest, created }),
    versions,
  }
}

function readKey(policy: Json, type: TypeName, { latest, created }: { latest: number; created: string[] }): KeyEntry {
  const key: KeyEntry = {
    ...newKey(type),
    derived: policy['derived'] === true,
    kdf: policy['kdf'] === 1 ? 1 : 0,
    convergent: policy['convergent_encryption'] === true,
    convergent_version:
      policy['convergent_version'] === -1 ? -1 : count(policy['convergent_version'] ?? 0, 'convergent_version'),
    exportable: policy['exportable'] === true,
    allow_plaintext_backup: policy['allow_plaintext_backup'] === true,
    deletion_allowed: policy['deletion_allowed'] === true,
    soft_deleted: policy['soft_deleted'] === true,
    latest_version: latest,
    min_decryption_version: count(policy['min_decryption_version'] ?? 1, 'min_decryption_version'),
    min_encryption_version: count(policy['min_encryption_version'] ?? 0, 'min_encryption_version'),
    min_available_version: count(policy['min_available_version'] ?? 0, 'min_available_version'),
    auto_rotate_period_seconds: seconds(policy['auto_rotate_period']),
    imported: policy['Imported'] === true,
    allow_rotation: policy['AllowImportedKeyRotation'] === true,
    key_size: type === 'hmac' ? count(policy['key_size'] ?? HMAC_KEY_BYTES, 'key_size') : 0,
    created,
  }
  if (Math.max(key.min_decryption_version, key.min_encryption_version) > latest) {
    refuse('the backup has minimum versions that are not there')
  }
  // Texts of such keys have another form, or none of their own.
  if (policy['version_template'] || policy['storage_prefix']) refuse('the backup is of a key of another kind')
  return key
}

function parsed(text: string): Json {
  const revive = (_key: string, value: unknown, context: { source?: string }) => {
    const { source = '' } = context ?? {}
    return typeof value === 'number' && !Number.isSafeInteger(value) && digits.test(source) ? BigInt(source) : value
  }
  try {
    return object(JSON.parse(text, revive as (key: string, value: unknown) => unknown))
  } catch {
    // Without the parser's own words, which quote the text.
    refuse('the backup cannot be read')
  }
}

const digits = new RegExp(`^\\d{1,${MAX_DIGITS}}$`)

function object(value: unknown): Json {
  return isObject(value) ? value : refuse('the backup has another form')
}

function count(value: unknown, name: string): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(`the backup has no ${name}`)
}

function seconds(value: unknown): number {
  if (value === undefined || value === null) return 0
  const nanoseconds = typeof value === 'bigint' ? value : BigInt(count(value, 'auto_rotate_period'))
  return Number(nanoseconds / 1_000_000_000n)
}

function typeOf(wanted: unknown): TypeName {
  const found = Object.entries(keyTypes).find(([, about]) => about.number === wanted)
  return found ? (found[0] as TypeName) : refuse('the backup is of a key of unknown type')
}

/** Among the versions in use, or in the archive, which begins with the oldest version there is. */
function versionIn(all: Json, policy: Json, version: number): Json {
  const keys = object(policy['keys'])
  const inUse = Object.hasOwn(keys, String(version)) ? keys[String(version)] : undefined
  if (inUse !== undefined) return object(inUse)
  const archive = isObject(all['archived_keys']) ? all['archived_keys']['keys'] : undefined
  const place = version - count(policy['archive_min_version'] ?? 0, 'archive_min_version')
  return object(Array.isArray(archive) ? (archive as unknown[])[place] : undefined)
}

function createdAt(stored: Json, now: Date): string {
  const { time, creation_time: unix } = stored
  if (typeof time === 'string' && time.length <= 40 && time !== NO_TIME && !Number.isNaN(Date.parse(time))) return time
  const inRange = typeof unix === 'number' && unix > 0 && unix < 1e11
  return (inRange ? new Date(unix * 1000) : now).toISOString()
}

function readVersion(type: TypeName, stored: Json): VersionEntry {
  const hmac = typeof stored['hmac_key'] === 'string' ? stored['hmac_key'] : undefined
  const convergent = count(stored['convergent_version'] ?? 0, 'convergent_version')
  const chain = stored['certificate_chain']
  const material = readMaterial(keyTypes[type], stored)
  return {
    // The first keys had none.
    hmac:
      hmac === undefined ? (type === 'hmac' ? material.secret! : fresh()) : checkedBytes(hmac, 0).toString('base64'),
    convergent_version: convergent,
    ...material,
    ...(Array.isArray(chain) && { chain: chain.map((der) => checkedBytes(der, 0).toString('base64')) }),
  }
}

const fresh = () => randomBytes(HMAC_KEY_BYTES).toString('base64')

function readMaterial(about: KeyType, stored: Json): { secret?: string; public?: string } {
  switch (about.family) {
    case 'aead':
      return { secret: checkedBytes(stored['key'], about.keyBytes).toString('base64') }
    case 'hmac':
      return { secret: checkedBytes(stored['key'], 0).toString('base64') }
    case 'ed25519': {
      const shown = checkedBytes(stored['public_key'], 32)
      ed25519Public(shown)
      if (stored['key'] === null) return { public: shown.toString('base64') }
      const secret = checkedBytes(stored['key'], 64)
      if (!secret.subarray(32).equals(shown)) refuse('the backup has keys that do not belong together')
      return { secret: secret.toString('base64'), public: shown.toString('base64') }
    }
    case 'ecdsa':
      return readEcdsa(about, stored)
    case 'rsa':
      return readRsa(about, stored)
  }
}

/** @param length  in bytes; 0: any but none */
function checkedBytes(text: unknown, length: number): Buffer {
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
  if (!bytes || bytes.length === 0 || (length > 0 && bytes.length !== length)) {
    refuse('the backup has a key of another length')
  }
  return bytes
}

function readEcdsa(about: EcdsaType, stored: Json): { secret?: string; public: string } {
  const part = (value: bigint) => bytesOf(value, about.fieldBytes)
  if (stored['ec_d'] === null) {
    const [x, y] = [part(big(stored['ec_x'])), part(big(stored['ec_y']))].map((each) => each.toString('base64url'))
    const shown = keyFrom(() => createPublicKey({ key: { kty: 'EC', crv: about.curve, x: x!, y: y! }, format: 'jwk' }))
    return { public: shown.export({ format: 'der', type: 'spki' }).toString('base64') }
  }
  const secret = part(big(stored['ec_d']))
  const privateKey = keyFrom(() => {
    // The public key is made of the private one, so that no backup can bring a pair that does not fit.
    const pair = createECDH(about.nodeCurve)
    pair.setPrivateKey(secret)
    const point = pair.getPublicKey()
    const x = point.subarray(1, 1 + about.fieldBytes).toString('base64url')
    const y = point.subarray(1 + about.fieldBytes).toString('base64url')
    return createPrivateKey({
      key: { kty: 'EC', crv: about.curve, x, y, d: secret.toString('base64url') },
      format: 'jwk',
    })
  })
  secret.fill(0)
  return encodedPair({ privateKey, publicKey: createPublicKey(privateKey.export({ format: 'pem', type: 'pkcs8' })) })
}

function readRsa(about: RsaType, stored: Json): { secret?: string; public: string } {
  const numbers = object(stored['rsa_key'] ?? stored['rsa_public_key'])
  const [n, e] = [big(numbers['N']), big(numbers['E'])]
  if (n.toString(2).length !== about.bits) refuse('the backup has a key of another length')
  const text = (value: bigint) => bytesOf(value, about.bits / 8).toString('base64url')
  const short = (value: bigint) => bytesOf(value, Math.ceil(value.toString(16).length / 2)).toString('base64url')
  const shown = { kty: 'RSA', n: text(n), e: short(e) }
  const publicKey = keyFrom(() => createPublicKey({ key: shown, format: 'jwk' }))
  if (!stored['rsa_key']) {
    return { public: publicKey.export({ format: 'der', type: 'spki' }).toString('base64') }
  }
  const d = big(numbers['D'])
  const primes = Array.isArray(numbers['Primes']) ? (numbers['Primes'] as unknown[]).map(big) : []
  const [p = 0n, q = 0n] = primes
  if (
    primes.length !== 2 ||
    p * q !== n ||
    p < 2n ||
    q < 2n ||
    (d * e - 1n) % (p - 1n) !== 0n ||
    (d * e - 1n) % (q - 1n) !== 0n
  ) {
    refuse('the backup has keys that do not belong together')
  }
  const half = { p: short(p), q: short(q), dp: short(d % (p - 1n)), dq: short(d % (q - 1n)), qi: short(inverse(q, p)) }
  const privateKey = keyFrom(() => createPrivateKey({ key: { ...shown, d: text(d), ...half }, format: 'jwk' }))
  return encodedPair({ privateKey, publicKey })
}

function keyFrom<T>(make: () => T): T {
  try {
    return make()
  } catch {
    refuse('the backup has a key that is none')
  }
}

function big(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  return Number.isSafeInteger(value) && (value as number) > 0
    ? BigInt(value as number)
    : refuse('the backup lacks a number')
}

function bytesOf(value: bigint, length: number): Buffer {
  if (value.toString(16).length > length * 2) refuse('the backup has a key of another length')
  return toBytes(value, length)
}
