/**
 * KV secrets engine: keeps secrets that are given to it, as values (version 1) or as histories of versions (version 2).
 *
 * Storage below the mount:
 *   secret/<path>             → PlainEntry (version 1) or SecretEntry (version 2); version 2 reads both
 *   version/<path>/<number>   → VersionEntry: the data of a version that is not the current one
 *   about/, expires/          → notes.ts: what searches look at
 *   reads/<path>              → reads.ts: who read it last
 *   cursor-key                → cursor.ts
 *   config                    → Settings (version 2)
 *   format                    → Format: set once version 2 has had the mount
 */
import type { Engine, Mount } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { dataPath, subkeysPath } from './data.ts'
import { metadataPaths } from './metadata.ts'
import { misplacedPath } from './misplaced.ts'
import { plainPaths } from './plain.ts'
import { flushReads } from './reads.ts'
import { expiringPath, searchPath } from './search.ts'
import { settingsPath } from './settings.ts'
import { undoPath } from './undo.ts'
import { versionPaths } from './versions.ts'

interface Format {
  version: 2
}

const versionedPaths = [
  settingsPath,
  dataPath,
  subkeysPath,
  ...versionPaths,
  ...metadataPaths,
  undoPath,
  searchPath,
  expiringPath,
  misplacedPath,
]

export const engine: Engine = {
  name: 'kv',
  about: 'Keeps secrets as key-value pairs, with a history of versions where the mount has version 2.',
  paths: ({ options }) => (options['version'] === '2' ? versionedPaths : plainPaths),
  prepare,
  flush: flushReads,
}

/**
 * Version 2 reads the entries of version 1 as they are, so an upgrade has nothing to convert. There is no way back:
 * version 1 has no place for what version 2 keeps.
 */
async function prepare(mount: Mount): Promise<void> {
  const version = mount.settings().options['version'] ?? '1'
  if (version !== '1' && version !== '2') {
    throw new ApiError('invalid_request', `no version ${JSON.stringify(version)} of kv: it is 1 or 2`)
  }
  const format = await mount.storage.get<Format>('format')
  if (version === '2' && !format) await mount.storage.put<Format>('format', { version: 2 })
  if (version === '1' && format)
    throw new ApiError('invalid_request', 'cannot downgrade a kv mount from version 2 to 1')
}
