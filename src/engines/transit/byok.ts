/** The path that gives a key to another server without showing it to anybody between. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { ed25519Private } from './ed25519.ts'
import { versionNumber } from './export.ts'
import { type KeyEntry, keyNamed, oldestVersion, refuse, type VersionEntry, versionPath } from './key.ts'
import { materialOf } from './loaded.ts'
import { keyTypes } from './types.ts'
import { usable } from './use.ts'
import { allVersions, ofEach } from './versions.ts'
import { wrapMaterial } from './wrapping.ts'

const fields = {
  destination: { type: 'string', about: 'Name of the RSA key under which the other is wrapped.', required: true },
  source: { type: 'string', about: 'Name of the key to be wrapped.', required: true },
  version: { type: 'string', about: 'A version, or latest; without it, all.', default: '' },
} as const satisfies Fields

export const byokPaths: readonly Path[] = [
  'byok-export/:destination/:source',
  'byok-export/:destination/:source/:version',
].map((pattern) => ({
  pattern,
  readsOnly: true,
  about: 'Keys for another server.',
  operations: { read: endpoint('Get a key, wrapped for import elsewhere.', fields, exportWrapped) },
}))

async function exportWrapped({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const destination = usable(await keyNamed(mount.storage, data.destination), 'no such destination key to export to')
  const source = usable(await keyNamed(mount.storage, data.source), 'no such source key for export')
  if (keyTypes[destination.type].family !== 'rsa') refuse(`destination key type must be RSA, got ${destination.type}`)
  if (!source.exportable) refuse('key is not exportable')
  const { public: wrapper } = await materialOf(mount, destination, destination.latest_version)
  const wrapped = (version: VersionEntry) => wrapMaterial(wrapper!, bytesOf(source, version))
  const keys: Record<string, string> = {}
  if (data.version === '') {
    const from = Math.max(oldestVersion(source), source.min_decryption_version)
    const texts = await ofEach(await allVersions(mount, source, from), wrapped)
    for (const [index, text] of texts.entries()) keys[String(from + index)] = text
  } else {
    const number = versionNumber(source, data.version)
    const version = await mount.storage.get<VersionEntry>(versionPath(source.id, number))
    keys[String(number)] = wrapped(version ?? refuse('version does not exist or cannot be found'))
  }
  return { data: { name: data.source, type: source.type, keys } }
}

/** As import takes it: raw bytes of symmetric keys, PKCS#8 of the others. */
function bytesOf(key: Readonly<KeyEntry>, version: VersionEntry): Buffer {
  if (version.secret === undefined) refuse('the key has only a public part')
  const bytes = Buffer.from(version.secret, 'base64')
  if (key.type !== 'ed25519') return bytes
  const der = ed25519Private(bytes).export({ format: 'der', type: 'pkcs8' })
  bytes.fill(0)
  return der
}
