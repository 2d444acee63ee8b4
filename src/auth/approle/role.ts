/**
 * Roles: `role/:role_name`. A role says which credentials a log-in needs and what its token may do.
 *
 * Storage: role/<name> → RoleEntry; role-id/<hash of role id> → RoleIdEntry, which leads to the role.
 */
import { randomUUID } from 'node:crypto'
import { isCidr } from '#lib/cidr.ts'
import type { Mount } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { StorageReads, StorageTransaction } from '#sdk/storage.ts'
import { type Hashes, hashesOf } from './hashes.ts'
import { checkTokenSettings, noTokenSettings, type TokenSettings } from '#sdk/token-fields.ts'

export interface RoleEntry extends TokenSettings {
  name: string
  /** Of this role and no later one of the same name: its secret ids are kept under it. */
  uuid: string
  role_id: string
  bind_secret_id: boolean
  secret_id_bound_cidrs: string[] | null
  secret_id_num_uses: number
  secret_id_ttl: number
  local_secret_ids: boolean
  /** Whether the policies were last given as `policies`, the period as `period`: then they are shown by both names. */
  old_policies: boolean
  old_period: boolean
}

export interface RoleIdEntry {
  role: string
}

export const MAX_NAME_BYTES = 512
export const MAX_ROLE_ID_BYTES = 4096

export const roleName = { type: 'string', about: 'Name of the role.', required: true } as const
export const nameFields = { role_name: roleName } as const

/** @param name  as checkedName gives it */
export function roleKey(name: string): string {
  return `role/${name}`
}

export function roleIdKey(hash: string): string {
  return `role-id/${hash}`
}

/**
 * Names are the same whatever their case.
 *
 * @throws ApiError `not_found` for what can be no name, as for any address that is none
 */
export function checkedName(name: string): string {
  // The slash cannot come this far, and a name of dots alone would not come back from a client's URL.
  const fits = /^[\w](?:[\w. -]*\w)?$/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES
  if (!fits) throw new ApiError('not_found', oneError('unsupported path'))
  return name.toLowerCase()
}

export async function roleOf(storage: Pick<StorageReads, 'get'>, name: string): Promise<RoleEntry | undefined> {
  return await storage.get<RoleEntry>(roleKey(checkedName(name)))
}

export async function neededRole(storage: Pick<StorageReads, 'get'>, name: string): Promise<RoleEntry> {
  return (await roleOf(storage, name)) ?? refuse(`role ${JSON.stringify(name)} does not exist`)
}

export function newRole(name: string): RoleEntry {
  return {
    ...noTokenSettings,
    name,
    uuid: randomUUID(),
    role_id: randomUUID(),
    bind_secret_id: true,
    secret_id_bound_cidrs: null,
    secret_id_num_uses: 0,
    secret_id_ttl: 0,
    local_secret_ids: false,
    old_policies: false,
    old_period: false,
  }
}

/** Checks the role and puts it in place of what it was before, its way by role id included. */
export async function putRole(
  transaction: StorageTransaction,
  hashes: Hashes,
  before: RoleEntry | undefined,
  role: RoleEntry,
): Promise<void> {
  checkRole(role)
  transaction.put(roleKey(role.name), role)
  if (before?.role_id === role.role_id) return
  const key = roleIdKey(hashes.roleId(role.role_id))
  if (await transaction.get<RoleIdEntry>(key)) refuse('role_id already in use')
  transaction.put<RoleIdEntry>(key, { role: role.name })
  if (before) transaction.delete(roleIdKey(hashes.roleId(before.role_id)))
}

/** Changes a role that is there. @returns false if it is not */
export async function changeRole(mount: Mount, name: string, change: (role: RoleEntry) => RoleEntry): Promise<boolean> {
  const hashes = await hashesOf(mount.storage)
  return await mount.storage.transact(async (transaction) => {
    const role = await roleOf(transaction, name)
    if (role) await putRole(transaction, hashes, role, change(role))
    return role !== undefined
  })
}

function checkRole(role: RoleEntry): void {
  checkTokenSettings(role)
  if (role.role_id === '') refuse('invalid role_id supplied, or failed to generate a role_id')
  if (Buffer.byteLength(role.role_id) > MAX_ROLE_ID_BYTES) refuse(`role_id may have at most ${MAX_ROLE_ID_BYTES} bytes`)
  if (role.secret_id_num_uses < 0) refuse('secret_id_num_uses cannot be negative')
  if (role.secret_id_ttl < 0) refuse('secret_id_ttl cannot be negative')
  if (role.secret_id_bound_cidrs?.some((range) => !isCidr(range))) refuse('invalid CIDR blocks')
  const constrained =
    role.bind_secret_id || (role.secret_id_bound_cidrs?.length ?? 0) > 0 || role.token_bound_cidrs.length > 0
  if (!constrained) refuse('at least one constraint should be enabled on the role')
}

export function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
