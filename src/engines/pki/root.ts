/** `root/generate/:exported`: a CA that signs itself; `root`: the end of all of them. */
import { randomUUID, type KeyObject } from 'node:crypto'
import { readCertificate } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import {
  anyTime,
  authorityFields,
  authorityNames,
  issuerFields,
  keyFields,
  makeAuthority,
  subjectOfNames,
} from './authority.ts'
import { rebuild } from './crl-build.ts'
import { dropLists } from './crl-store.ts'
import { allIssuers, checkIssuerName, deleteIssuer, type IssuerEntry, putIssuer } from './issuer-store.ts'
import {
  checkKeyName,
  deleteKey,
  generateKey,
  type KeyEntry,
  privateKeyOf,
  putKey,
  refuse,
  resolveKey,
} from './key-store.ts'
import { certificateText, checkedFormat, checkedKeyFormat, privateKeyText } from './output.ts'
import { putCertificate } from './certificates.ts'
import { colons } from './serials.ts'
import { accessUrls, aiaWarning, isEmpty } from './urls.ts'
import { validityOf } from './validity.ts'

export const exported = { type: 'string', about: 'internal, exported or existing.', required: true } as const

const rootFields = { exported, ...authorityFields, ...keyFields, ...issuerFields } as const satisfies Fields

type RootCall = Call<typeof rootFields>

const generate = endpoint('Make a CA that signs itself.', rootFields, generateRoot)

export const rootPaths: readonly Path[] = [
  { pattern: 'root/generate/:exported', operations: { update: generate } },
  { pattern: 'issuers/generate/root/:exported', operations: { update: generate } },
  { pattern: 'root/rotate/:exported', operations: { update: generate } },
  { pattern: 'root', sudo: true, operations: { delete: endpoint('Delete all issuers and keys.', {}, deleteAll) } },
]

async function generateRoot({ mount, data, body }: RootCall): Promise<Reply> {
  const format = checkedFormat(data.format)
  const keyForm = checkedKeyFormat(data.private_key_format)
  await checkIssuerName(mount.storage, data.issuer_name)
  const names = authorityNames(data)
  const validity = validityOf({
    role: anyTime(data),
    input: data,
    settings: mount.settings(),
    now: mount.clock.now(),
    issuer: undefined,
  })
  const issuerId = randomUUID()
  const urls = await accessUrls(mount.storage, undefined, issuerId)
  const key = await keyFor(mount, data.exported, data)
  const made = await makeAuthority({
    subject: subjectOfNames(names),
    names: names.names,
    publicKey: key,
    signingKey: key,
    validity,
    urls,
    input: data,
    asksUsage: Object.hasOwn(body, 'key_usage'),
  })
  const { issuer, kept } = await keepRoot(mount, {
    key,
    der: made.der,
    name: data.issuer_name,
    keyName: data.key_name,
    issuerId,
  })
  await rebuild(mount, 'crl', issuer.crl_id)
  const certificate = certificateText(made.der, format)
  const shown: Record<string, unknown> = {
    certificate,
    issuing_ca: certificate,
    serial_number: colons(made.serial),
    expiration: validity.notAfter.getTime() / 1000,
    issuer_id: issuer.id,
    issuer_name: issuer.name,
    key_id: kept.id,
    key_name: kept.name,
  }
  if (data.exported === 'exported') {
    const text = privateKeyText(key, kept.type, keyForm, format)
    shown['private_key'] = text
    shown['private_key_type'] = kept.type
    if (format === 'pem_bundle') shown['certificate'] = `${text}\n${certificate}`
  }
  const warnings = [...validity.warnings, ...(isEmpty(urls) ? [aiaWarning] : [])]
  return { data: shown, ...(warnings.length > 0 && { warnings }) }
}

/** A new key, or one that is here. */
export async function keyFor(
  mount: Mount,
  how: string,
  data: { key_type: string; key_bits: number; key_name: string; key_ref: string },
): Promise<KeyObject> {
  switch (how) {
    case 'internal':
    case 'exported':
      await checkKeyName(mount.storage, data.key_name)
      return await generateKey(data.key_type, data.key_bits)
    case 'existing':
      return (await privateKeyOf(mount, await resolveKey(mount.storage, data.key_ref))).key
    case 'kms':
      return refuse('managed keys are not supported by this server')
    default:
      throw new ApiError('not_found', oneError('unsupported path'))
  }
}

/** Key, issuer, and the certificate among those that can be read, in one change. */
async function keepRoot(
  mount: Mount,
  made: { key: KeyObject; der: Buffer; name: string; keyName: string; issuerId: string },
): Promise<{ issuer: IssuerEntry; kept: KeyEntry }> {
  const read = readCertificate(made.der)
  if (!read.ok)
    throw new ApiError('internal', 'internal error', { reason: `the certificate made here: ${read.message}` })
  return await mount.storage.transact(async (transaction) => {
    const { entry: kept } = await putKey(transaction, made.key, made.keyName)
    const { entry: issuer } = await putIssuer(transaction, read.value, made.name, made.issuerId)
    putCertificate(transaction, read.value.serial, {
      certificate: made.der.toString('base64'),
      issuer_id: issuer.id,
      crl_id: issuer.crl_id,
      not_after_ms: read.value.notAfter.getTime(),
    })
    return { issuer, kept }
  })
}

async function deleteAll({ mount }: Call): Promise<Reply> {
  await mount.storage.transact(async (transaction) => {
    for (const issuer of await allIssuers(transaction)) {
      await deleteIssuer(transaction, issuer)
      await dropLists(transaction, issuer.crl_id)
    }
    for (const id of await transaction.list('key/')) {
      const key = await transaction.get<KeyEntry>(`key/${id}`)
      if (key) await deleteKey(transaction, key)
    }
  })
  return {
    warnings: [
      'DELETE /root deletes all keys and issuers; prefer the new DELETE /key/:key_ref and DELETE /issuer/:issuer_ref for finer granularity, unless removal of all keys and issuers is desired.',
    ],
  }
}
