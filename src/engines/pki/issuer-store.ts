/**
 * Issuers: certificates that others are signed under.
 *
 * Storage below the mount: issuer/<id> → IssuerEntry; issuer-name/<name> → Pointer; config/issuers → IssuerConfig.
 */
import { createPublicKey, type KeyObject, randomUUID } from 'node:crypto'
import { encodePem } from '#lib/x509/pem.ts'
import { type ReadCertificate, readCertificate, signedBy } from '#lib/x509/read.ts'
import type { Mount } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { StorageReads, StorageTransaction } from '#sdk/storage.ts'
import { fitsKey, type KeyEntry, type Pointer, privateKeyOf, type Reads, refuse, refuseInternal } from './key-store.ts'
import type { Urls } from './urls.ts'

export const usages = ['read-only', 'issuing-certificates', 'crl-signing', 'ocsp-signing'] as const
export type Usage = (typeof usages)[number]

export interface IssuerEntry extends Urls {
  id: string
  name: string
  /** Empty when its private key is not here. */
  key_id: string
  /** Issuers of one name and key share one revocation list: that of the first of them. */
  crl_id: string
  /** Base64 of DER. */
  certificate: string
  serial: string
  /** Ids, this one first. */
  chain: string[]
  manual_chain: string[] | null
  leaf_not_after_behavior: 'err' | 'truncate' | 'permit'
  usage: Usage[]
  revocation_signature_algorithm: string
  revoked_at_ms?: number
}

export interface IssuerConfig {
  default: string
  default_follows_latest_issuer: boolean
}

/** Every chain is found by comparing all of them. */
export const MAX_ISSUERS = 500
const MAX_CHAIN = 20

export interface Issuer {
  entry: Readonly<IssuerEntry>
  certificate: ReadCertificate
  /** Without a line break at its end. */
  pem: string
}

const parsed = new WeakMap<Readonly<IssuerEntry>, Issuer>()

/** Parsed once for as long as the shared entry stays. */
export function issuerOf(entry: Readonly<IssuerEntry>): Issuer {
  let issuer = parsed.get(entry)
  if (!issuer) {
    const der = Buffer.from(entry.certificate, 'base64')
    const read = readCertificate(der)
    if (!read.ok) throw new ApiError('internal', 'internal error', { reason: `issuer ${entry.id}: ${read.message}` })
    parsed.set(entry, (issuer = { entry, certificate: read.value, pem: encodePem('CERTIFICATE', der).trimEnd() }))
  }
  return issuer
}

type SharedReads = Pick<StorageReads, 'getShared'>

/** `default`, an id or a name → the issuer. @throws ApiError when there is none */
export async function findIssuer(storage: SharedReads, ref: string): Promise<Issuer> {
  const entry = await lookUp(storage, ref)
  if (entry) return issuerOf(entry)
  if (ref === 'default') return refuseInternal('no default issuer currently configured')
  return refuseInternal(`unable to find PKI issuer for reference: ${ref}`)
}

export async function lookUp(storage: SharedReads, ref: string): Promise<Readonly<IssuerEntry> | undefined> {
  if (ref === 'default') {
    const id = (await storage.getShared<IssuerConfig>('config/issuers'))?.default
    return id ? await storage.getShared<IssuerEntry>(`issuer/${id}`) : undefined
  }
  if (!fitsKey(ref)) return undefined
  const entry = await storage.getShared<IssuerEntry>(`issuer/${ref}`)
  if (entry) return entry
  const named = await storage.getShared<Pointer>(`issuer-name/${ref}`)
  return named && (await storage.getShared<IssuerEntry>(`issuer/${named.id}`))
}

export interface Signer extends Issuer {
  key: KeyObject
}

/** @throws ApiError when it may not do that, or its key is not here */
export async function signerFor(mount: Mount, ref: string, usage: Usage): Promise<Signer> {
  const issuer = await findIssuer(mount.storage, ref)
  if (!issuer.entry.usage.includes(usage)) {
    refuseInternal(
      `requested usage ${usage} for issuer [${issuer.entry.id}] but only had usage [${issuer.entry.usage.join(', ')}]`,
    )
  }
  const { key } = await privateKeyOf(mount, issuer.entry.key_id)
  return { ...issuer, key }
}

/** The issuer's own certificate first, then those above it. */
export async function chainOf(storage: SharedReads, { entry }: Issuer): Promise<Issuer[]> {
  const found = await Promise.all(
    (entry.manual_chain ?? entry.chain).map((id) => storage.getShared<IssuerEntry>(`issuer/${id}`)),
  )
  return found.filter((each) => each !== undefined).map(issuerOf)
}

export function isSelfSigned(certificate: ReadCertificate): boolean {
  return certificate.issuer.equals(certificate.subject) && signedBy(certificate, certificate.key)
}

/** To look at: each is decoded and parsed once, however many requests look. */
export async function sharedIssuers(
  storage: Pick<StorageReads, 'list' | 'getShared'>,
): Promise<Readonly<IssuerEntry>[]> {
  const ids = await storage.list('issuer/')
  const entries = await Promise.all(ids.map((id) => storage.getShared<IssuerEntry>(`issuer/${id}`)))
  return entries.filter((entry) => entry !== undefined)
}

