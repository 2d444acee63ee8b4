/** `create`, `create-orphan` and `create/:role_name`: who may make which token. */
import { authBlock } from '#core/tokens/auth.ts'
import type { Token, TokenType } from '#core/tokens/token.ts'
import { effectiveTtl } from '#core/tokens/ttl.ts'
import { parseDuration } from '#lib/duration.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { policiesFor } from './policies.ts'
import { matchesGlob, type RoleEntry, roleOf } from './role.ts'
import { hasSudo, identityPoliciesOf, ownToken, refuse, type TokenServices } from './services.ts'

const createFields = {
  id: { type: 'string', about: 'The token itself, instead of a random one. Needs sudo.' },
  policies: { type: 'strings', about: 'Names of its policies. Without any, those of the parent.', default: [] },
  meta: { type: 'pairs', about: 'Metadata, told in the audit log.' },
  no_parent: {
    type: 'boolean',
    about: 'The token does not end with the one that makes it. Needs sudo.',
    default: false,
  },
  no_default_policy: { type: 'boolean', about: 'Without the default policy.', default: false },
  renewable: { type: 'boolean', about: 'It may be renewed.', default: true },
  ttl: { type: 'string', about: 'How long it lives.' },
  lease: { type: 'string', about: 'Use ttl.', deprecated: true },
  explicit_max_ttl: { type: 'string', about: 'It lives no longer, however it is renewed.' },
  period: { type: 'string', about: 'Every renewal gives it this long again, without an end. Needs sudo.' },
  display_name: { type: 'string', about: 'How the audit log calls it.' },
  num_uses: { type: 'integer', about: 'How often it may be used; 0: no limit.', default: 0 },
  type: { type: 'string', about: 'service or batch.' },
  entity_alias: { type: 'string', about: 'Alias of the entity it stands for. Only with a role that allows it.' },
} satisfies Fields
const roleCreateFields = {
  ...createFields,
  role_name: { type: 'string', about: 'Name of the role.', required: true },
} satisfies Fields

type CreateCall = Call<typeof createFields>

interface Order {
  call: CreateCall
  data: Data<typeof createFields>
  parent: Token
  sudo: boolean
  type: TokenType
  role: { name: string; entry: RoleEntry } | undefined
  warnings: string[]
}

export function createPaths(services: TokenServices): Path[] {
  return [
    {
      pattern: 'create',
      seesToken: true,
      makesLeases: true,
      operations: { update: endpoint('Make a token.', createFields, (call) => create(services, call, false)) },
    },
    {
      pattern: 'create-orphan',
      seesToken: true,
      makesLeases: true,
      operations: {
        update: endpoint('Make a token without a parent.', createFields, (call) => create(services, call, true)),
      },
    },
    {
      pattern: 'create/:role_name',
      seesToken: true,
      makesLeases: true,
      operations: {
        update: endpoint('Make a token as a role says.', roleCreateFields, async (call) => {
          const entry = await roleOf(call.mount, call.data.role_name)
          if (!entry) refuse(`unknown role ${call.data.role_name}`)
          return await create(services, call, false, { name: call.data.role_name, entry })
        }),
      },
    },
  ]
}

async function create(
  services: TokenServices,
  call: CreateCall,
  orphan: boolean,
  role?: Order['role'],
): Promise<Reply> {
  const { data } = call
  const parent = await ownToken(services, call)
  if (parent.type === 'batch') refuse('batch tokens cannot create more tokens')
  // It could outlive its own count otherwise.
  if (parent.numUses !== 0) refuse('restricted use token cannot generate child tokens')
  const sudo = await hasSudo(services, parent, call)
  if (data.num_uses < 0) refuse('number of uses cannot be negative')
  const order: Order = { call, data, parent, sudo, role, type: typeOf(data, role?.entry), warnings: [] }
  const aliasEntity = data.entity_alias ? await entityFor(services, order, data.entity_alias) : undefined
  if (data.id && !sudo) refuse('root or sudo privileges required to specify token id')
  const { policies: asked, no_default_policy: noDefault } = data
  const policies = policiesFor({ asked, noDefault, parent: parent.policies, sudo, role: role?.entry })
  if (policies.includes('root') && order.type === 'batch') refuse('batch tokens cannot be root tokens')
  const isOrphan = orphanage(order, orphan)
  const times = timesOf(order, policies)
  const endless = times.ttlSeconds === 0
  if (endless && parent.entry.ttl_seconds !== 0) refuse('expiring root tokens cannot create non-expiring root tokens')
  const entityId = aliasEntity ?? (isOrphan ? '' : parent.entityId)
  const issued = await services.tokens.create({
    policies,
    path: pathOf(order),
    displayName: displayName(data.display_name),
    metadata: data.meta,
    parent: isOrphan ? undefined : parent,
    id: order.type === 'batch' || !data.id ? undefined : data.id,
    ...times,
    numUses: usesOf(data.num_uses, role?.entry.token_num_uses ?? 0),
    renewable: data.renewable && (role?.entry.renewable ?? true),
    type: order.type,
    entityId,
    role: role?.name,
    boundCidrs: endless ? [] : cidrsOf(order, isOrphan),
  })
  for (const name of policies) {
    if (!(await services.policies.get(name))) order.warnings.push(`Policy "${name}" does not exist`)
  }
  const identityPolicies = await identityPoliciesOf(services, issued.token)
  return { auth: authBlock(issued.token, { text: issued.text, identityPolicies }), warnings: order.warnings }
}

