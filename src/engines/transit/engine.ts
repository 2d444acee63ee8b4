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
import { encryptionPaths } from './encryption.ts'
import { keyPaths } from './keys.ts'
import { settingsPaths } from './settings.ts'

const paths = [...encryptionPaths, ...keyPaths, ...settingsPaths]

export const engine: Engine = {
  name: 'transit',
  about: 'Keys that never leave: encrypts, signs and checks for others.',
  paths: () => paths,
}
