/** Single fields of a role, each at an address of its own, so that policies can hand out one and not the others. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Data, Field, Fields } from '#sdk/schema.ts'
import { isOldName, roleFields } from './role-fields.ts'
import { changeRole, nameFields, refuse, type RoleEntry, roleName, roleOf } from './role.ts'
import { changedTokenSettings, noTokenSettings } from '#sdk/token-fields.ts'

interface Property<F extends Fields> {
  /** Last part of the address. */
  at: string
  fields: F
  show: (role: RoleEntry) => Record<string, unknown>
  set: (role: RoleEntry, given: Data<F>) => RoleEntry
  reset: (role: RoleEntry) => RoleEntry
}

type NameCall = Call<typeof nameFields>

const {
  bind_secret_id,
  bound_cidr_list,
  period,
  policies,
  secret_id_bound_cidrs,
  secret_id_num_uses,
  secret_id_ttl,
  token_bound_cidrs,
  token_max_ttl,
  token_num_uses,
  token_period,
  token_policies,
  token_ttl,
} = roleFields

export const propertyPaths: readonly Path[] = [
  pathOf({
    at: 'policies',
    fields: { token_policies, policies },
    show: (role) => ({
      token_policies: role.token_policies,
      ...(role.old_policies && { policies: role.token_policies }),
    }),
    set: (role, given) => ({
      ...role,
      ...changedTokenSettings(role, { token_policies: given.token_policies ?? given.policies }),
      old_policies: isOldName(role.old_policies, given.token_policies, given.policies),
    }),
    reset: (role) => ({ ...role, token_policies: [], old_policies: false }),
  }),
  pathOf({
    at: 'period',
    fields: { token_period, period },
    show: (role) => ({ token_period: role.token_period, ...(role.old_period && { period: role.token_period }) }),
    set: (role, given) => ({
      ...role,
      ...changedTokenSettings(role, { token_period: given.token_period ?? given.period }),
      old_period: isOldName(role.old_period, given.token_period, given.period),
    }),
    reset: (role) => ({ ...role, token_period: 0, old_period: false }),
  }),
  tokenPath('token-ttl', 'token_ttl', { token_ttl }),
  tokenPath('token-max-ttl', 'token_max_ttl', { token_max_ttl }),
  tokenPath('token-num-uses', 'token_num_uses', { token_num_uses }),
  tokenPath('token-bound-cidrs', 'token_bound_cidrs', { token_bound_cidrs }),
  pathOf({
    at: 'bind-secret-id',
    fields: { bind_secret_id },
    show: (role) => ({ bind_secret_id: role.bind_secret_id }),
    set: (role, given) => ({ ...role, bind_secret_id: given.bind_secret_id ?? role.bind_secret_id }),
    reset: (role) => ({ ...role, bind_secret_id: true }),
  }),
  pathOf({
    at: 'secret-id-num-uses',
    fields: { secret_id_num_uses },
    show: (role) => ({ secret_id_num_uses: role.secret_id_num_uses }),
    set: (role, given) => ({ ...role, secret_id_num_uses: given.secret_id_num_uses ?? role.secret_id_num_uses }),
    reset: (role) => ({ ...role, secret_id_num_uses: 0 }),
  }),
  pathOf({
    at: 'secret-id-ttl',
    fields: { secret_id_ttl },
    show: (role) => ({ secret_id_ttl: role.secret_id_ttl }),
    set: (role, given) => ({ ...role, secret_id_ttl: given.secret_id_ttl ?? role.secret_id_ttl }),
    reset: (role) => ({ ...role, secret_id_ttl: 0 }),
  }),
  pathOf({
    at: 'secret-id-bound-cidrs',
    fields: { secret_id_bound_cidrs },
    show: (role) => ({ secret_id_bound_cidrs: role.secret_id_bound_cidrs }),
    set: (role, given) => ({
      ...role,
      secret_id_bound_cidrs: given.secret_id_bound_cidrs ?? role.secret_id_bound_cidrs,
    }),
    reset: (role) => ({ ...role, secret_id_bound_cidrs: null }),
  }),
  pathOf({
    at: 'bound-cidr-list',
    fields: { bound_cidr_list },
    show: (role) => ({ bound_cidr_list: role.secret_id_bound_cidrs }),
    set: (role, given) => ({ ...role, secret_id_bound_cidrs: given.bound_cidr_list ?? role.secret_id_bound_cidrs }),
    reset: (role) => ({ ...role, secret_id_bound_cidrs: null }),
  }),
  {
    pattern: 'role/:role_name/local-secret-ids',
    operations: {
      read: endpoint('Read whether secret ids stay in this cluster.', nameFields, (call) =>
        read(call, (role) => ({ local_secret_ids: role.local_secret_ids })),
      ),
    },
  },
]

/** A field that the tokens of all auth methods have. */
function tokenPath<N extends 'token_ttl' | 'token_max_ttl' | 'token_num_uses' | 'token_bound_cidrs'>(
  at: string,
  name: N,
  fields: Record<N, Field>,
): Path {
  return pathOf<Fields>({
    at,
    fields,
    show: (role) => ({ [name]: role[name] }),
    set: (role, given) => ({ ...role, ...changedTokenSettings(role, given) }),
    reset: (role) => ({ ...role, [name]: noTokenSettings[name] }),
  })
}

function pathOf<F extends Fields>({ at, fields, show, set, reset }: Property<F>): Path {
  const [name] = Object.keys(fields)
  const { about } = fields[name!]!
  return {
    pattern: `role/:role_name/${at}`,
    about,
    operations: {
      read: endpoint(`Read ${name}.`, nameFields, (call) => read(call, show)),
      update: endpoint(`Set ${name}.`, { role_name: roleName, ...fields }, async ({ mount, data }) => {
        const { role_name: role, ...given } = data as Data<typeof nameFields> & Record<string, unknown>
        if (Object.values(given).every((value) => value === undefined)) refuse(`missing ${name}`)
        const isThere = await changeRole(mount, role, (before) => set(before, given as Data<F>))
        if (!isThere) throw new ApiError('not_found', oneError('unsupported path'))
        return {}
      }),
      delete: endpoint(`Set ${name} back to what a new role has.`, nameFields, async ({ mount, data }) => {
        await changeRole(mount, data.role_name, reset)
        return {}
      }),
    },
  }
}

async function read({ mount, data }: NameCall, show: (role: RoleEntry) => Record<string, unknown>): Promise<Reply> {
  const role = await roleOf(mount.storage, data.role_name)
  return role ? { data: show(role) } : {}
}
