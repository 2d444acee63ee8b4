/** What is kept of a mount, and which paths a mount may have. */
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
  /** Being disabled: requests are refused while its leases and entries go. */
  tainted?: boolean
}

const MAX_MOUNT_PATH_BYTES = 256

/** Where requests reach it: `secret/`, `auth/approle/`. */
export function routeOf(entry: { kind: MountKind; path: string }): string {
  return entry.kind === 'auth' ? `auth/${entry.path}` : entry.path
}

/** `/Team/kv` → `Team/kv/`, or a refusal for a path that cannot be mounted at. */
export function mountPath(kind: MountKind, given: string): string {
  const trimmed = given.replace(/^\/+|\/+$/g, '')
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
