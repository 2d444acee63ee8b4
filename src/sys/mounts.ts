/** `sys/mounts` and `sys/auth`: enable, disable, list, tune. */
import { trimLastSlashes } from '#lib/slashes.ts'
import type { MountConfig, MountKind } from '#core/mounts/entry.ts'
import type { RevokeAll } from '#core/mounts/departure.ts'
import type { Mounted, Mounts, MountSpec } from '#core/mounts/mounts.ts'
import { parseDuration } from '#lib/duration.ts'
import { builtinPluginVersion } from '#lib/version.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { type Data, decode, type Fields, isObject } from '#sdk/schema.ts'
import { lockoutOf, shownLockout } from './lockout-config.ts'

export interface MountServices {
  mounts: Mounts
  /** Takes back everything a mount gave out: leases, and tokens of an auth method. */
  revokeAll: RevokeAll
}

const path = { type: 'string', about: 'Where it is mounted, e.g. `secret` or `team/kv`.', required: true } as const

const configFields = {
  default_lease_ttl: {
    type: 'string',
    about: 'How long leases and tokens of this mount last. 0 or `system`: the system default.',
  },
  max_lease_ttl: { type: 'string', about: 'How long they may be renewed for. 0 or `system`: the system maximum.' },
  force_no_cache: { type: 'boolean', about: 'Accepted for compatibility; caches here are always coherent.' },
  listing_visibility: {
    type: 'string',
    about: '`unauth` shows the mount to people who have not logged in.',
    choices: ['', 'hidden', 'unauth'],
  },
  token_type: {
    type: 'string',
    about: 'Kind of tokens an auth method gives.',
    choices: ['', 'default-service', 'default-batch', 'service', 'batch'],
  },
  audit_non_hmac_request_keys: { type: 'strings', about: 'Request fields that audit lines show in clear.' },
  audit_non_hmac_response_keys: { type: 'strings', about: 'Response fields that audit lines show in clear.' },
  passthrough_request_headers: { type: 'strings', about: 'Request headers handed to the engine.' },
  allowed_response_headers: { type: 'strings', about: 'Response headers the engine may set.' },
  plugin_version: { type: 'string', about: 'Accepted for compatibility.' },
  user_lockout_config: {
    type: 'map',
    about: 'When users are locked out: lockout_threshold, lockout_duration, lockout_counter_reset, lockout_disable.',
  },
} satisfies Fields

const enableFields = {
  path,
  type: { type: 'string', about: 'Which engine or method, e.g. `kv` or `approle`.', default: '' },
  description: { type: 'string', about: 'For people.', default: '' },
  config: { type: 'map', about: 'Settings as of tune: default_lease_ttl, max_lease_ttl, …' },
  options: { type: 'pairs', about: 'Options of the engine, e.g. `version=2` for kv.' },
  local: { type: 'boolean', about: 'Accepted for compatibility.', default: false },
  seal_wrap: { type: 'boolean', about: 'Accepted for compatibility; every entry is encrypted.', default: false },
  external_entropy_access: { type: 'boolean', about: 'Accepted for compatibility.', default: false },
  plugin_name: { type: 'string', about: 'Old name of `type`.' },
  plugin_version: { type: 'string', about: 'Accepted for compatibility.' },
} satisfies Fields

const tuneFields = {
  path,
  description: { type: 'string', about: 'For people.' },
  options: { type: 'pairs', about: 'Options of the engine to change, e.g. `version=2` to upgrade kv.' },
  ...configFields,
} satisfies Fields

const noFields = {} satisfies Fields

export function mountPaths(services: MountServices, kind: MountKind): Path[] {
  const base = kind === 'auth' ? 'auth' : 'mounts'
  const what = kind === 'auth' ? 'auth method' : 'secrets engine'
  const sudo = kind === 'auth' ? ({ sudo: true } as const) : {}
  return [
    {
      pattern: base,
      repeatsData: true,
      operations: { read: endpoint(`Every ${what}.`, noFields, async () => ({ data: await table(services, kind) })) },
    },
    {
      pattern: `${base}/*path`,
      repeatsData: true,
      ...sudo,
      operations: {
        read: endpoint(`One ${what}.`, { path }, (call) => readOne(services, kind, call)),
        update: endpoint(`Enable ${kind === 'auth' ? 'an' : 'a'} ${what}.`, enableFields, (call) =>
          enable(services, kind, call),
        ),
        delete: endpoint(`Disable it, with everything it holds.`, { path }, (call) => disable(services, kind, call)),
      },
    },
    {
      pattern: `${base}/*path/tune`,
      repeatsData: true,
      ...sudo,
      operations: {
        read: endpoint(`The settings of one ${what}.`, { path }, (call) => readTuning(services, kind, call)),
        update: endpoint(`Change the settings of one ${what}.`, tuneFields, (call) => tune(services, kind, call)),
      },
    },
  ]
}

async function table({ mounts }: MountServices, kind: MountKind): Promise<Record<string, unknown>> {
  return Object.fromEntries((await mounts.all(kind)).map((mounted) => [mounted.entry.path, describeMount(mounted)]))
}

async function readOne(
  { mounts }: MountServices,
  kind: MountKind,
  { data }: Call<{ path: typeof path }>,
): Promise<Reply> {
  const mounted = await mounts.at(kind, data.path)
  if (!mounted)
    throw new ApiError(
      'invalid_request',
      `No ${kind === 'auth' ? 'auth' : 'secret'} engine at ${trimLastSlashes(data.path)}/`,
    )
  return { data: describeMount(mounted) }
}

