/** Changes of one issuer: its settings, its revocation, its end. */
import type { Mount, Reply } from '#sdk/engine.ts'
import { listNames } from '#sdk/listing.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { refresh } from './crl-build.ts'
import { dropLists, putRevocation } from './crl-store.ts'
import {
  allIssuers,
  checkIssuerName,
  deleteIssuer,
  findIssuer,
  type IssuerConfig,
  type IssuerEntry,
  issuerOf,
  isSelfSigned,
  lookUp,
  type Usage,
  usages,
} from './issuer-store.ts'
import { type Pointer, refuse } from './key-store.ts'
import type { RoleEntry } from './role.ts'
import { checkUrls, given, type UrlLists } from './urls.ts'

export interface IssuerChange extends Partial<{ [K in keyof UrlLists]: string[] | undefined }> {
  issuer_name?: string | undefined
  leaf_not_after_behavior?: string | undefined
  manual_chain?: readonly string[] | undefined
  usage?: readonly string[] | undefined
  revocation_signature_algorithm?: string | undefined
  enable_aia_url_templating?: boolean | undefined
}

/** @returns the issuer as it is then */
export async function changeIssuer({ storage }: Mount, ref: string, change: IssuerChange): Promise<IssuerEntry> {
  const { id } = (await findIssuer(storage, ref)).entry
  const manual = await manualChain(storage, id, change.manual_chain)
  return await storage.transact(async (transaction) => {
    const before = await entryIn(transaction, id)
    const after: IssuerEntry = {
      ...before,
      ...given(change),
      name: change.issuer_name ?? before.name,
      leaf_not_after_behavior: checkedBehavior(change.leaf_not_after_behavior ?? before.leaf_not_after_behavior),
      usage: change.usage === undefined ? before.usage : checkedUsage(change.usage, before),
      revocation_signature_algorithm: checkedAlgorithm(
        change.revocation_signature_algorithm ?? before.revocation_signature_algorithm,
      ),
      enable_aia_url_templating: change.enable_aia_url_templating ?? before.enable_aia_url_templating,
      manual_chain: change.manual_chain === undefined ? before.manual_chain : manual,
    }
    checkUrls(after, after.enable_aia_url_templating)
    if (after.name !== before.name) await rename(transaction, before, after.name)
    transaction.put<IssuerEntry>(`issuer/${id}`, after)
    return after
  })
}

async function entryIn(transaction: StorageTransaction, id: string): Promise<IssuerEntry> {
  return (await transaction.get<IssuerEntry>(`issuer/${id}`)) ?? refuse('the issuer was deleted meanwhile')
}

async function rename(transaction: StorageTransaction, { id, name: before }: IssuerEntry, name: string): Promise<void> {
  await checkIssuerName(transaction, name)
  if (before !== '') transaction.delete(`issuer-name/${before}`)
  if (name !== '') transaction.put<Pointer>(`issuer-name/${name}`, { id })
}

async function manualChain(
  storage: Mount['storage'],
  id: string,
  refs: readonly string[] | undefined,
): Promise<string[] | null> {
  if (refs === undefined || refs.length === 0) return null
  const ids: string[] = []
  for (const each of refs) ids.push(each === 'self' ? id : (await findIssuer(storage, each)).entry.id)
  if (ids[0] !== id || new Set(ids).size < ids.length) {
    refuse('the manual chain must begin with the issuer itself and name no issuer twice')
  }
  return ids
}

function checkedBehavior(text: string): IssuerEntry['leaf_not_after_behavior'] {
  if (text === 'err' || text === 'truncate' || text === 'permit') return text
  return refuse(
    'Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, and `permit`.',
  )
}

function checkedUsage(names: readonly string[], { revoked_at_ms: revoked }: IssuerEntry): Usage[] {
  const bad = names.find((name) => !usages.some((usage) => usage === name))
  if (bad !== undefined)
    refuse(`Unable to parse specified usages: [${names.join(' ')}] - valid values are [${usages.join(' ')}]`)
  if (revoked !== undefined && names.includes('issuing-certificates')) {
    refuse('This issuer was revoked; unable to add issuing-certificates back to its usage')
  }
  return usages.filter((usage) => names.includes(usage))
}

