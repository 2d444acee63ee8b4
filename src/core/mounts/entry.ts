/** What is kept of a mount, which paths a mount may have, and the mounts that every server has. */
import { trimSlashes } from '#lib/slashes.ts'
import { randomBytes, randomUUID } from 'node:crypto'
import type { MountLockout } from '#core/lockout.ts'
import { ApiError } from '#sdk/errors.ts'

export type MountKind = 'secret' | 'auth'

export interface MountConfig {
  /** Seconds; 0: the system's own. */
  default_lease_ttl: number
  max_lease_ttl: number
  force_no_cache: boolean
  listing_visibility?: string
  token_type?: string
  audit_non_hmac_request_keys?: string[]
  audit_non_hmac_response_keys?: string[]
  passthrough_request_headers?: string[]
  allowed_response_headers?: string[]
  plugin_version?: string
  user_lockout_config?: MountLockout
}

export interface MountEntry {
  kind: MountKind
  /** As operators write it, with a slash at its end: `secret/`, and for auth methods `approle/`. */
  path: string
  type: string
  uuid: string
  accessor: string
  description: string
  config: MountConfig
  options: Record<string, string> | null
  local: boolean
  seal_wrap: boolean
  external_entropy_access: boolean
  /** Being made, moved or disabled: requests are refused meanwhile. After a crash that is gone on with. */
  tainted?: boolean
  /** Being moved, not disabled. */
  moving?: Move
}

export interface Move {
  /** By which its status is asked for. */
  id: string
  /** The new `path`. */
  to: string
}

type Fixed = Pick<MountEntry, 'kind' | 'path' | 'type' | 'description' | 'local' | 'seal_wrap'> & { headers?: string[] }

const fixed: readonly Fixed[] = [
  {
    kind: 'secret',
    path: 'sys/',
    type: 'system',
    description: 'system endpoints used for control, policy and debugging',
    local: false,
    seal_wrap: true,
    headers: ['Accept'],
  },
  {
    kind: 'secret',
    path: 'cubbyhole/',
    type: 'cubbyhole',
    description: 'per-token private secret storage',
    local: true,
    seal_wrap: false,
  },
  {
    kind: 'secret',
    path: 'identity/',
    type: 'identity',
    description: 'identity store',
    local: false,
    seal_wrap: false,
    headers: ['Authorization'],
  },
  {
    kind: 'auth',
    path: 'token/',
    type: 'token',
    description: 'token based credentials',
    local: false,
    seal_wrap: false,
  },
]

const MAX_MOUNT_PATH_BYTES = 256

/** The mounts every server begins with. */
export function fixedEntries(): MountEntry[] {
  return fixed.map(({ headers, ...each }) =>
    newEntry({
      ...each,
      external_entropy_access: false,
      options: null,
      config: headers ? { passthrough_request_headers: headers } : {},
    }),
  )
}

/** One that stays where it is and is there only once. */
export function isFixed({ kind, path }: Pick<MountEntry, 'kind' | 'path'>): boolean {
  return fixed.some((each) => each.kind === kind && each.path === path)
}

/** Engines that nobody mounts a second time. */
export function isFixedType(type: string): boolean {
  return fixed.some((each) => each.type === type)
}

export function newEntry(
  given: Omit<MountEntry, 'uuid' | 'accessor' | 'config' | 'moving'> & { config: Partial<MountConfig> },
): MountEntry {
  const { config, ...rest } = given
  const name = given.kind === 'auth' ? `auth_${given.type}` : given.type
  return {
    ...rest,
    uuid: randomUUID(),
    accessor: `${name}_${randomBytes(4).toString('hex')}`,
    config: {
      default_lease_ttl: 0,
      max_lease_ttl: 0,
      force_no_cache: false,
      ...(given.kind === 'auth' && { token_type: 'default-service' }),
      ...config,
    },
  }
}

/** Where requests reach it: `secret/`, `auth/approle/`. */
export function routeOf(entry: { kind: MountKind; path: string }): string {
  return entry.kind === 'auth' ? `auth/${entry.path}` : entry.path
}

/** `/Team/kv` → `Team/kv/`, or a refusal for a path that cannot be mounted at. */
export function mountPath(kind: MountKind, given: string): string {
  const trimmed = trimSlashes(given)
  const path = `${trimmed}/`
  if (trimmed === '') throw new ApiError('invalid_request', 'a mount needs a path')
  if (Buffer.byteLength(path) > MAX_MOUNT_PATH_BYTES)
    throw new ApiError('invalid_request', 'the mount path is too long')
  // Control characters and odd segments would let what an operator reads differ from what a policy judges.
  if (/[\p{Cc}\p{Zl}\p{Zp}*+?#%\\]/u.test(trimmed) || trimmed !== trimmed.trim()) {
    throw new ApiError('invalid_request', 'the mount path has a character that is not allowed')
  }
  if (trimmed.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new ApiError('invalid_request', 'the mount path has an empty or relative segment')
  }
  if (kind === 'secret' && /^(auth|sys|cubbyhole|identity)\//.test(path)) {
    throw new ApiError('invalid_request', `cannot mount "${path}"`)
  }
  return path
}
