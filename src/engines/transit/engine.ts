/**
 * Transit secrets engine: keys that never leave, and what is done with them for others: encrypt, decrypt, sign, verify.
 *
 * Storage below the mount:
 *   key/<name>             → KeyEntry: settings of a key, without its secrets
 *   rotating/<name>        → true: the key rotates by itself
 *   version/<id>/<number>  → VersionEntry: the material of one version of the key with that id
 *   config/keys            → SettingsEntry
 *   config/cache           → CacheSettings
 *   config/wrapping        → WrappingEntry: the key under which keys are brought here
 */
import type { Engine } from '#sdk/engine.ts'
import { rotateDue } from './auto-rotate.ts'
import { agreementPath } from './agreement.ts'
import { backupPaths } from './backup.ts'
import { byokPaths } from './byok.ts'
import { certificatePaths } from './certificates.ts'
import { datakeyPath } from './datakey.ts'
import { digestPaths } from './digests.ts'
import { encryptionPaths } from './encryption.ts'
import { exportPaths } from './export.ts'
import { hmacPaths } from './hmac.ts'
import { importPaths } from './import.ts'
import { keyPaths } from './keys.ts'
import { settingsPaths } from './settings.ts'
import { signingPaths } from './signing.ts'
import { wrappingPath } from './wrapping.ts'

const paths = [
  ...encryptionPaths,
  datakeyPath,
  ...hmacPaths,
  ...signingPaths,
  ...digestPaths,
  ...exportPaths,
  ...backupPaths,
  ...keyPaths,
  ...importPaths,
  ...byokPaths,
  ...certificatePaths,
  agreementPath,
  wrappingPath,
  ...settingsPaths,
]

export const engine: Engine = {
  name: 'transit',
  about: 'Keys that never leave: encrypts, signs and checks for others.',
  paths: () => paths,
  tidy: rotateDue,
}