/** To change: copies of its own for the caller. */
export async function allIssuers(storage: Reads): Promise<IssuerEntry[]> {
  const ids = await storage.list('issuer/')
  const entries = await Promise.all(ids.map((id) => storage.get<IssuerEntry>(`issuer/${id}`)))
  return entries.filter((entry) => entry !== undefined)
}

const noUrls: Urls = {
  issuing_certificates: [],
  crl_distribution_points: [],
  delta_crl_distribution_points: [],
  ocsp_servers: [],
  enable_aia_url_templating: false,
}

/** Keep a certificate as an issuer, or find that it is kept already. @param name  empty: none */
export async function putIssuer(
  transaction: StorageTransaction,
  certificate: ReadCertificate,
  name: string,
  id: string = randomUUID(),
): Promise<{ entry: IssuerEntry; existed: boolean }> {
  const all = await allIssuers(transaction)
  const text = certificate.raw.toString('base64')
  const same = all.find((each) => each.certificate === text)
  if (same) return { entry: same, existed: true }
  if (all.length >= MAX_ISSUERS) refuse(`a mount has at most ${MAX_ISSUERS} issuers`)
  await checkIssuerName(transaction, name)
  const keyId = await keyOf(transaction, certificate)
  const twin = all.find((each) => isTwin(each, certificate))
  const entry: IssuerEntry = {
    ...noUrls,
    id,
    name,
    key_id: keyId,
    crl_id: twin?.crl_id ?? id,
    certificate: text,
    serial: certificate.serial,
    chain: [id],
    manual_chain: null,
    leaf_not_after_behavior: 'err',
    usage:
      certificate.keyUsage && !certificate.keyUsage.includes(6)
        ? usages.filter((each) => each !== 'crl-signing')
        : [...usages],
    revocation_signature_algorithm: '',
  }
  await writeChains(transaction, [...all, entry], entry)
  if (name !== '') transaction.put<Pointer>(`issuer-name/${name}`, { id })
  const config = await transaction.get<IssuerConfig>('config/issuers')
  if (!config?.default || config.default_follows_latest_issuer) {
    transaction.put<IssuerConfig>('config/issuers', { default_follows_latest_issuer: false, ...config, default: id })
  }
  return { entry, existed: false }
}

function isTwin(entry: IssuerEntry, certificate: ReadCertificate): boolean {
  const other = issuerOf(entry).certificate
  return other.subject.equals(certificate.subject) && other.spki.equals(certificate.spki)
}

async function keyOf(transaction: Reads, { spki }: ReadCertificate): Promise<string> {
  const wanted = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    .export({ type: 'spki', format: 'der' })
    .toString('base64')
  for (const id of await transaction.list('key/')) {
    const entry = await transaction.get<KeyEntry>(`key/${id}`)
    if (entry?.public_key === wanted) return id
  }
  return ''
}

/** A key came after its certificate. */
export async function giveKey(transaction: StorageTransaction, key: KeyEntry): Promise<void> {
  for (const entry of await allIssuers(transaction)) {
    if (entry.key_id === '' && (await keyOf(transaction, issuerOf(entry).certificate)) === key.id) {
      transaction.put<IssuerEntry>(`issuer/${entry.id}`, { ...entry, key_id: key.id })
    }
  }
}

/** @throws ApiError for one that is taken, reserved, or cannot be a name */
export async function checkIssuerName(storage: Pick<StorageReads, 'get'>, name: string): Promise<void> {
  if (name === '') return
  if (name === 'default') refuse('reserved keyword `default` can not be used as issuer name')
  if (!fitsKey(name)) refuse('issuer name contained invalid characters')
  if (await storage.get<Pointer>(`issuer-name/${name}`)) refuse('issuer name already in use')
}

export async function deleteIssuer(transaction: StorageTransaction, entry: IssuerEntry): Promise<boolean> {
  transaction.delete(`issuer/${entry.id}`)
  if (entry.name !== '') transaction.delete(`issuer-name/${entry.name}`)
  await writeChains(
    transaction,
    (await allIssuers(transaction)).filter((each) => each.id !== entry.id),
  )
  const config = await transaction.get<IssuerConfig>('config/issuers')
  if (config?.default !== entry.id) return false
  transaction.put<IssuerConfig>('config/issuers', { ...config, default: '' })
  return true
}

/** Find all chains again and write those that are new. @param fresh  is written in any case */
export async function writeChains(
  transaction: StorageTransaction,
  all: readonly IssuerEntry[],
  fresh?: IssuerEntry,
): Promise<void> {
  const issuers = all.map(issuerOf)
  for (const issuer of issuers) {
    const chain = chainAmong(issuers, issuer)
    const { entry } = issuer
    if (entry !== fresh && chain.join() === entry.chain.join()) continue
    if (entry === fresh) entry.chain.splice(0, entry.chain.length, ...chain)
    transaction.put<IssuerEntry>(`issuer/${entry.id}`, { ...entry, chain })
  }
}

function chainAmong(issuers: readonly Issuer[], first: Issuer): string[] {
  const chain = [first]
  for (let last = first; chain.length < MAX_CHAIN && !isSelfSigned(last.certificate); last = chain.at(-1)!) {
    const above = issuers.find(
      (each) =>
        !chain.includes(each) &&
        each.certificate.subject.equals(last.certificate.issuer) &&
        signedBy(last.certificate, each.certificate.key),
    )
    if (!above) break
    chain.push(above)
  }
  return chain.map((each) => each.entry.id)
}
