/**
 * Userpass auth method: people log in with a name and a password that the server keeps itself.
 *
 * Storage below the mount: user/ (user.ts), decoys (decoys.ts).
 */
import type { Engine } from '#sdk/engine.ts'
import { makeDecoys } from './decoys.ts'
import { loginPath, renew } from './login.ts'
import { userPaths } from './user-paths.ts'

const paths = [loginPath, ...userPaths]

export const engine: Engine = {
  name: 'userpass',
  about: 'Lets people log in with a name and a password.',
  paths: () => paths,
  prepare: ({ storage }) => makeDecoys(storage),
  renew,
}
