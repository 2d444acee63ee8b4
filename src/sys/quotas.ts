/** `sys/quotas`: how often clients may ask, how many leases there may be, and settings of both. */
import type { Mounts } from '#core/mounts/mounts.ts'
import type { Quotas } from '#core/quotas/quotas.ts'
import { type Grouping, groupings, type LeaseRule, type RateRule, type Scope } from '#core/quotas/rules.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, found } from '#sdk/errors.ts'
import type { Data, Fields } from '#sdk/schema.ts'

export interface QuotaServices {
  quotas: Quotas
  mounts: Mounts
}

const noFields = {} satisfies Fields
const name = { type: 'string', about: 'Name of the quota.', required: true } as const

const scopeFields = {
  name,
  type: { type: 'string', about: 'Kind of the quota; the address says it already.' },
  path: {
    type: 'string',
    about: 'A mount, or a path below one, with a `*` at its end for all that begin so. Empty: everything.',
    default: '',
  },
  role: {
    type: 'string',
    about: 'Only log-ins of this role, where the path is an auth method with roles.',
    default: '',
  },
  inheritable: { type: 'boolean', about: 'Whether namespaces below have it too.' },
} as const satisfies Fields

const rateFields = {
  ...scopeFields,
  rate: { type: 'number', about: 'Requests that one client may make in an interval.', default: 0 },
  interval: { type: 'duration', about: 'Length of an interval; a second unless given.', default: 0 },
  block_interval: { type: 'duration', about: 'Whoever asks too often is refused for so long.', default: 0 },
  group_by: {
    type: 'string',
    about: 'Who is one client: `ip`, `none` (all together), `entity_then_ip` or `entity_then_none`.',
    default: '',
  },
  secondary_rate: {
    type: 'number',
    about: 'The rate of those without an entity, where entities are what is grouped by; 0: the same.',
    default: 0,
  },
} as const satisfies Fields

const leaseFields = {
  ...scopeFields,
  max_leases: { type: 'integer', about: 'Leases that there may be at a time.', default: 0 },
} as const satisfies Fields

const configFields = {
  rate_limit_exempt_paths: { type: 'strings', about: 'Paths that no rate quota holds for, with all below them.' },
  absolute_rate_limit_exempt_paths: { type: 'strings', about: 'The same, seen from the root namespace.' },
  enable_rate_limit_audit_logging: { type: 'boolean', about: 'Record what rate quotas refuse.' },
  enable_rate_limit_response_headers: {
    type: 'boolean',
    about: 'Tell clients in headers how much they may still ask.',
  },
} as const satisfies Fields

export function quotaPaths(services: QuotaServices): Path[] {
  const { quotas } = services
  return [
    {
      pattern: 'quotas/config',
      operations: {
        read: endpoint('Settings of rate quotas.', noFields, async () => ({ data: { ...(await quotas.config()) } })),
        update: endpoint('Change them.', configFields, async ({ data }) => {
          await quotas.setConfig(data)
          return {}
        }),
      },
    },
    {
      pattern: 'quotas/rate-limit',
      operations: {
        list: endpoint('Names of all rate quotas.', noFields, async () => namesOf(await quotas.rateRules())),
      },
    },
    {
      pattern: 'quotas/rate-limit/:name',
      operations: {
        read: endpoint('One rate quota.', { name }, (call) => readRate(services, call)),
        update: endpoint('Limit how often clients may ask.', rateFields, (call) => writeRate(services, call)),
        delete: endpoint('Remove a rate quota.', { name }, async ({ data }) => {
          await quotas.deleteRate(data.name)
          return {}
        }),
      },
    },
    {
      pattern: 'quotas/lease-count',
      operations: {
        list: endpoint('Names of all lease quotas.', noFields, async () => namesOf(await quotas.leaseRules())),
      },
    },
    {
      pattern: 'quotas/lease-count/:name',
      operations: {
        read: endpoint('One lease quota, and how many leases it holds.', { name }, (call) =>
          readLeases(services, call),
        ),
        update: endpoint('Limit how many leases there may be.', leaseFields, (call) => writeLeases(services, call)),
        delete: endpoint('Remove a lease quota.', { name }, async ({ data }) => {
          await quotas.deleteLeases(data.name)
          return {}
        }),
      },
    },
  ]
}

function namesOf(rules: readonly Scope[]): Reply {
  return { data: { keys: rules.map((rule) => rule.name).toSorted() } }
}

