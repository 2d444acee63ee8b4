/**
 * Where clients find issuers, revocation lists and the OCSP responder: `config/urls` for the mount, or an issuer's own; and
 * `config/cluster`, which templates of them may name.
 *
 * Storage: config/urls → MountUrls; config/cluster → Cluster.
 */
import type { AccessUrls } from '#lib/x509/extensions.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import type { StorageReads } from '#sdk/storage.ts'
import type { IssuerEntry } from './issuer-store.ts'
import { refuse } from './key-store.ts'

export interface UrlLists {
  issuing_certificates: string[]
  crl_distribution_points: string[]
  delta_crl_distribution_points: string[]
  ocsp_servers: string[]
}

export interface Urls extends UrlLists {
  enable_aia_url_templating: boolean
}

interface MountUrls extends UrlLists {
  enable_templating: boolean
}

interface Cluster {
  path: string
  aia_path: string
}

export const urlListFields = {
  issuing_certificates: { type: 'strings', about: 'Where the certificate of the issuer is.' },
  crl_distribution_points: { type: 'strings', about: 'Where the revocation list is.' },
  delta_crl_distribution_points: { type: 'strings', about: 'Where the delta revocation list is.' },
  ocsp_servers: { type: 'strings', about: 'Where the OCSP responder is.' },
} as const satisfies Fields

const urlFields = {
  ...urlListFields,
  enable_templating: { type: 'boolean', about: 'Fill in {{issuer_id}}, {{cluster_path}} and {{cluster_aia_path}}.' },
} as const satisfies Fields

const clusterFields = {
  path: { type: 'string', about: 'Address of this mount on this cluster.' },
  aia_path: { type: 'string', about: 'The same for what is read without a token, e.g. behind a cache.' },
} as const satisfies Fields

export const noMountUrls: MountUrls = {
  issuing_certificates: [],
  crl_distribution_points: [],
  delta_crl_distribution_points: [],
  ocsp_servers: [],
  enable_templating: false,
}

const labels: Record<keyof UrlLists, string> = {
  issuing_certificates: 'issuing certificates',
  crl_distribution_points: 'CRL distribution points',
  delta_crl_distribution_points: 'delta CRL distribution points',
  ocsp_servers: 'OCSP servers',
}

export const urlPaths: readonly Path[] = [
  {
    pattern: 'config/urls',
    operations: {
      read: endpoint('Read the addresses that certificates name.', {}, async ({ mount }) => ({
        data: { ...((await mount.storage.get<MountUrls>('config/urls')) ?? noMountUrls) },
      })),
      update: endpoint('Set the addresses that certificates name.', urlFields, writeUrls),
    },
  },
  {
    pattern: 'config/cluster',
    operations: {
      read: endpoint('Read the addresses of this cluster.', {}, async ({ mount }) => ({
        data: { ...((await mount.storage.get<Cluster>('config/cluster')) ?? { path: '', aia_path: '' }) },
      })),
      update: endpoint('Set the addresses of this cluster.', clusterFields, writeCluster),
    },
  },
]

async function writeUrls({ mount, data }: Call<typeof urlFields>): Promise<Reply> {
  let changed = noMountUrls
  await mount.storage.update<MountUrls>('config/urls', (before = noMountUrls) => {
    changed = { ...before, ...given(data) }
    if (data.enable_templating !== undefined) changed.enable_templating = data.enable_templating
    checkUrls(changed, changed.enable_templating)
    return changed
  })
  return { data: { ...changed } }
}

async function writeCluster({ mount, data }: Call<typeof clusterFields>): Promise<Reply> {
  let changed: Cluster = { path: '', aia_path: '' }
  await mount.storage.update<Cluster>('config/cluster', (before = { path: '', aia_path: '' }) => {
    changed = { path: data.path ?? before.path, aia_path: data.aia_path ?? before.aia_path }
    if (changed.path !== '' && !isUrl(changed.path)) refuse(`invalid, non-URL path given to cluster: ${changed.path}`)
    if (changed.aia_path !== '' && !isUrl(changed.aia_path)) {
      refuse(`invalid, non-URL aia_path given to cluster: ${changed.aia_path}`)
    }
    return changed
  })
  return { data: { ...changed } }
}

/** The lists that were given. */
export function given(data: { [K in keyof UrlLists]?: string[] | undefined }): Partial<UrlLists> {
  const set: Partial<UrlLists> = {}
  for (const name of Object.keys(labels) as (keyof UrlLists)[]) {
    const list = data[name]
    if (list !== undefined) set[name] = list
  }
  return set
}

/** @throws ApiError; templates are checked when they are filled in */
export function checkUrls(urls: UrlLists, templating: boolean): void {
  if (templating) return
  for (const [name, label] of Object.entries(labels) as [keyof UrlLists, string][]) {
    const bad = urls[name].find((url) => !isUrl(url))
    if (bad !== undefined) refuse(`invalid URL found in Authority Information Access (AIA) parameter ${label}: ${bad}`)
  }
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^\s/]/i.test(text) && URL.canParse(text)
}

export const aiaWarning =
  `This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find ` +
  `missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the ` +
  `newly generated issuer with this information.`

export const isEmpty = (urls: AccessUrls): boolean =>
  urls.issuing.length + urls.crl.length + urls.deltaCrl.length + urls.ocsp.length === 0

/**
 * What certificates of an issuer name: its own addresses if it has any, else those of the mount.
 *
 * @throws ApiError when a template names what is not set
 */
export async function accessUrls(
  storage: Pick<StorageReads, 'getShared'>,
  issuer: Readonly<IssuerEntry> | undefined,
  issuerId = issuer?.id,
): Promise<AccessUrls> {
  const own = issuer && (Object.keys(labels) as (keyof UrlLists)[]).some((name) => issuer[name].length > 0)
  const mount = (await storage.getShared<MountUrls>('config/urls')) ?? noMountUrls
  const lists: Readonly<UrlLists> = own ? issuer : mount
  const fill = (own ? issuer.enable_aia_url_templating : mount.enable_templating)
    ? filler(await storage.getShared<Cluster>('config/cluster'), issuerId)
    : (urls: readonly string[]) => urls
  return {
    issuing: fill(lists.issuing_certificates),
    crl: fill(lists.crl_distribution_points),
    deltaCrl: fill(lists.delta_crl_distribution_points),
    ocsp: fill(lists.ocsp_servers),
  }
}

function filler(cluster: Readonly<Cluster> | undefined, issuerId: string | undefined) {
  const known: Record<string, string | undefined> = {
    cluster_path: cluster?.path,
    cluster_aia_path: cluster?.aia_path,
    issuer_id: issuerId,
  }
  return (urls: readonly string[]): string[] =>
    urls.map((url) => {
      const filled = url.replaceAll(
        /\{\{\s*(cluster_path|cluster_aia_path|issuer_id)\s*\}\}/g,
        (whole, name: string) => {
          return known[name] || refuse(`unable to fill in ${whole} of an AIA URL: it is not set`)
        },
      )
      if (!isUrl(filled)) refuse(`error validating templated AIA URL: invalid URI: ${filled}`)
      return filled
    })
}
