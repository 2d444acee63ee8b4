/** Writing a key with all its versions as one text, in the form that the servers of this API exchange. */
import { createPrivateKey, createPublicKey, type webcrypto } from 'node:crypto'
import { fromBytes } from '#lib/bignum.ts'
import { exactNumber } from '#lib/exact-json.ts'
import { type Backup, NO_TIME } from './backup-form.ts'
import { pem } from './info.ts'
import { oldestVersion, type VersionEntry } from './key.ts'
import { type KeyType, keyTypes } from './types.ts'
import { ofEach } from './versions.ts'

type Json = Record<string, unknown>

export async function writeBackup({ name, key, versions }: Backup, at: Date): Promise<string> {
  const oldest = oldestVersion(key)
  const about = keyTypes[key.type]
  const written = await ofEach(versions, (version, index) => writeVersion(about, version, key.created[index]!))
  const usable = written.slice(Math.max(0, key.min_decryption_version - oldest))
  const from = Math.max(oldest, key.min_decryption_version)
  // The archive begins with the oldest version that was never trimmed, which for untrimmed keys is the empty version 0.
  const archived = key.min_available_version === 0 ? [writeNothing(), ...written] : written
  const policy = {
    name,
    ...(key.type === 'hmac' && { key_size: key.key_size }),
    keys: Object.fromEntries(usable.map((version, index) => [from + index, version])),
    derived: key.derived,
    kdf: key.kdf,
    convergent_encryption: key.convergent,
    exportable: key.exportable,
    min_decryption_version: key.min_decryption_version,
    min_encryption_version: key.min_encryption_version,
    latest_version: key.latest_version,
    archive_version: key.latest_version,
    archive_min_version: key.min_available_version,
    min_available_version: key.min_available_version,
    deletion_allowed: key.deletion_allowed,
    convergent_version: key.convergent_version,
    type: keyTypes[key.type].number,
    backup_info: { time: at.toISOString(), version: key.latest_version },
    restore_info: null,
    allow_plaintext_backup: key.allow_plaintext_backup,
    version_template: '',
    storage_prefix: '',
    // Nanoseconds.
    auto_rotate_period: exactNumber(BigInt(key.auto_rotate_period_seconds) * 1_000_000_000n),
    Imported: key.imported,
    AllowImportedKeyRotation: key.allow_rotation,
    soft_deleted: key.soft_deleted,
  }
  return Buffer.from(`${JSON.stringify({ policy, archived_keys: { keys: archived } })}\n`).toString('base64')
}

function writeNothing(): Json {
  return { ...emptyVersion, time: NO_TIME, creation_time: 0 }
}

const emptyVersion = {
  key: null,
  hmac_key: null,
  time: NO_TIME,
  ec_x: null,
  ec_y: null,
  ec_d: null,
  rsa_key: null,
  rsa_public_key: null,
  public_key: '',
  convergent_version: 0,
  creation_time: 0,
  certificate_chain: null,
}

function writeVersion(about: KeyType, version: VersionEntry, createdAt: string): Json {
  return {
    ...emptyVersion,
    hmac_key: version.hmac,
    time: createdAt,
    convergent_version: version.convergent_version,
    creation_time: Math.floor(Date.parse(createdAt) / 1000),
    certificate_chain: version.chain ?? null,
    ...writeMaterial(about, version),
  }
}

function writeMaterial(about: KeyType, version: VersionEntry): Json {
  if (about.family === 'aead' || about.family === 'hmac') return { key: version.secret }
  if (about.family === 'ed25519') return { key: version.secret ?? null, public_key: version.public }
  const jwk = jwkOf(version)
  if (about.family === 'ecdsa') {
    return {
      ec_x: number(jwk.x),
      ec_y: number(jwk.y),
      ec_d: jwk.d === undefined ? null : number(jwk.d),
      public_key: pem('PUBLIC KEY', version.public!),
    }
  }
  const shown = { N: number(jwk.n), E: number(jwk.e) }
  if (jwk.d === undefined) return { rsa_public_key: shown }
  const precomputed = { Dp: number(jwk.dp), Dq: number(jwk.dq), Qinv: number(jwk.qi), CRTValues: [] }
  return {
    rsa_key: { ...shown, D: number(jwk.d), Primes: [number(jwk.p), number(jwk.q)], Precomputed: precomputed },
  }
}

function jwkOf(version: VersionEntry): webcrypto.JsonWebKey {
  if (version.secret === undefined) {
    const der = Buffer.from(version.public!, 'base64')
    return createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'jwk' })
  }
  const der = Buffer.from(version.secret, 'base64')
  const jwk = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' })
  der.fill(0)
  return jwk
}

const number = (text: string | undefined) => exactNumber(fromBytes(Buffer.from(text!, 'base64url')))