async function readRate({ quotas }: QuotaServices, { data }: Call<{ name: typeof name }>): Promise<Reply> {
  const rule = found((await quotas.rateRules()).find((each) => each.name === data.name))
  return {
    data: {
      ...describeScope(rule, 'rate-limit'),
      block_interval: rule.block_seconds,
      group_by: rule.group_by,
      interval: rule.interval_seconds,
      rate: rule.rate,
      secondary_rate: rule.secondary_rate,
    },
  }
}

async function readLeases({ quotas }: QuotaServices, { data }: Call<{ name: typeof name }>): Promise<Reply> {
  const rule = found((await quotas.leaseRules()).find((each) => each.name === data.name))
  const counter = await quotas.leasesHeld(rule.name)
  return { data: { ...describeScope(rule, 'lease-count'), counter, max_leases: rule.max_leases } }
}

function describeScope(rule: Scope, type: string): Record<string, unknown> {
  return {
    inheritable: rule.inheritable,
    name: rule.name,
    path: rule.mount + rule.suffix,
    role: rule.role,
    type,
  }
}

async function writeRate(services: QuotaServices, { data }: Call<typeof rateFields>): Promise<Reply> {
  const { rate } = data
  if (rate <= 0) throw new ApiError('invalid_request', "'rate' is invalid")
  if (data.interval < 0) throw new ApiError('invalid_request', "'interval' is invalid")
  if (data.block_interval < 0) throw new ApiError('invalid_request', "'block' is invalid")
  const grouping = groupingOf(data.group_by)
  const scope = await scopeOf(services, data)
  const rule: RateRule = {
    ...scope,
    rate,
    interval_seconds: data.interval === 0 ? 1 : data.interval,
    block_seconds: data.block_interval,
    group_by: grouping,
    secondary_rate: secondaryRate(grouping, data),
  }
  await services.quotas.putRate(rule)
  return {}
}

async function writeLeases(services: QuotaServices, { data }: Call<typeof leaseFields>): Promise<Reply> {
  if (data.max_leases <= 0) throw new ApiError('invalid_request', "'max_leases' is invalid")
  const rule: LeaseRule = { ...(await scopeOf(services, data)), max_leases: data.max_leases }
  await services.quotas.putLeases(rule)
  return {}
}

function groupingOf(given: string): Grouping {
  const grouping = groupings.find((each) => each === (given || 'ip'))
  if (!grouping) throw new ApiError('invalid_request', `invalid grouping mode ${JSON.stringify(given)}`)
  return grouping
}

function secondaryRate(grouping: Grouping, { rate, secondary_rate }: Data<typeof rateFields>): number {
  if (secondary_rate < 0) throw new ApiError('invalid_request', 'secondary rate must be greater than or equal to 0')
  const byEntity = grouping === 'entity_then_ip' || grouping === 'entity_then_none'
  if (!byEntity && secondary_rate > 0) {
    throw new ApiError('invalid_request', 'secondary rate is only valid when using entity-based grouping')
  }
  return byEntity ? secondary_rate || rate : 0
}

/** @throws ApiError `invalid_request` for a path without a mount, or a role where there are none */
async function scopeOf({ mounts }: QuotaServices, data: Data<typeof scopeFields>): Promise<Scope> {
  const path = sanitized(data.path)
  const mounted = path === '' ? undefined : await mounts.find(path)
  if (path !== '' && !mounted) throw new ApiError('invalid_request', `invalid mount path ${JSON.stringify(path)}`)
  const mount = mounted?.route ?? ''
  const suffix = path.slice(mount.length).replace(/\/$/, '')
  if (data.role !== '') {
    if (suffix !== '') {
      throw new ApiError(
        'invalid_request',
        'Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth mount with a concept of roles',
      )
    }
    if (mounted?.entry.kind !== 'auth') {
      throw new ApiError(
        'invalid_request',
        `Mount path ${JSON.stringify(mount)} is not a valid auth method and therefore unsuitable for use with role-based quotas`,
      )
    }
    if (!mounted.engine.resolveRole) {
      throw new ApiError(
        'invalid_request',
        `Mount path ${JSON.stringify(mount)} does not support use with role-based quotas`,
      )
    }
  }
  const inheritable = data.inheritable ?? mount === ''
  return { name: data.name, mount, uuid: mounted?.entry.uuid ?? '', suffix, role: data.role, inheritable }
}

/** With a slash at its end and none at its start. */
function sanitized(path: string): string {
  const trimmed = path.replace(/^\/+/, '')
  return trimmed === '' || trimmed.endsWith('/') ? trimmed : `${trimmed}/`
}
