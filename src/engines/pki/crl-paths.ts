/** `config/crl` and `crl/rotate`: how revocation lists are made, and making them now. */
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { freshList, rebuild } from './crl-build.ts'
import { checkCrlSettings, type CrlSettings, crlSettings, usualSettings } from './crl-settings.ts'
import { type ListKind, newGeneration } from './crl-store.ts'
import { allIssuers } from './issuer-store.ts'
import { refuse, type Reads } from './key-store.ts'

const fields = {
  expiry: { type: 'string', about: 'How long a list is valid.' },
  disable: { type: 'boolean', about: 'Lists are empty.' },
  ocsp_disable: { type: 'boolean', about: 'OCSP requests are refused.' },
  ocsp_expiry: { type: 'string', about: 'How long an OCSP answer is valid; 0: it does not say.' },
  auto_rebuild: { type: 'boolean', about: 'Lists are made anew before they end, not with each revocation.' },
  auto_rebuild_grace_period: { type: 'string', about: 'How long before its end a list is made anew.' },
  enable_delta: { type: 'boolean', about: 'Between two lists, a delta list tells what has been revoked since.' },
  delta_rebuild_interval: { type: 'string', about: 'How often a delta list is made.' },
  allow_expired_cert_revocation: { type: 'boolean', about: 'Certificates that have ended may still be revoked.' },
} as const satisfies Fields

export const crlPaths: readonly Path[] = [
  {
    pattern: 'config/crl',
    operations: {
      read: endpoint('Read how revocation lists are made.', {}, async ({ mount }) => ({
        data: { ...(await crlSettings(mount.storage)) },
      })),
      update: endpoint('Set how revocation lists are made.', fields, write),
    },
  },
  {
    pattern: 'crl/rotate',
    operations: { read: endpoint('Make the revocation lists anew.', {}, ({ mount }) => rotate(mount, 'crl')) },
  },
  {
    pattern: 'crl/rotate-delta',
    operations: { read: endpoint('Make the delta lists anew.', {}, ({ mount }) => rotate(mount, 'delta')) },
  },
]

async function write({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const given = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined))
  const { changed, switched } = await mount.storage.transact(async (transaction) => {
    const before = (await transaction.get<CrlSettings>('config/crl')) ?? usualSettings
    const after: CrlSettings = { ...before, ...given }
    checkCrlSettings(after)
    transaction.put<CrlSettings>('config/crl', after)
    const isSwitched = before.disable !== after.disable
    if (isSwitched) for (const crlId of await crlIds(transaction)) await newGeneration(transaction, crlId)
    return { changed: after, switched: isSwitched }
  })
  if (switched) for (const crlId of await crlIds(mount.storage)) await freshList(mount, 'crl', crlId)
  return { data: { ...changed } }
}

async function rotate(mount: Mount, kind: ListKind): Promise<Reply> {
  if (kind === 'delta' && !(await crlSettings(mount.storage)).enable_delta)
    refuse('requested rebuild of delta CRL when delta CRL is not enabled')
  for (const crlId of await crlIds(mount.storage)) await rebuild(mount, kind, crlId)
  return { data: { success: true } }
}

async function crlIds(storage: Reads): Promise<string[]> {
  return [...new Set((await allIssuers(storage)).map((each) => each.crl_id))]
}
