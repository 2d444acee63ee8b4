/** The paths of whole roles, and of their role ids. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Data } from '#sdk/schema.ts'
import { hashesOf } from './hashes.ts'
import { isOldName, roleFields, roleIdField } from './role-fields.ts'
import {
  changeRole,
  checkedName,
  nameFields,
  newRole,
  putRole,
  refuse,
  type RoleEntry,
  roleIdKey,
  roleKey,
  roleName,
  roleOf,
} from './role.ts'
import { leaveSecrets, sweepSecrets } from './secrets.ts'
import { changedTokenSettings } from '#sdk/token-fields.ts'

const roleIdFields = { role_name: roleName, role_id: roleIdField } as const

type NameCall = Call<typeof nameFields>

export const rolePaths: readonly Path[] = [
  { pattern: 'role', operations: { list: endpoint('List the names of the roles.', pageFields, listRoles) } },
  {
    pattern: 'role/:role_name',
    about: 'A role: which credentials a log-in needs, and what its token may do.',
    operations: {
      read: endpoint('Read a role.', nameFields, readRole),
      update: endpoint('Make a role, or change what is given of it.', roleFields, writeRole),
      delete: endpoint('Delete a role with all its secret ids.', nameFields, deleteRole),
    },
    exists: async (call) => (await roleOf(call.mount.storage, (call as NameCall).data.role_name)) !== undefined,
  },
  {
    pattern: 'role/:role_name/role-id',
    about: 'What a log-in calls the role.',
    operations: {
      read: endpoint('Read the role id.', nameFields, readRoleId),
      update: endpoint('Replace the role id.', roleIdFields, writeRoleId),
    },
  },
]

async function listRoles({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  return { data: { keys: await listNames(mount.storage, 'role/', { after: data.after, limit: data.limit }) } }
}

async function readRole({ mount, data }: NameCall): Promise<Reply> {
  const role = await roleOf(mount.storage, data.role_name)
  if (!role) return {}
  const {
    name: _name,
    uuid: _uuid,
    role_id: _roleId,
    old_policies: oldPolicies,
    old_period: oldPeriod,
    ...shown
  } = role
  return {
    data: {
      ...shown,
      ...(oldPolicies && { policies: role.token_policies }),
      ...(oldPeriod && { period: role.token_period }),
    },
  }
}

async function writeRole({ mount, data }: Call<typeof roleFields>): Promise<Reply> {
  const name = checkedName(data.role_name)
  const hashes = await hashesOf(mount.storage)
  const fresh = newRole(name)
  const role = await mount.storage.transact(async (transaction) => {
    const before = await roleOf(transaction, name)
    const after = changed(before ?? fresh, data, before === undefined)
    await putRole(transaction, hashes, before, after)
    return after
  })
  if (role.token_max_ttl <= mount.settings().maxLeaseTtlSeconds) return {}
  return {
    warnings: [
      "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
    ],
  }
}

function changed(role: RoleEntry, data: Data<typeof roleFields>, isNew: boolean): RoleEntry {
  const localSecretIds = data.local_secret_ids ?? role.local_secret_ids
  if (!isNew && localSecretIds !== role.local_secret_ids) {
    refuse('local_secret_ids can only be modified during role creation')
  }
  const given = {
    ...data,
    token_policies: data.token_policies ?? data.policies,
    token_period: data.token_period ?? data.period,
  }
  return {
    ...role,
    ...changedTokenSettings(role, given),
    // Trimmed as at log-in, else it could never be used.
    role_id: data.role_id?.trim() ?? role.role_id,
    bind_secret_id: data.bind_secret_id ?? role.bind_secret_id,
    secret_id_bound_cidrs: data.secret_id_bound_cidrs ?? data.bound_cidr_list ?? role.secret_id_bound_cidrs,
    secret_id_num_uses: data.secret_id_num_uses ?? role.secret_id_num_uses,
    secret_id_ttl: data.secret_id_ttl ?? role.secret_id_ttl,
    local_secret_ids: localSecretIds,
    old_policies: isOldName(role.old_policies, data.token_policies, data.policies),
    old_period: isOldName(role.old_period, data.token_period, data.period),
  }
}

async function deleteRole({ mount, data }: NameCall): Promise<Reply> {
  const hashes = await hashesOf(mount.storage)
  const uuid = await mount.storage.transact(async (transaction) => {
    const role = await roleOf(transaction, data.role_name)
    if (!role) return undefined
    transaction.delete(roleKey(role.name))
    transaction.delete(roleIdKey(hashes.roleId(role.role_id)))
    // Nothing leads to its secret ids any more. Removing them may take long, so that is not part of this change.
    return (await leaveSecrets(transaction, role.uuid)) ? role.uuid : undefined
  })
  if (uuid !== undefined) await sweepSecrets(mount.storage, uuid)
  return {}
}

async function readRoleId({ mount, data }: NameCall): Promise<Reply> {
  const role = await roleOf(mount.storage, data.role_name)
  return role ? { data: { role_id: role.role_id } } : {}
}

async function writeRoleId({ mount, data }: Call<typeof roleIdFields>): Promise<Reply> {
  const roleId = data.role_id?.trim() ?? ''
  if (roleId === '') refuse('missing role_id')
  const isThere = await changeRole(mount, data.role_name, (role) => ({ ...role, role_id: roleId }))
  if (!isThere) throw new ApiError('not_found', oneError('unsupported path'))
  return {}
}
