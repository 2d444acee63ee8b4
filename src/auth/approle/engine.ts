/**
 * AppRole auth method: machines log in with a role id, which says who they are, and a secret id, which proves it.
 *
 * Storage below the mount: salt (hashes.ts); role/ and role-id/ (role.ts); secret/, accessor/, expiry/ and gone/
 * (secrets.ts).
 */
import type { Engine } from '#sdk/engine.ts'
import { makeSalt } from './hashes.ts'
import { loginPath, renew, resolveRole } from './login.ts'
import { propertyPaths } from './properties.ts'
import { rolePaths } from './role-paths.ts'
import { secretPaths } from './secret-paths.ts'
import { tidySecrets } from './secrets.ts'
import { tidyPath } from './tidy.ts'

const paths = [loginPath, ...rolePaths, ...propertyPaths, ...secretPaths, tidyPath]

export const engine: Engine = {
  name: 'approle',
  about: 'Lets machines log in with a role id and a secret id.',
  paths: () => paths,
  prepare: ({ storage }) => makeSalt(storage),
  renew,
  resolveRole,
  tidy: ({ storage, clock }) => tidySecrets(storage, clock.now()),
}
