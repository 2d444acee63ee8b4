/** What anybody may read: issuers' certificates, revocation lists and the certificates that were issued. */
import { setImmediate } from 'node:timers/promises'
import { rfc3339 } from '#lib/time.ts'
import { encodePem } from '#lib/x509/pem.ts'
import { readCertificate as parse } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import { certificateOf } from './certificates.ts'
import { freshList } from './crl-build.ts'
import type { ListKind, RevokedEntry } from './crl-store.ts'
import { sharedIssuers, chainOf, issuerOf, lookUp } from './issuer-store.ts'
import { colons, parseSerial } from './serials.ts'

const serialFields = {
  serial: {
    type: 'string',
    about: 'Serial number with colons or hyphens; or ca, ca_chain, crl, delta-crl.',
    required: true,
  },
} as const satisfies Fields

const DER = 'application/pkix-cert'
const PEM = 'application/pem-certificate-chain'
const CRL_DER = 'application/pkix-crl'
const CRL_PEM = 'application/x-pem-file'

export const readPaths: readonly Path[] = [
  open('ca', 'The certificate of the default issuer, as DER.', ({ mount }) => caBytes(mount, DER)),
  open('ca/pem', 'The certificate of the default issuer, as PEM.', ({ mount }) => caBytes(mount, PEM)),
  open('ca_chain', 'The chain of the default issuer, as PEM.', ({ mount }) => chainBytes(mount)),
  open('crl', 'The revocation list of the default issuer, as DER.', ({ mount }) => listBytes(mount, 'crl', CRL_DER)),
  open('crl/pem', 'The revocation list of the default issuer, as PEM.', ({ mount }) =>
    listBytes(mount, 'crl', CRL_PEM),
  ),
  open('crl/delta', 'What has been revoked since, as DER.', ({ mount }) => listBytes(mount, 'delta', CRL_DER)),
  open('crl/delta/pem', 'What has been revoked since, as PEM.', ({ mount }) => listBytes(mount, 'delta', CRL_PEM)),
  {
    pattern: 'cert/:serial',
    unauthenticated: true,
    operations: { read: endpoint('Read a certificate, the chain or a revocation list.', serialFields, readOne) },
  },
  {
    pattern: 'cert/:serial/raw',
    unauthenticated: true,
    operations: { read: endpoint('A certificate, as DER.', serialFields, (call) => oneRaw(call, DER)) },
  },
  {
    pattern: 'cert/:serial/raw/pem',
    unauthenticated: true,
    operations: { read: endpoint('A certificate, as PEM.', serialFields, (call) => oneRaw(call, PEM)) },
  },
  {
    pattern: 'certs',
    readsOnly: true,
    operations: {
      list: endpoint('List the serial numbers of certificates.', pageFields, async ({ mount, data }) => ({
        data: { keys: await serials(mount, 'cert/', data) },
      })),
    },
  },
  {
    pattern: 'certs/detailed',
    readsOnly: true,
    operations: { list: endpoint('List certificates with what they say.', pageFields, detailed) },
  },
  {
    pattern: 'certs/revoked',
    readsOnly: true,
    operations: {
      list: endpoint('List the serial numbers of revoked certificates.', pageFields, async ({ mount, data }) => ({
        data: { keys: await serials(mount, 'revoked/', data) },
      })),
    },
  },
]

function open(pattern: string, about: string, handle: (call: Call) => Promise<Reply>): Path {
  return { pattern, unauthenticated: true, operations: { read: endpoint(about, {}, handle) } }
}

/** Nothing there is 204, as clients of these addresses expect. */
export function bytes(contentType: string, body: Uint8Array | string | undefined): Reply {
  if (body === undefined || body.length === 0) return { raw: { contentType, body: '', status: 204 } }
  return { raw: { contentType, body } }
}

async function serials(
  mount: Mount,
  prefix: string,
  page: { after?: string | undefined; limit?: number | undefined },
): Promise<string[]> {
  const after = page.after === undefined ? undefined : (parseSerial(page.after) ?? page.after)
  return (await listNames(mount.storage, prefix, { ...page, after })).map(colons)
}

/** Parsed in one go, some milliseconds' worth; between two goes others have their turn. */
const AT_ONCE = 50
/** Certificates of one answer; more come in pages. */
const MAX_DETAILED = 10_000

