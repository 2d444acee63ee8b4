/** Certificates and keys from elsewhere: `intermediate/set-signed`, `config/ca`, `issuers/import/…`, `keys/import`. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { isKeyOf } from '#lib/key-pair.ts'
import { keyTypeOf } from '#lib/x509/algorithms.ts'
import { parsePem, type PemBlock } from '#lib/x509/pem.ts'
import { type ReadCertificate, readCertificate } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { refresh } from './crl-build.ts'
import { type IssuerEntry, giveKey, putIssuer } from './issuer-store.ts'
import { putKey, refuse } from './key-store.ts'
import { accessUrls, aiaWarning, isEmpty } from './urls.ts'

const setSignedFields = {
  certificate: { type: 'string', about: 'The signed certificate, and those above it, in PEM.', default: '' },
} as const satisfies Fields

const bundleFields = {
  pem_bundle: { type: 'string', about: 'Certificates and private keys in PEM, one after the other.', default: '' },
} as const satisfies Fields

const keyImportFields = {
  pem_bundle: { type: 'string', about: 'The private key in PEM.', default: '' },
  key_name: { type: 'string', about: 'Name of the key.', default: '' },
} as const satisfies Fields

const withKeys = endpoint('Take certificates and their keys.', bundleFields, ({ mount, data }) =>
  importBundle(mount, data.pem_bundle, true),
)

export const importPaths: readonly Path[] = [
  {
    pattern: 'intermediate/set-signed',
    operations: {
      update: endpoint('Take a certificate that was signed elsewhere.', setSignedFields, ({ mount, data }) =>
        importBundle(mount, data.certificate, false),
      ),
    },
  },
  { pattern: 'config/ca', operations: { update: withKeys } },
  { pattern: 'issuers/import/bundle', operations: { update: withKeys } },
  {
    pattern: 'issuers/import/cert',
    operations: {
      update: endpoint('Take certificates.', bundleFields, ({ mount, data }) =>
        importBundle(mount, data.pem_bundle, false),
      ),
    },
  },
  { pattern: 'keys/import', operations: { update: endpoint('Take a key.', keyImportFields, importKey) } },
]

async function importBundle(mount: Mount, text: string, allowsKeys: boolean): Promise<Reply> {
  const { certificates, keys } = await contentOf(text, allowsKeys)
  const imported = await mount.storage.transact(async (transaction) => {
    const told = {
      imported_keys: [] as string[],
      existing_keys: [] as string[],
      imported_issuers: [] as string[],
      existing_issuers: [] as string[],
      mapping: {} as Record<string, string>,
    }
    for (const key of keys) {
      const { entry, existed } = await putKey(transaction, key, '')
      told[existed ? 'existing_keys' : 'imported_keys'].push(entry.id)
      if (!existed) await giveKey(transaction, entry)
    }
    for (const certificate of certificates) {
      const { entry, existed } = await putIssuer(transaction, certificate, '')
      told[existed ? 'existing_issuers' : 'imported_issuers'].push(entry.id)
      told.mapping[entry.id] = entry.key_id
    }
    return told
  })
  await refreshAll(mount, imported.imported_issuers)
  const warnings = isEmpty(await accessUrls(mount.storage, undefined, '')) ? [aiaWarning] : []
  const listed = Object.fromEntries(
    Object.entries(imported).map(([name, value]) => [name, Array.isArray(value) && value.length === 0 ? null : value]),
  )
  return { data: listed, ...(warnings.length > 0 && { warnings }) }
}

/** Those whose key is here get their list. */
async function refreshAll(mount: Mount, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const entry = await mount.storage.getShared<IssuerEntry>(`issuer/${id}`)
    if (entry && entry.key_id !== '') await refresh(mount, entry.crl_id)
  }
}

async function contentOf(
  text: string,
  allowsKeys: boolean,
): Promise<{ certificates: ReadCertificate[]; keys: KeyObject[] }> {
  if (text.trim() === '') refuse('no certificates or keys were given')
  const blocks = parsePem(text)
  if (!blocks) return refuse('failed to parse PEM: no PEM data, or data that is broken')
  const certificates = blocks
    .filter(({ label }) => label === 'CERTIFICATE' || label === 'X509 CERTIFICATE')
    .map(certificateOf)
  const keyBlocks = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'))
  if (keyBlocks.length > 0 && !allowsKeys) {
    refuse('private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle')
  }
  if (certificates.length + keyBlocks.length === 0) refuse('no certificates or keys were given')
  const keys: KeyObject[] = []
  for (const block of keyBlocks) keys.push(await keyIn(block))
  return { certificates, keys }
}

function certificateOf({ bytes }: PemBlock): ReadCertificate {
  const read = readCertificate(bytes)
  if (!read.ok) return refuse(`failed to parse a certificate: ${read.message}`)
  const { value } = read
  if (!value.isCa) refuse(`unable to import: certificate with serial ${value.serial} is not a CA certificate`)
  if (keyTypeOf(value.key) === undefined) refuse('unable to import: the key of a certificate is of an unsupported type')
  return value
}

const kinds: Record<string, 'pkcs1' | 'sec1' | 'pkcs8'> = {
  'RSA PRIVATE KEY': 'pkcs1',
  'EC PRIVATE KEY': 'sec1',
  'PRIVATE KEY': 'pkcs8',
}

async function keyIn(block: PemBlock): Promise<KeyObject> {
  const key = parsedKey(block)
  // It would take the place of the real one, whose public part it may have copied.
  if (!(await isKeyOf(key))) refuse('unable to import: the halves of a private key do not belong together')
  return key
}

function parsedKey({ label, bytes }: PemBlock): KeyObject {
  const type = kinds[label]
  if (!type) return refuse(`unable to import: private keys of the kind ${JSON.stringify(label)} are not taken`)
  try {
    const key = createPrivateKey({ key: bytes, format: 'der', type })
    return keyTypeOf(key) ? key : refuse('unable to import: the private key is of an unsupported type')
  } catch (error) {
    if (error instanceof Error && error.name === 'ApiError') throw error
    // OpenSSL's words may hold parts of what it was given.
    return refuse('unable to import: a private key could not be parsed')
  }
}

async function importKey({ mount, data }: Call<typeof keyImportFields>): Promise<Reply> {
  const blocks = parsePem(data.pem_bundle) ?? []
  if (blocks.length !== 1) refuse(`expected exactly one key in the PEM, found ${blocks.length}`)
  const key = await keyIn(blocks[0]!)
  const { entry } = await mount.storage.transact(async (transaction) => {
    const put = await putKey(transaction, key, data.key_name)
    if (!put.existed) await giveKey(transaction, put.entry)
    return put
  })
  return { data: { key_id: entry.id, key_name: entry.name, key_type: entry.type } }
}