function checkedAlgorithm(text: string): string {
  if (text === '' || /^(SHA(256|384|512)WithRSA(PSS)?|ECDSAWithSHA(256|384|512)|Ed25519)$/i.test(text)) return text
  return refuse(`unknown value for revocation_signature_algorithm: ${text}`)
}

/** Roles that name an issuer are counted up to here. */
const MAX_ROLES = 100_000

export async function removeIssuer(mount: Mount, ref: string): Promise<Reply> {
  const { storage } = mount
  const { entry } = await findIssuer(storage, ref)
  const wasDefault = await storage.transact(async (transaction) => {
    const current = await entryIn(transaction, entry.id)
    const was = await deleteIssuer(transaction, current)
    if (!(await allIssuers(transaction)).some((each) => each.id !== entry.id && each.crl_id === current.crl_id)) {
      await dropLists(transaction, current.crl_id)
    }
    return was
  })
  const warnings: string[] = []
  if (wasDefault) {
    warnings.push(
      `Deleted issuer ${entry.id} (via issuer_ref ${ref}); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured.`,
    )
  }
  const names = [entry.id, ...(entry.name === '' ? [] : [entry.name]), ...(wasDefault ? ['default'] : [])]
  for (const name of names.toReversed()) {
    const count = await countRoles(storage, name)
    if (count > 0) warnings.push(`${count} roles reference ${name}`)
  }
  return warnings.length > 0 ? { warnings } : {}
}

async function countRoles(storage: Mount['storage'], issuerRef: string): Promise<number> {
  let count = 0
  for (const name of await listNames(storage, 'role/', { limit: MAX_ROLES })) {
    if ((await storage.getShared<RoleEntry>(`role/${name}`))?.issuer_ref === issuerRef) count += 1
  }
  return count
}

/** It issues nothing any more, and is on the list of the issuer above it, if that is here. */
export async function revokeIssuer(mount: Mount, ref: string): Promise<{ entry: IssuerEntry; warnings: string[] }> {
  const { storage, clock } = mount
  const { entry: found, certificate } = await findIssuer(storage, ref)
  const nowMs = clock.now().getTime()
  const self = isSelfSigned(certificate)
  const above = (found.chain[1] && (await lookUp(storage, found.chain[1]))) || undefined
  const entry = await storage.transact(async (transaction) => {
    const before = await entryIn(transaction, found.id)
    if (before.revoked_at_ms !== undefined) return before
    const usage = before.usage.filter((each) => each !== 'issuing-certificates')
    const after: IssuerEntry = { ...before, usage, revoked_at_ms: nowMs }
    transaction.put<IssuerEntry>(`issuer/${found.id}`, after)
    if (above) {
      await putRevocation(transaction, found.serial, {
        revoked_at_ms: nowMs,
        crl_id: above.crl_id,
        issuer_id: above.id,
        not_after_ms: issuerOf(found).certificate.notAfter.getTime(),
        certificate: found.certificate,
      })
    }
    return after
  })
  if (above) await refresh(mount, above.crl_id)
  return { entry, warnings: await revocationWarnings(storage, entry, self, above !== undefined) }
}

async function revocationWarnings(
  storage: Mount['storage'],
  { id }: IssuerEntry,
  self: boolean,
  hasParent: boolean,
): Promise<string[]> {
  const warnings: string[] = []
  if (self) {
    warnings.push(
      `This issuer is a self-signed (potentially root) certificate. This means it may not be considered revoked if there is not an external, cross-signed variant of this certificate. This issuer's serial number will not appear on its own CRL.`,
    )
  }
  if (!hasParent) {
    warnings.push(
      `This issuer lacks another parent issuer within the mount. This means it will not appear on any other CRLs and may not be considered revoked by clients. Consider adding this issuer to its issuer's CRL as well if it is not self-signed.`,
    )
  }
  if ((await storage.get<IssuerConfig>('config/issuers'))?.default === id) {
    warnings.push(
      'This issuer is currently configured as the default issuer for this mount; operations such as certificate issuance may not work until a new default issuer is selected.',
    )
  }
  return warnings
}
