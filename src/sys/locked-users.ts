/** `sys/locked-users`: who may not log in for a while, and how to let them in. */
import type { Lockout } from '#core/lockout.ts'
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'

export interface LockoutServices {
  mounts: Mounts
  lockout: Lockout
}

const listFields = {
  mount_accessor: { type: 'string', about: 'Only users of this auth mount.', query: true },
} as const satisfies Fields

const unlockFields = {
  mount_accessor: { type: 'string', about: 'Accessor of the auth mount.', required: true },
  alias_identifier: {
    type: 'string',
    about: 'What the user logs in by: a user name, or the role id of AppRole.',
    required: true,
  },
} as const satisfies Fields

export function lockedUserPaths(services: LockoutServices): Path[] {
  const unlock = endpoint('Let a user log in again.', unlockFields, (call) => unlockUser(services, call))
  return [
    {
      pattern: 'locked-users',
      operations: { read: endpoint('Users that are locked out.', listFields, (call) => list(services, call)) },
    },
    { pattern: 'locked-users/:mount_accessor/unlock/*alias_identifier', operations: { update: unlock } },
    { pattern: 'lockedusers/:mount_accessor/unlock/*alias_identifier', operations: { update: unlock } },
  ]
}

async function list({ mounts, lockout }: LockoutServices, { data }: Call<typeof listFields>): Promise<Reply> {
  const wanted = data.mount_accessor ?? ''
  const asked = (await mounts.all('auth')).filter(({ entry }) => wanted === '' || entry.accessor === wanted)
  const told: { mount_accessor: string; counts: number; alias_identifiers: string[] }[] = []
  for (const { entry } of asked) {
    const names = await lockout.lockedAt(placeOf(entry))
    if (names.length > 0) {
      told.push({ mount_accessor: entry.accessor, counts: names.length, alias_identifiers: names })
    }
  }
  const accessors = told.toSorted((a, b) => b.counts - a.counts)
  const total = accessors.reduce((sum, { counts }) => sum + counts, 0)
  const root = { namespace_id: 'root', namespace_path: '', counts: total, mount_accessors: accessors }
  return { data: { by_namespace: total > 0 ? [root] : [], total } }
}

function placeOf({ accessor, type, config }: Mounted['entry']) {
  return { accessor, type, tuned: config.user_lockout_config }
}

async function unlockUser({ mounts, lockout }: LockoutServices, { data }: Call<typeof unlockFields>): Promise<Reply> {
  const mounted = await mounts.byAccessor(data.mount_accessor)
  // User names are the same whatever their case; role ids are not.
  const name = mounted?.entry.type === 'approle' ? data.alias_identifier : data.alias_identifier.toLowerCase()
  await lockout.unlock(data.mount_accessor, name)
  return {}
}
