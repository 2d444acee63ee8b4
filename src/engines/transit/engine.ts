/**
 * Transit secrets engine: keys that never leave, and what is done with them for others: encrypt, decrypt, sign, verify.
 *
 * Storage below the mount:
 *   key/<name>             → KeyEntry: settings of a key, without its secrets
 *   version/<id>/<number>  → VersionEntry: the material of one version of the key with that id
 *   config/keys            → SettingsEntry
 *   config/cache           → CacheSettings
 */
import type { Engine } from '#sdk/engine.ts'
import { backupPaths } from './backup.ts'
import { datakeyPath } from './datakey.ts'
import { digestPaths } from './digests.ts'
import { encryptionPaths } from './encryption.ts'
import { exportPaths } from './export.ts'
import { hmacPaths } from './hmac.ts'
import { keyPaths } from './keys.ts'
import { settingsPaths } from './settings.ts'
import { signingPaths } from './signing.ts'

const paths = [
  ...encryptionPaths,
  datakeyPath,
  ...hmacPaths,
  ...signingPaths,
  ...digestPaths,
  ...exportPaths,
  ...backupPaths,
  ...keyPaths,
  ...settingsPaths,
]

export const engine: Engine = {
  name: 'transit',
  about: 'Keys that never leave: encrypts, signs and checks for others.',
  paths: () => paths,
}
