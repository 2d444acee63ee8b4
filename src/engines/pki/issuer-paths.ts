/** `issuers`, `config/issuers`, `root/replace`, and reading, changing and deleting one issuer. */
import { rfc3339 } from '#lib/time.ts'
import { encodePem } from '#lib/x509/pem.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import { freshList } from './crl-build.ts'
import type { ListKind } from './crl-store.ts'
import {
  chainOf,
  findIssuer,
  type Issuer,
  type IssuerConfig,
  type IssuerEntry,
  issuerOf,
  usages,
} from './issuer-store.ts'
import { refuse } from './key-store.ts'
import { changeIssuer, removeIssuer, revokeIssuer } from './issuer-change.ts'
import { bytes } from './read-paths.ts'
import { colons } from './serials.ts'
import { urlListFields } from './urls.ts'

const ref = { type: 'string', about: 'Issuer: `default`, a name or an id.', required: true } as const
const refFields = { issuer_ref: ref } as const satisfies Fields

const issuerChangeFields = {
  issuer_ref: ref,
  issuer_name: { type: 'string', about: 'Name of the issuer.', default: '' },
  leaf_not_after_behavior: {
    type: 'string',
    about: 'err, truncate or permit: certificates that would outlive the issuer.',
    default: 'err',
  },
  manual_chain: { type: 'strings', about: 'Issuers of the chain, this one first; none: found by itself.' },
  usage: { type: 'strings', about: 'What it may be used for.', default: usages },
  revocation_signature_algorithm: {
    type: 'string',
    about: 'How its lists are signed, e.g. SHA384WithRSA.',
    default: '',
  },
  ...urlListFields,
  enable_aia_url_templating: { type: 'boolean', about: 'Fill in the templates of the addresses.', default: false },
} as const satisfies Fields

const configFields = {
  default: { type: 'string', about: 'Issuer that is taken where none is named.' },
  default_follows_latest_issuer: { type: 'boolean', about: 'Each new issuer becomes the default.' },
} as const satisfies Fields

const replaceFields = {
  default: { type: 'string', about: 'Issuer that is taken where none is named.', default: 'next' },
} as const satisfies Fields

const noConfig: IssuerConfig = { default: '', default_follows_latest_issuer: false }

export const issuerPaths: readonly Path[] = [
  { pattern: 'issuers', readsOnly: true, operations: { list: endpoint('List issuers.', pageFields, listIssuers) } },
  {
    pattern: 'issuer/:issuer_ref',
    readsOnly: true,
    operations: {
      read: endpoint('Read an issuer.', refFields, async ({ mount, data }) => ({
        data: await shownIssuer(mount, await findIssuer(mount.storage, data.issuer_ref)),
      })),
      update: endpoint('Set all that can be set of an issuer.', issuerChangeFields, async ({ mount, data }) =>
        shown(mount, await changeIssuer(mount, data.issuer_ref, data)),
      ),
      patch: endpoint('Change some of an issuer.', issuerChangeFields, async ({ mount, data, body }) => {
        const given = Object.fromEntries(Object.entries(data).filter(([name]) => Object.hasOwn(body, name)))
        return shown(mount, await changeIssuer(mount, data.issuer_ref, given))
      }),
      delete: endpoint('Delete an issuer.', refFields, ({ mount, data }) => removeIssuer(mount, data.issuer_ref)),
    },
  },
  {
    pattern: 'issuer/:issuer_ref/revoke',
    operations: {
      update: endpoint('Revoke an issuer.', refFields, async ({ mount, data }) => {
        const { entry, warnings } = await revokeIssuer(mount, data.issuer_ref)
        return { data: await shownIssuer(mount, issuerOf(entry)), ...(warnings.length > 0 && { warnings }) }
      }),
    },
  },
  open('json', 'Certificate and chain of an issuer.', certificateJson),
  open('pem', 'Certificate of an issuer, as PEM.', async ({ mount, data }) =>
    bytes('application/pem-certificate-chain', (await findIssuer(mount.storage, data.issuer_ref)).pem),
  ),
  open('der', 'Certificate of an issuer, as DER.', async ({ mount, data }) =>
    bytes('application/pkix-cert', (await findIssuer(mount.storage, data.issuer_ref)).certificate.raw),
  ),
  ...listPaths('crl', 'crl'),
  ...listPaths('crl/delta', 'delta'),
  {
    pattern: 'config/issuers',
    operations: {
      read: endpoint('Read which issuer is the default.', {}, async ({ mount }) => ({
        data: { ...((await mount.storage.get<IssuerConfig>('config/issuers')) ?? noConfig) },
      })),
      update: endpoint('Set which issuer is the default.', configFields, ({ mount, data }) => setDefault(mount, data)),
    },
  },
  {
    pattern: 'root/replace',
    operations: {
      update: endpoint('Set which issuer is the default.', replaceFields, ({ mount, data }) => setDefault(mount, data)),
    },
  },
]