async function enable(services: MountServices, kind: MountKind, { data }: Call<typeof enableFields>): Promise<Reply> {
  const type = data.type === 'plugin' ? (data.plugin_name ?? '') : data.type
  if (type === '') throw new ApiError('invalid_request', 'backend type must be specified as a string')
  const spec: MountSpec = {
    type,
    description: data.description,
    config: data.config ? decodeConfig(kind, type, data.config) : {},
    options: data.options ?? (kind === 'auth' ? {} : null),
    local: data.local,
    sealWrap: data.seal_wrap,
    externalEntropyAccess: data.external_entropy_access,
  }
  await services.mounts.enable(kind, data.path, spec)
  return {}
}

/** `sys/mounts/auth/x/tune` is another name of `sys/auth/x/tune`, which the Vault API gives to those without sudo. */
function tunedPlace(kind: MountKind, at: string): { kind: MountKind; path: string } {
  return kind === 'secret' && at.startsWith('auth/')
    ? { kind: 'auth', path: at.slice('auth/'.length) }
    : { kind, path: at }
}

async function readTuning(
  { mounts }: MountServices,
  kind: MountKind,
  { data }: Call<{ path: typeof path }>,
): Promise<Reply> {
  const place = tunedPlace(kind, data.path)
  const mounted = await mounts.at(place.kind, place.path)
  if (!mounted) throw new ApiError('invalid_request', `cannot fetch sysview for path "${data.path}/"`)
  return { data: describeTuning(mounted) }
}

async function tune({ mounts }: MountServices, kind: MountKind, { data }: Call<typeof tuneFields>): Promise<Reply> {
  const { description, options, path: at, ...config } = data
  const place = tunedPlace(kind, at)
  const type = (await mounts.at(place.kind, place.path))?.entry.type ?? ''
  await mounts.tune(place.kind, place.path, { description, options, config: configOf(place.kind, type, config) })
  return {}
}

async function disable(
  { mounts, revokeAll }: MountServices,
  kind: MountKind,
  { data }: Call<{ path: typeof path }>,
): Promise<Reply> {
  await mounts.disable(kind, data.path, revokeAll)
  return {}
}

function decodeConfig(kind: MountKind, type: string, config: Record<string, unknown>): Partial<MountConfig> {
  const decoded = decode(configFields, config)
  if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
  return configOf(kind, type, decoded.value)
}

function configOf(kind: MountKind, type: string, given: Data<typeof configFields>): Partial<MountConfig> {
  const { default_lease_ttl: defaultTtl, max_lease_ttl: maxTtl, user_lockout_config: lockout, ...rest } = given
  if (kind === 'secret' && rest.token_type !== undefined && rest.token_type !== '') {
    throw new ApiError('invalid_request', "'token_type' can only be modified on auth mounts")
  }
  const config = {
    default_lease_ttl: ttlOf('default_lease_ttl', defaultTtl),
    max_lease_ttl: ttlOf('max_lease_ttl', maxTtl),
    user_lockout_config: lockout && lockoutOf(type, lockout),
  }
  return Object.fromEntries(Object.entries({ ...config, ...rest }).filter(([, value]) => value !== undefined))
}

/** Undefined: to stay as it is. */
function ttlOf(name: string, given: string | undefined): number | undefined {
  if (given === undefined || given === '') return undefined
  if (given === 'system') return 0
  const seconds = parseDuration(given)
  if (seconds === undefined) throw new ApiError('invalid_request', `${name} is not a duration such as "30s" or "768h"`)
  return seconds
}

/** Type names whose engines are part of the system, or old names: they have no deprecation status of their own. */
const withoutStatus = ['system', 'cubbyhole', 'identity', 'token', 'generic']

export function describeMount({ entry }: Mounted): Record<string, unknown> {
  const lockout = entry.config.user_lockout_config
  return {
    accessor: entry.accessor,
    config: { ...entry.config, ...(lockout && { user_lockout_config: shownLockout(lockout) }) },
    ...(!withoutStatus.includes(entry.type) && { deprecation_status: 'supported' }),
    description: entry.description,
    external_entropy_access: entry.external_entropy_access,
    local: entry.local,
    options: entry.options,
    plugin_version: '',
    running_plugin_version: builtinPluginVersion,
    running_sha256: '',
    seal_wrap: entry.seal_wrap,
    type: entry.type,
    uuid: entry.uuid,
  }
}

function describeTuning({ entry, mount }: Mounted): Record<string, unknown> {
  const { defaultLeaseTtlSeconds, maxLeaseTtlSeconds } = mount.settings()
  const {
    default_lease_ttl: _,
    max_lease_ttl: __,
    force_no_cache,
    user_lockout_config: lockout,
    ...rest
  } = entry.config
  const shown = Object.entries(rest).filter(([, value]) => value !== undefined && value !== '' && !isEmptyList(value))
  return {
    default_lease_ttl: defaultLeaseTtlSeconds,
    description: entry.description,
    force_no_cache,
    max_lease_ttl: maxLeaseTtlSeconds,
    ...Object.fromEntries(shown),
    ...(lockout && shownLockout(lockout)),
    ...(isObject(entry.options) && Object.keys(entry.options).length > 0 && { options: entry.options }),
  }
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}
