/** `sys/leases`: look at leases, renew them, take them back. */
import { trimLastSlashes } from '#lib/slashes.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import { rfc3339 } from '#lib/time.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { pageFields } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'

export interface LeaseServices {
  leases: Leases
  mounts: Mounts
}

const noFields = {} satisfies Fields
const leaseId = { type: 'string', about: 'Id of the lease.' } as const
const urlLeaseId = { type: 'string', about: 'Id of the lease, in the address.' } as const
const lookupFields = { lease_id: leaseId } satisfies Fields
const renewFields = {
  lease_id: leaseId,
  url_lease_id: urlLeaseId,
  increment: { type: 'duration', about: 'For how much longer, from now.', default: 0 },
} satisfies Fields
const revokeFields = {
  lease_id: leaseId,
  url_lease_id: urlLeaseId,
  sync: { type: 'boolean', about: 'Answer only when it is done.', default: true },
} satisfies Fields
const prefix = { type: 'string', about: 'Beginning of the lease ids.' } as const
const listFields = { prefix, ...pageFields } satisfies Fields
const prefixFields = {
  prefix: { ...prefix, required: true },
  sync: { type: 'boolean', about: 'Answer only when it is done.', default: true },
} satisfies Fields

export function leasePaths(services: LeaseServices): Path[] {
  const { leases } = services
  const renew = endpoint('Renew a lease.', renewFields, (call) => renewOne(services, call))
  const revoke = endpoint('Take a lease back.', revokeFields, (call) => revokeOne(leases, call))
  const list = endpoint('Leases below a prefix.', listFields, (call) => listBelow(leases, call))
  return [
    {
      pattern: 'leases/lookup',
      operations: { update: endpoint('Look at a lease.', lookupFields, (call) => lookupOne(leases, call)) },
    },
    { pattern: 'leases/lookup/*prefix', sudo: true, operations: { list } },
    { pattern: 'leases/renew', operations: { update: renew } },
    { pattern: 'leases/renew/*url_lease_id', operations: { update: renew } },
    { pattern: 'renew', operations: { update: renew } },
    { pattern: 'renew/*url_lease_id', operations: { update: renew } },
    { pattern: 'leases/revoke', operations: { update: revoke } },
    { pattern: 'leases/revoke/*url_lease_id', operations: { update: revoke } },
    { pattern: 'revoke', operations: { update: revoke } },
    { pattern: 'revoke/*url_lease_id', operations: { update: revoke } },
    ...['leases/revoke-prefix/*prefix', 'revoke-prefix/*prefix'].map((pattern): Path => ({
      pattern,
      sudo: true,
      operations: {
        update: endpoint('Take back all below a prefix.', prefixFields, (call) => revokeBelow(leases, call, false)),
      },
    })),
    ...['leases/revoke-force/*prefix', 'revoke-force/*prefix'].map((pattern): Path => ({
      pattern,
      sudo: true,
      operations: {
        update: endpoint('Forget all below a prefix, even what cannot be taken back.', prefixFields, (call) =>
          revokeBelow(leases, call, true),
        ),
      },
    })),
    {
      pattern: 'leases/tidy',
      operations: {
        update: endpoint('Remove what points nowhere.', noFields, async () => {
          await leases.tidy()
          return {}
        }),
      },
    },
  ]
}

async function lookupOne(leases: Leases, { data }: Call<typeof lookupFields>): Promise<Reply> {
  const lease = data.lease_id ? await leases.lookup(data.lease_id) : undefined
  if (!lease) throw new ApiError('invalid_request', data.lease_id ? 'invalid lease' : 'lease_id must be specified')
  return {
    data: {
      id: data.lease_id,
      issue_time: rfc3339(lease.issuedAt),
      expire_time: lease.expiresAt ? rfc3339(lease.expiresAt) : null,
      last_renewal: lease.renewedAt ? rfc3339(lease.renewedAt) : null,
      renewable: lease.renewable,
      ttl: lease.ttlSeconds,
    },
  }
}

async function listBelow(leases: Leases, { data }: Call<typeof listFields>): Promise<Reply> {
  const below = data.prefix ? `${trimLastSlashes(data.prefix)}/` : ''
  const { after, limit = 0 } = data
  return { data: { keys: await leases.list(below, { after, limit: limit > 0 ? limit : undefined }) } }
}

async function renewOne({ leases, mounts }: LeaseServices, { data }: Call<typeof renewFields>): Promise<Reply> {
  const id = data.lease_id || data.url_lease_id
  if (!id) throw new ApiError('invalid_request', 'lease_id must be specified')
  const mounted = await mounts.find(id)
  const { warnings, ...renewed } = await leases.renew(id, data.increment, mounted?.mount.settings())
  return { renewed, warnings }
}

async function revokeOne(leases: Leases, { data }: Call<typeof revokeFields>): Promise<Reply> {
  const id = data.lease_id || data.url_lease_id
  if (!id) throw new ApiError('invalid_request', 'lease_id must be specified')
  await leases.revoke(id, { sync: data.sync })
  return {}
}

async function revokeBelow(leases: Leases, { data }: Call<typeof prefixFields>, force: boolean): Promise<Reply> {
  await leases.revokePrefix(data.prefix, { sync: data.sync, force })
  return {}
}
