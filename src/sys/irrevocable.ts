/** `sys/leases` and `sys/leases/count`: leases that could not be taken back, for somebody to look after. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { MAX_PAGE } from '#sdk/storage.ts'
import type { LeaseServices } from './leases.ts'

/** Told without being asked for more. */
const USUAL_LIMIT = 10_000

const fields = {
  type: { type: 'string', about: 'Only `irrevocable`.', query: true },
  include_child_namespaces: { type: 'boolean', about: 'Accepted for compatibility.', query: true },
} satisfies Fields
const listFields = {
  ...fields,
  limit: { type: 'string', about: 'At most so many, or `none`: 10,000 unless given.', query: true },
} satisfies Fields

interface Stuck {
  lease_id: string
  /** Accessor of the mount. */
  mount_id: string
  error: string
}

export function irrevocablePaths(services: LeaseServices): Path[] {
  return [
    {
      pattern: 'leases',
      sudo: true,
      operations: { read: endpoint('Leases that cannot be taken back.', listFields, (call) => list(services, call)) },
    },
    {
      pattern: 'leases/count',
      operations: {
        read: endpoint('How many leases cannot be taken back, by mount.', fields, (call) => count(services, call)),
      },
    },
  ]
}

async function list(services: LeaseServices, { data }: Call<typeof listFields>): Promise<Reply> {
  if (!isAsked(data.type)) return {}
  const limit = limitOf(data.limit)
  const found = await stuck(services, Math.min(limit + 1, MAX_PAGE))
  const leases = found.slice(0, limit)
  const more =
    'Command halted because many irrevocable leases were found. To emit the entire list, re-run the command with limit set to none.'
  return { data: { lease_count: leases.length, leases }, ...(found.length > limit && { warnings: [more] }) }
}

async function count(services: LeaseServices, { data }: Call<typeof fields>): Promise<Reply> {
  if (!isAsked(data.type)) return {}
  const found = await stuck(services, MAX_PAGE)
  const counts = Map.groupBy(found, (each) => each.mount_id)
  const byMount = [...counts].map(([mount, leases]) => [mount, leases.length])
  return { data: { counts: Object.fromEntries(byMount), lease_count: found.length } }
}

function isAsked(type: string | undefined): boolean {
  return type?.toLowerCase() === 'irrevocable'
}

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return USUAL_LIMIT
  if (text.toLowerCase() === 'none') return MAX_PAGE
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (limit < 1) throw new ApiError('invalid_request', "limit must be 'none' or a positive integer")
  return limit
}

async function stuck({ leases, mounts }: LeaseServices, limit: number): Promise<Stuck[]> {
  const found: Stuck[] = []
  for (const { leaseId, error } of await leases.irrevocable({ limit })) {
    const mounted = await mounts.find(leaseId)
    found.push({ lease_id: leaseId, mount_id: mounted?.entry.accessor ?? 'deleted', error })
  }
  return found
}
