/** A key as it is shown: everything but its secrets. */
import { createPublicKey } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Mount } from '#sdk/engine.ts'
import { derive } from './derive.ts'
import { ed25519Private, rawPublic } from './ed25519.ts'
import { type KeyEntry, oldestVersion, type VersionEntry, versionPath } from './key.ts'
import { materialOf } from './loaded.ts'
import { derives, encrypts, type KeyType, keyTypes, signs } from './types.ts'

const ED25519_BYTES = 32

/** How many versions are read at once. */
const AT_ONCE = 64

/** @param context  for the public keys of ed25519 keys that are derived, which without one are not told */
export async function keyInfo(
  mount: Mount,
  name: string,
  key: Readonly<KeyEntry>,
  context: Uint8Array = Buffer.alloc(0),
): Promise<Record<string, unknown>> {
  const about = keyTypes[key.type]
  return {
    allow_plaintext_backup: key.allow_plaintext_backup,
    auto_rotate_period: key.auto_rotate_period_seconds,
    deletion_allowed: key.deletion_allowed,
    derived: key.derived,
    exportable: key.exportable,
    imported_key: key.imported,
    ...(key.imported && { imported_key_allow_rotation: key.allow_rotation }),
    ...(key.derived && { kdf: key.kdf === 1 ? 'hkdf_sha256' : 'hmac-sha256-counter' }),
    ...(key.derived && key.kdf === 0 && { kdf_mode: 'hmac-sha256-counter' }),
    ...(key.derived && { convergent_encryption: key.convergent }),
    ...(key.convergent && { convergent_version: key.convergent_version }),
    // Versions of HMAC keys are not told, as the API has it.
    ...(about.family !== 'hmac' && { keys: await versionsOf(mount, key, context) }),
    latest_version: key.latest_version,
    min_available_version: key.min_available_version,
    min_decryption_version: key.min_decryption_version,
    min_encryption_version: key.min_encryption_version,
    name,
    soft_deleted: key.soft_deleted,
    supports_decryption: encrypts(about),
    supports_derivation: derives(about),
    supports_encryption: encrypts(about),
    supports_signing: signs(about),
    type: key.type,
  }
}

async function versionsOf(
  mount: Mount,
  key: Readonly<KeyEntry>,
  context: Uint8Array,
): Promise<Record<string, unknown>> {
  const oldest = oldestVersion(key)
  const from = Math.max(oldest, key.min_decryption_version)
  const numbers = Array.from({ length: key.latest_version - from + 1 }, (_, index) => from + index)
  const createdAt = (version: number) => key.created[version - oldest]!
  const about = keyTypes[key.type]
  if (about.family === 'aead') {
    const seconds = (version: number) => Math.floor(Date.parse(createdAt(version)) / 1000)
    return Object.fromEntries(numbers.map((version) => [version, seconds(version)]))
  }
  const shown: [number, unknown][] = []
  for (let start = 0; start < numbers.length; start += AT_ONCE) {
    const part = numbers.slice(start, start + AT_ONCE)
    const facts = await Promise.all(part.map((version) => publicFacts(mount, key, version, context)))
    for (const [index, fact] of facts.entries()) {
      // A version that was trimmed since the key was looked up.
      if (fact) shown.push([part[index]!, { ...fact, creation_time: createdAt(part[index]!) }])
    }
    await setImmediate()
  }
  return Object.fromEntries(shown)
}

async function publicFacts(
  mount: Mount,
  key: Readonly<KeyEntry>,
  version: number,
  context: Uint8Array,
): Promise<Record<string, unknown> | undefined> {
  const stored = await mount.storage.get<VersionEntry>(versionPath(key.id, version))
  if (!stored) return undefined
  return {
    certificate_chain: (stored.chain ?? []).map((der) => pem('CERTIFICATE', der)).join(''),
    name: shownName(keyTypes[key.type]),
    public_key: key.derived ? await derivedPublic(mount, key, version, context) : shownPublic(key, stored),
  }
}

function shownName(about: KeyType): string {
  if (about.family === 'ecdsa') return about.curve
  return about.family === 'rsa' ? `rsa-${about.bits}` : 'ed25519'
}

/** Ed25519 as base64 of its bytes, the others as PEM. */
export function shownPublic(key: Readonly<KeyEntry>, { public: text = '' }: VersionEntry): string {
  return key.type === 'ed25519' ? text : pem('PUBLIC KEY', text)
}

async function derivedPublic(
  mount: Mount,
  key: Readonly<KeyEntry>,
  version: number,
  context: Uint8Array,
): Promise<string> {
  if (context.length === 0) return ''
  const { secret } = await materialOf(mount, key, version)
  const seed = derive(key.kdf, secret!, context, ED25519_BYTES)
  const shown = rawPublic(createPublicKey(ed25519Private(seed).export({ format: 'pem', type: 'pkcs8' })))
  seed.fill(0)
  return shown.toString('base64')
}

/** @param text  base64 without line breaks */
export function pem(label: string, text: string): string {
  const lines = text.match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
