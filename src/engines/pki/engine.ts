/**
 * PKI secrets engine: certificate authorities that issue X.509 certificates under roles, revoke them and publish revocation
 * lists (RFC 5280).
 *
 * Storage below the mount: role/ (role.ts); key…/ and config/keys (key-store.ts); issuer…/ and config/issuers
 * (issuer-store.ts); cert/ and cert-end/ (certificates.ts); revoked/ and crl…/ (crl-store.ts); config/urls, config/cluster
 * (urls.ts); config/crl (crl-settings.ts); config/auto-tidy and tidy-last (tidy-paths.ts).
 */
import type { Engine } from '#sdk/engine.ts'
import { tendLists } from './crl-build.ts'
import { crlPaths } from './crl-paths.ts'
import { importPaths } from './import.ts'
import { intermediatePaths } from './intermediate.ts'
import { crlSignPaths } from './crl-sign.ts'
import { issuePaths } from './issue.ts'
import { issuerPaths } from './issuer-paths.ts'
import { keyPaths } from './key-paths.ts'
import { ocspPaths } from './ocsp.ts'
import { readPaths } from './read-paths.ts'
import { revokeLease, revokePaths } from './revoke.ts'
import { rolePaths } from './role-paths.ts'
import { rootPaths } from './root.ts'
import { signPaths } from './sign.ts'
import { autoTidy, tidyPaths } from './tidy-paths.ts'
import { urlPaths } from './urls.ts'

const paths = [
  ...issuePaths,
  ...signPaths,
  ...intermediatePaths,
  ...importPaths,
  ...issuerPaths,
  ...keyPaths,
  ...rolePaths,
  ...readPaths,
  ...ocspPaths,
  ...revokePaths,
  ...rootPaths,
  ...urlPaths,
  ...crlPaths,
  ...crlSignPaths,
  ...tidyPaths,
]

export const engine: Engine = {
  name: 'pki',
  about: 'Issues X.509 certificates under roles, and revokes them.',
  paths: () => paths,
  revokeLease,
  tidy: async (mount) => {
    await tendLists(mount)
    await autoTidy(mount)
  },
}
