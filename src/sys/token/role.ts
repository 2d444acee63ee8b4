/** Token roles: `roles/:role_name`. Stored below the mount: role/<name> → RoleEntry. */
import { isCidr } from '#lib/cidr.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { found } from '#sdk/errors.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { refuse } from './services.ts'

const roleTypes = ['default-service', 'default-batch', 'service', 'batch'] as const
type RoleType = (typeof roleTypes)[number]

export interface RoleEntry {
  allowed_policies: string[]
  disallowed_policies: string[]
  allowed_policies_glob: string[]
  disallowed_policies_glob: string[]
  allowed_entity_aliases: string[] | null
  orphan: boolean
  path_suffix: string
  renewable: boolean
  token_type: RoleType
  token_period: number
  token_explicit_max_ttl: number
  token_bound_cidrs: string[]
  token_num_uses: number
  token_no_default_policy: boolean
  /** As given by their old names, which the API tells apart. */
  period: number
  explicit_max_ttl: number
  bound_cidrs: string[]
}

const MAX_NAME_BYTES = 256
const suffixPattern = /\w[\w-.]+\w/

const roleName = { type: 'string', about: 'Name of the role.', required: true } as const
const nameFields = { role_name: roleName } satisfies Fields
const listFields = {
  after: { type: 'string', about: 'List what comes after this name.', query: true },
  limit: { type: 'integer', about: 'List at most so many.', query: true, default: 0 },
} satisfies Fields
const roleFields = {
  role_name: roleName,
  allowed_policies: { type: 'strings', about: 'Policies a token may have. Without any list, those of its parent.' },
  disallowed_policies: { type: 'strings', about: 'Policies a token may not have.' },
  allowed_policies_glob: { type: 'strings', about: 'Like allowed_policies, with * at either end.' },
  disallowed_policies_glob: { type: 'strings', about: 'Like disallowed_policies, with * at either end.' },
  allowed_entity_aliases: {
    type: 'strings',
    about: 'Entity aliases a token may be made for; * at either end matches any.',
  },
  orphan: { type: 'boolean', about: 'Tokens have no parent.' },
  path_suffix: { type: 'string', about: 'Put behind the path of tokens, so that they can be revoked together.' },
  renewable: { type: 'boolean', about: 'Tokens may be renewed.' },
  token_type: { type: 'string', about: 'service, batch, default-service or default-batch.' },
  token_period: { type: 'duration', about: 'Tokens are periodic, with this period.' },
  token_explicit_max_ttl: { type: 'duration', about: 'No token lives longer, however it is renewed.' },
  token_bound_cidrs: { type: 'strings', about: 'Address ranges that tokens may be used from.' },
  token_num_uses: { type: 'integer', about: 'How often tokens may be used; 0: no limit.', min: 0 },
  token_no_default_policy: { type: 'boolean', about: 'Tokens do not get the default policy.' },
  period: { type: 'duration', about: 'Use token_period.', deprecated: true },
  explicit_max_ttl: { type: 'duration', about: 'Use token_explicit_max_ttl.', deprecated: true },
  bound_cidrs: { type: 'strings', about: 'Use token_bound_cidrs.', deprecated: true },
} satisfies Fields

export function rolePaths(): Path[] {
  return [
    { pattern: 'roles', operations: { list: endpoint('Names of the roles.', listFields, listRoles) } },
    {
      pattern: 'roles/:role_name',
      operations: {
        read: endpoint('Read a role.', nameFields, readRole),
        update: endpoint('Make or change a role.', roleFields, writeRole),
        delete: endpoint('Delete a role.', nameFields, deleteRole),
      },
      exists: async (call) =>
        (await roleOf(call.mount, (call as Call<typeof nameFields>).data.role_name)) !== undefined,
    },
  ]
}

export async function roleOf(mount: Mount, name: string): Promise<RoleEntry | undefined> {
  return name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES
    ? undefined
    : await mount.storage.get<RoleEntry>(`role/${name}`)
}

async function listRoles({ mount, data }: Call<typeof listFields>): Promise<Reply> {
  const page = { after: data.after, ...(data.limit > 0 && { limit: data.limit }) }
  return { data: { keys: await mount.storage.list('role/', page) } }
}

async function readRole({ mount, data }: Call<typeof nameFields>): Promise<Reply> {
  const role = found(await roleOf(mount, data.role_name))
  const { bound_cidrs: oldCidrs, token_bound_cidrs: cidrs, token_num_uses: uses, ...rest } = role
  return {
    data: {
      name: data.role_name,
      ...rest,
      ...(cidrs.length > 0 && { token_bound_cidrs: cidrs }),
      ...(oldCidrs.length > 0 && { bound_cidrs: oldCidrs }),
      ...(uses > 0 && { token_num_uses: uses }),
    },
  }
}