function typeOf(data: Data<typeof createFields>, role: RoleEntry | undefined): TokenType {
  const forced = role?.token_type === 'service' || role?.token_type === 'batch' ? role.token_type : undefined
  const asked = forced ?? (data.type || (role?.token_type === 'default-batch' ? 'batch' : 'service'))
  if (asked === 'service') return 'service'
  if (asked !== 'batch') refuse("invalid 'token_type' value")
  if (secondsOf(data.explicit_max_ttl) !== 0) refuse('batch tokens cannot have "explicit_max_ttl" set')
  if (data.num_uses !== 0) refuse('batch tokens cannot have "num_uses" set')
  if (secondsOf(data.period) !== 0) refuse('batch tokens cannot have "period" set')
  return 'batch'
}

async function entityFor(services: TokenServices, { call, role }: Order, alias: string): Promise<string> {
  if (!role) refuse("'entity_alias' is only allowed in combination with token role")
  if (!matchesGlob(role.entry.allowed_entity_aliases ?? [], alias.toLowerCase())) refuse("invalid 'entity_alias' value")
  const { accessor: mountAccessor, path: mountPath } = call.mount
  return (await services.identity.entityOf({ name: alias, mountAccessor, mountPath, mountType: 'token' })).id
}

/** A role decides alone; otherwise it takes sudo, or the path that policies can give. */
function orphanage({ data, role, sudo }: Order, orphan: boolean): boolean {
  if (role) return role.entry.orphan
  if (data.no_parent && !orphan && !sudo) refuse('root or sudo privileges required to create orphan token')
  return data.no_parent || orphan
}

function cidrsOf({ role, parent }: Order, isOrphan: boolean): readonly string[] {
  if (role) return role.entry.token_bound_cidrs
  return isOrphan ? [] : parent.boundCidrs
}

interface Times {
  ttlSeconds: number
  explicitMaxTtlSeconds: number
  periodSeconds: number
}

function timesOf(order: Order, policies: readonly string[]): Times {
  const { data, call, role, sudo, type, warnings } = order
  let explicitMaxTtlSeconds = positive('explicit_max_ttl', data.explicit_max_ttl)
  let periodSeconds = positive('period', data.period)
  if (periodSeconds > 0 && !sudo) refuse('root or sudo privileges required to create periodic token')
  const askedSeconds = data.ttl ? positive('ttl', data.ttl) : positive('lease', data.lease)
  if (role && type !== 'batch') {
    explicitMaxTtlSeconds = lesser(
      'Explicit max TTL',
      explicitMaxTtlSeconds,
      role.entry.token_explicit_max_ttl,
      warnings,
    )
    periodSeconds = lesser('Period', periodSeconds, role.entry.token_period, warnings)
  }
  let ttlSeconds = 0
  if (periodSeconds > 0 || askedSeconds > 0 || !policies.includes('root')) {
    const now = call.mount.clock.now()
    const { defaultLeaseTtlSeconds: defaultSeconds, maxLeaseTtlSeconds: maxSeconds } = call.mount.settings()
    const ttl = effectiveTtl({
      defaultSeconds,
      maxSeconds,
      ttlSeconds: askedSeconds,
      periodSeconds,
      explicitMaxSeconds: explicitMaxTtlSeconds,
      startedAt: now,
      now,
    })
    warnings.push(...ttl.warnings)
    ttlSeconds = ttl.seconds
  }
  // A root token has no end by itself, but it keeps to an explicit one.
  return { ttlSeconds: ttlSeconds || explicitMaxTtlSeconds, explicitMaxTtlSeconds, periodSeconds }
}

function lesser(what: string, own: number, ofRole: number, warnings: string[]): number {
  if (own === 0 || ofRole === 0) return own || ofRole
  const seconds = Math.min(own, ofRole)
  warnings.push(`${what} specified both during creation call and in role; using the lesser value of ${seconds} seconds`)
  return seconds
}

function positive(name: string, text: string | undefined): number {
  const seconds = secondsOf(text)
  if (seconds < 0) refuse(`${name} must be positive`)
  return seconds
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return 0
  return parseDuration(text) ?? refuse(`time: invalid duration ${JSON.stringify(text)}`)
}

function usesOf(asked: number, ofRole: number): number {
  return ofRole === 0 ? asked : asked === 0 ? ofRole : Math.min(asked, ofRole)
}

function displayName(given: string | undefined): string {
  return given ? `token-${given}`.replaceAll(/[^a-zA-Z0-9-]/g, '-').replace(/-$/, '') : 'token'
}

function pathOf({ call, role }: Order): string {
  const path = call.mount.path + call.path
  return role?.entry.path_suffix ? `${path}/${role.entry.path_suffix}` : path
}
