/** Keys that may be exported, in the forms that other programs take. */
import { createPrivateKey } from 'node:crypto'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { ed25519Private, ed25519Public } from './ed25519.ts'
import { pem, shownPublic } from './info.ts'
import { type KeyEntry, keyNamed, nameField, oldestVersion, refuse, type VersionEntry, versionPath } from './key.ts'
import { encrypts, keyTypes, signs } from './types.ts'
import { usable } from './use.ts'
import { allVersions, ofEach } from './versions.ts'

const fields = {
  type: { type: 'string', about: 'encryption-key, signing-key, hmac-key or public-key.', required: true },
  name: nameField,
  version: { type: 'string', about: 'A version, or latest; without it, all.', default: '' },
  format: { type: 'string', about: 'raw, der or pem; without it, as is usual for the type.', default: '', query: true },
} as const satisfies Fields

export const exportPaths: readonly Path[] = ['export/:type/:name', 'export/:type/:name/:version'].map((pattern) => ({
  pattern,
  readsOnly: true,
  about: 'Material of a key.',
  operations: { read: endpoint('Export a key.', fields, exportKey) },
}))

const kinds = ['encryption-key', 'signing-key', 'hmac-key', 'public-key'] as const
const formats = ['', 'raw', 'der', 'pem'] as const
type Kind = (typeof kinds)[number]
type Format = (typeof formats)[number]

async function exportKey({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const kind = kinds.find((each) => each === data.type) ?? refuse(`invalid export type: ${data.type}`)
  const format = formats.find((each) => each === data.format) ?? refuse(`invalid export format: ${data.format}`)
  const key = await keyNamed(mount.storage, data.name)
  if (!key) return {}
  checkAllowed(usable(key, ''), kind, format)
  const from = Math.max(oldestVersion(key), key.min_decryption_version)
  const keys: Record<string, string> = {}
  if (data.version === '') {
    const texts = await ofEach(await allVersions(mount, key, from), (version) => exported(key, version, kind, format))
    for (const [index, text] of texts.entries()) keys[String(from + index)] = text
  } else {
    const number = versionNumber(key, data.version)
    const version = await mount.storage.get<VersionEntry>(versionPath(key.id, number))
    if (!version) refuse('version does not exist or cannot be found')
    keys[String(number)] = exported(key, version, kind, format)
  }
  return { data: { keys, name: data.name, type: key.type } }
}

export function versionNumber(key: Readonly<KeyEntry>, text: string): number {
  const number = text === 'latest' ? key.latest_version : /^\d{1,15}$/.test(text) ? Number(text) : -1
  if (number < 0) refuse('invalid key version')
  if (number < key.min_decryption_version) refuse('version for export is below minimum decryption version')
  return number
}

function checkAllowed(key: Readonly<KeyEntry>, kind: Kind, format: Format): void {
  const about = keyTypes[key.type]
  if (kind !== 'public-key' && !key.exportable) refuse('private key material is not exportable')
  if (kind === 'encryption-key' && !encrypts(about)) refuse('encryption not supported for the key')
  if (kind === 'signing-key' && !signs(about)) refuse('signing not supported for the key')
  if (kind === 'public-key' && !signs(about)) refuse(`unknown key type ${key.type} for export type public-key`)
  const symmetric = kind === 'hmac-key' || about.family === 'aead' || about.family === 'hmac'
  const wrong = symmetric ? format === 'der' || format === 'pem' : format === 'raw' && about.family !== 'ed25519'
  if (wrong) refuse(`export format ${format} is not supported for this key`)
}

/** PKCS#1 and SEC 1 for private keys where no format is asked for, as clients of this API expect. */
function exported(key: Readonly<KeyEntry>, version: VersionEntry, kind: Kind, format: Format): string {
  const about = keyTypes[key.type]
  if (kind === 'hmac-key') return version.hmac
  const asIs = format === '' || format === 'raw'
  if (kind === 'public-key') {
    if (!asIs) return encoded('PUBLIC KEY', publicDer(key, version), format)
    // EC keys stand without the last line break.
    return about.family === 'ecdsa' ? shownPublic(key, version).trimEnd() : shownPublic(key, version)
  }
  if (version.secret === undefined) refuse('the key has only a public part')
  if (about.family === 'aead' || (about.family === 'ed25519' && asIs)) return version.secret
  if (about.family === 'ed25519') {
    const own = ed25519Private(Buffer.from(version.secret, 'base64'))
    return encoded('PRIVATE KEY', own.export({ format: 'der', type: 'pkcs8' }), format)
  }
  const der = Buffer.from(version.secret, 'base64')
  if (!asIs) return encoded('PRIVATE KEY', der, format)
  const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  return about.family === 'rsa'
    ? String(own.export({ format: 'pem', type: 'pkcs1' }))
    : String(own.export({ format: 'pem', type: 'sec1' })).trimEnd()
}

function publicDer(key: Readonly<KeyEntry>, version: VersionEntry): Buffer {
  const bytes = Buffer.from(version.public!, 'base64')
  return key.type === 'ed25519' ? ed25519Public(bytes).export({ format: 'der', type: 'spki' }) : bytes
}

function encoded(label: string, der: Buffer, format: Format): string {
  const text = der.toString('base64')
  der.fill(0)
  return format === 'pem' ? pem(label, text) : text
}