type RefCall = Call<typeof refFields>

function open(last: string, about: string, handle: (call: RefCall) => Promise<Reply>): Path {
  const read = endpoint(about, refFields, handle)
  return { pattern: `issuer/:issuer_ref/${last}`, unauthenticated: true, operations: { read } }
}

function listPaths(at: string, kind: ListKind): Path[] {
  const list = async ({ mount, data }: RefCall) =>
    await freshList(mount, kind, (await findIssuer(mount.storage, data.issuer_ref)).entry.crl_id)
  const pem = (der: Buffer | undefined) => der && encodePem('X509 CRL', der).trimEnd()
  return [
    open(at, 'Revocation list of an issuer.', async (call) => ({ data: { crl: pem(await list(call)) ?? '' } })),
    open(`${at}/pem`, 'Revocation list of an issuer, as PEM.', async (call) =>
      bytes('application/x-pem-file', pem(await list(call))),
    ),
    open(`${at}/der`, 'Revocation list of an issuer, as DER.', async (call) =>
      bytes('application/pkix-crl', await list(call)),
    ),
  ]
}

async function listIssuers({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  const keys = await listNames(mount.storage, 'issuer/', data)
  const config = await mount.storage.get<IssuerConfig>('config/issuers')
  const info: Record<string, unknown> = {}
  for (const id of keys) {
    const entry = await mount.storage.getShared<IssuerEntry>(`issuer/${id}`)
    if (!entry) continue
    const { name, key_id, serial } = entry
    info[id] = { is_default: id === config?.default, issuer_name: name, key_id, serial_number: colons(serial) }
  }
  return { data: { keys, key_info: info } }
}

async function certificateJson({ mount, data }: RefCall): Promise<Reply> {
  const issuer = await findIssuer(mount.storage, data.issuer_ref)
  const chain = (await chainOf(mount.storage, issuer)).map(({ pem }) => `${pem}\n`)
  const { id, name } = issuer.entry
  return { data: { ca_chain: chain, certificate: `${issuer.pem}\n`, issuer_id: id, issuer_name: name } }
}

async function shown(mount: Mount, entry: IssuerEntry): Promise<Reply> {
  return { data: await shownIssuer(mount, issuerOf(entry)) }
}

async function shownIssuer(mount: Mount, issuer: Issuer): Promise<Record<string, unknown>> {
  const { entry } = issuer
  const at = entry.revoked_at_ms === undefined ? undefined : new Date(entry.revoked_at_ms)
  return {
    issuer_id: entry.id,
    issuer_name: entry.name,
    key_id: entry.key_id,
    certificate: `${issuer.pem}\n`,
    manual_chain: entry.manual_chain,
    ca_chain: (await chainOf(mount.storage, issuer)).map(({ pem }) => `${pem}\n`),
    leaf_not_after_behavior: entry.leaf_not_after_behavior,
    usage: entry.usage.join(','),
    revocation_signature_algorithm: entry.revocation_signature_algorithm,
    revoked: at !== undefined,
    ...(at && { revocation_time: Math.floor(at.getTime() / 1000), revocation_time_rfc3339: rfc3339(at) }),
    issuing_certificates: entry.issuing_certificates,
    crl_distribution_points: entry.crl_distribution_points,
    delta_crl_distribution_points: entry.delta_crl_distribution_points,
    ocsp_servers: entry.ocsp_servers,
  }
}

async function setDefault(
  mount: Mount,
  data: { default?: string | undefined; default_follows_latest_issuer?: boolean | undefined },
): Promise<Reply> {
  if (data.default === '' || data.default === 'default') {
    refuse(`Invalid issuer specification; must be non-empty and can't be 'default'.`)
  }
  const id = data.default === undefined ? undefined : (await findIssuer(mount.storage, data.default)).entry.id
  const config = await mount.storage.transact(async (transaction) => {
    const before = (await transaction.get<IssuerConfig>('config/issuers')) ?? noConfig
    if (id !== undefined && !(await transaction.get<IssuerEntry>(`issuer/${id}`)))
      refuse('the issuer was deleted meanwhile')
    const after: IssuerConfig = {
      default: id ?? before.default,
      default_follows_latest_issuer: data.default_follows_latest_issuer ?? before.default_follows_latest_issuer,
    }
    transaction.put<IssuerConfig>('config/issuers', after)
    return after
  })
  return { data: { ...config } }
}