async function detailed({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  const limit = Math.min(data.limit || MAX_DETAILED, MAX_DETAILED)
  const keys = await serials(mount, 'cert/', { ...data, limit })
  const info: Record<string, unknown> = {}
  for (const [index, key] of keys.entries()) {
    if (index % AT_ONCE === 0) await setImmediate()
    const entry = await certificateOf(mount.storage, parseSerial(key)!)
    const read = entry && parse(Buffer.from(entry.certificate, 'base64'))
    if (!read?.ok) continue
    const { subjectParts, notBefore, notAfter } = read.value
    info[key] = {
      common_name: subjectParts.commonName,
      issuer_id: entry!.issuer_id,
      not_before: rfc3339(notBefore),
      not_after: rfc3339(notAfter),
    }
  }
  return { data: { keys, key_info: info } }
}

async function caBytes({ storage }: Mount, contentType: string): Promise<Reply> {
  const entry = await lookUp(storage, 'default')
  if (!entry) return bytes(contentType, undefined)
  return bytes(contentType, contentType === DER ? issuerOf(entry).certificate.raw : issuerOf(entry).pem)
}

async function chainText({ storage }: Mount): Promise<string | undefined> {
  const entry = await lookUp(storage, 'default')
  return entry && (await chainOf(storage, issuerOf(entry))).map(({ pem }) => pem).join('\n')
}

const chainBytes = async (mount: Mount): Promise<Reply> => bytes(PEM, await chainText(mount))

async function listBytes(mount: Mount, kind: ListKind, contentType: string): Promise<Reply> {
  const entry = await lookUp(mount.storage, 'default')
  const der = entry && (await freshList(mount, kind, entry.crl_id))
  return bytes(contentType, contentType === CRL_DER ? der : der && encodePem('X509 CRL', der).trimEnd())
}

const unrevoked = { revocation_time: 0, revocation_time_rfc3339: '' }

async function readOne({ mount, data }: Call<typeof serialFields>): Promise<Reply> {
  switch (data.serial) {
    case 'ca': {
      const entry = await lookUp(mount.storage, 'default')
      return entry
        ? {
            data: {
              certificate: issuerOf(entry).pem,
              ca_chain: (await chainText(mount)) ?? '',
              issuer_id: entry.id,
              ...unrevoked,
            },
          }
        : {}
    }
    case 'ca_chain': {
      const text = await chainText(mount)
      return text === undefined ? {} : { data: { certificate: text, ca_chain: text, ...unrevoked } }
    }
    case 'crl':
    case 'delta-crl': {
      const entry = await lookUp(mount.storage, 'default')
      const der = entry && (await freshList(mount, data.serial === 'crl' ? 'crl' : 'delta', entry.crl_id))
      return der ? { data: { certificate: encodePem('X509 CRL', der).trimEnd(), ...unrevoked } } : {}
    }
    default:
      return await readCertificate(mount, data.serial)
  }
}

async function readCertificate({ storage }: Mount, text: string): Promise<Reply> {
  const found = await derOf(storage, text)
  if (!found) return {}
  const revoked = await storage.get<RevokedEntry>(`revoked/${found.serial}`)
  const at = revoked && new Date(revoked.revoked_at_ms)
  return {
    data: {
      certificate: encodePem('CERTIFICATE', found.der).trimEnd(),
      ...(at ? { revocation_time: Math.floor(at.getTime() / 1000), revocation_time_rfc3339: rfc3339(at) } : unrevoked),
      ...(revoked && revoked.issuer_id !== '' && { issuer_id: revoked.issuer_id }),
    },
  }
}

/** Of a certificate that is kept, was revoked, or is an issuer's. */
async function derOf(storage: Mount['storage'], text: string): Promise<{ serial: string; der: Buffer } | undefined> {
  const serial = parseSerial(text)
  if (serial === undefined) return undefined
  const kept =
    (await certificateOf(storage, serial))?.certificate ??
    (await storage.get<RevokedEntry>(`revoked/${serial}`))?.certificate ??
    (await sharedIssuers(storage)).find((each) => each.serial === serial)?.certificate
  return kept === undefined ? undefined : { serial, der: Buffer.from(kept, 'base64') }
}

async function oneRaw({ mount, data }: Call<typeof serialFields>, contentType: string): Promise<Reply> {
  if (data.serial === 'ca') return await caBytes(mount, contentType)
  if (data.serial === 'ca_chain') return await chainBytes(mount)
  if (data.serial === 'crl' || data.serial === 'delta-crl') {
    return await listBytes(mount, data.serial === 'crl' ? 'crl' : 'delta', contentType === DER ? CRL_DER : CRL_PEM)
  }
  const found = await derOf(mount.storage, data.serial)
  return bytes(contentType, found && (contentType === DER ? found.der : encodePem('CERTIFICATE', found.der).trimEnd()))
}