async function writeRole({ mount, data }: Call<typeof roleFields>): Promise<Reply> {
  if (Buffer.byteLength(data.role_name) > MAX_NAME_BYTES) refuse(`role_name may have at most ${MAX_NAME_BYTES} bytes`)
  checkFields(data)
  await mount.storage.update<RoleEntry>(`role/${data.role_name}`, (role) => checked(changed(role ?? fresh, data)))
  const explicitMaxSeconds = data.token_explicit_max_ttl ?? data.explicit_max_ttl ?? 0
  const { maxLeaseTtlSeconds } = mount.settings()
  if (explicitMaxSeconds <= maxLeaseTtlSeconds) return {}
  const [own, most] = [explicitMaxSeconds, maxLeaseTtlSeconds]
  return {
    warnings: [
      `Given explicit max TTL of ${own} seconds is greater than the ${most} seconds that the system or mount allows; tokens end by the lesser`,
    ],
  }
}

async function deleteRole({ mount, data }: Call<typeof nameFields>): Promise<Reply> {
  await mount.storage.delete(`role/${data.role_name}`)
  return {}
}

const fresh: RoleEntry = {
  allowed_policies: [],
  disallowed_policies: [],
  allowed_policies_glob: [],
  disallowed_policies_glob: [],
  allowed_entity_aliases: null,
  orphan: false,
  path_suffix: '',
  renewable: true,
  token_type: 'default-service',
  token_period: 0,
  token_explicit_max_ttl: 0,
  token_bound_cidrs: [],
  token_num_uses: 0,
  token_no_default_policy: false,
  period: 0,
  explicit_max_ttl: 0,
  bound_cidrs: [],
}

function checkFields(data: Data<typeof roleFields>): void {
  if (data.path_suffix && !suffixPattern.test(data.path_suffix)) {
    refuse(`given role path suffix contains invalid characters; must conform to ${suffixPattern.source}`)
  }
  const type = data.token_type
  if (type && !roleTypes.some((each) => each === type)) refuse(`invalid 'token_type' value "${type}"`)
  for (const seconds of [data.token_period, data.period])
    if ((seconds ?? 0) < 0) refuse("'token_period' cannot be negative")
  for (const seconds of [data.token_explicit_max_ttl, data.explicit_max_ttl]) {
    if ((seconds ?? 0) < 0) refuse("'token_explicit_max_ttl' cannot be negative")
  }
  for (const range of [...(data.token_bound_cidrs ?? []), ...(data.bound_cidrs ?? [])]) {
    if (!isCidr(range)) refuse(`error parsing bound_cidrs: "${range}" is not an address range`)
  }
}

/** Only what was given changes. A new name wins over its old one; the old one alone sets both. */
function changed(role: RoleEntry, data: Data<typeof roleFields>): RoleEntry {
  const replacedOld = <T>(fresh: T | undefined, old: T | undefined, zero: T, kept: T): T =>
    fresh !== undefined ? (old ?? zero) : (old ?? kept)
  return {
    allowed_policies: names(data.allowed_policies) ?? role.allowed_policies,
    disallowed_policies: names(data.disallowed_policies) ?? role.disallowed_policies,
    allowed_policies_glob: names(data.allowed_policies_glob) ?? role.allowed_policies_glob,
    disallowed_policies_glob: names(data.disallowed_policies_glob) ?? role.disallowed_policies_glob,
    allowed_entity_aliases: names(data.allowed_entity_aliases) ?? role.allowed_entity_aliases,
    orphan: data.orphan ?? role.orphan,
    path_suffix: data.path_suffix ?? role.path_suffix,
    renewable: data.renewable ?? role.renewable,
    token_type: data.token_type ? (data.token_type as RoleType) : role.token_type,
    token_period: data.token_period ?? data.period ?? role.token_period,
    token_explicit_max_ttl: data.token_explicit_max_ttl ?? data.explicit_max_ttl ?? role.token_explicit_max_ttl,
    token_bound_cidrs: data.token_bound_cidrs ?? data.bound_cidrs ?? role.token_bound_cidrs,
    token_num_uses: data.token_num_uses ?? role.token_num_uses,
    token_no_default_policy: data.token_no_default_policy ?? role.token_no_default_policy,
    period: replacedOld(data.token_period, data.period, 0, role.period),
    explicit_max_ttl: replacedOld(data.token_explicit_max_ttl, data.explicit_max_ttl, 0, role.explicit_max_ttl),
    bound_cidrs: replacedOld<string[]>(data.token_bound_cidrs, data.bound_cidrs, [], role.bound_cidrs),
  }
}

function checked(role: RoleEntry): RoleEntry {
  if (role.token_type !== 'batch' && role.token_type !== 'default-batch') return role
  if (role.token_period !== 0)
    refuse("'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens")
  if (role.token_num_uses !== 0) {
    refuse("'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count")
  }
  return role
}

function names(given: string[] | undefined): string[] | undefined {
  return given && [...new Set(given.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''))].toSorted()
}

/** `*` at either end matches anything. */
export function matchesGlob(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => {
    const [start, end] = [pattern.startsWith('*'), pattern.endsWith('*')]
    if (pattern === '*') return true
    const text = pattern.slice(start ? 1 : 0, end ? -1 : undefined)
    if (start && end) return name.includes(text)
    return start ? name.endsWith(text) : end ? name.startsWith(text) : name === pattern
  })
}
