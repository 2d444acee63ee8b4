/** What a token is made of. */
import type { Grant, MountSettings } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { ROOT_PATH, sanitizePolicies, type Token, type TokenEntry, type TokenType } from './token.ts'
import { effectiveTtl } from './ttl.ts'

/** All times in seconds, settled already: nothing is capped any more. */
export interface CreateSpec {
  policies: readonly string[]
  /** Of the request that makes it. */
  path: string
  displayName: string
  /** 0: it never ends. Only root tokens may. */
  ttlSeconds: number
  metadata?: Readonly<Record<string, string>> | undefined
  /** Ends with this one. Absent: an orphan. */
  parent?: Token | undefined
  /** The token itself, instead of a random one. */
  id?: string | undefined
  /** The token itself, from `newServiceToken`, for who has to tell it in another form before it is made. */
  text?: string | undefined
  explicitMaxTtlSeconds?: number
  periodSeconds?: number
  /** 0: no limit. */
  numUses?: number
  renewable?: boolean
  type?: TokenType
  entityId?: string
  role?: string | undefined
  boundCidrs?: readonly string[]
  /** Name of its storage area, where the caller must know that beforehand: `newCubbyhole()`. */
  cubbyhole?: string
  /** Accessor of the auth mount and its grant, for a log-in. */
  mount?: string
  grant?: Grant
  /** Made whatever quotas say, though it counts: what waits behind a wrapping token was made within them. */
  unlimited?: true
  /** Further writes of the same transaction. May run more than once. */
  also?: (transaction: StorageTransaction, token: Token) => void
}

export interface Issued {
  token: Token
  text: string
  warnings: string[]
}

export const ROOT_SPEC: CreateSpec = { policies: ['root'], path: ROOT_PATH, displayName: 'root', ttlSeconds: 0 }

export function entryOf(spec: CreateSpec, now: Date): TokenEntry {
  const {
    ttlSeconds,
    explicitMaxTtlSeconds = 0,
    periodSeconds = 0,
    numUses = 0,
    entityId = '',
    boundCidrs = [],
    parent,
  } = spec
  if (ttlSeconds <= 0 && !spec.policies.includes('root')) {
    throw new ApiError('internal', 'internal error', { reason: 'a token without an end must be a root token' })
  }
  const batch = spec.type === 'batch'
  return {
    policies: spec.policies,
    path: spec.path,
    display_name: spec.displayName,
    created_at_ms: now.getTime(),
    ttl_seconds: ttlSeconds,
    expires_at_ms: ttlSeconds > 0 ? now.getTime() + ttlSeconds * 1000 : 0,
    ...(parent && { parent: parent.id, generation: (parent.entry.generation ?? 0) + 1 }),
    ...(spec.metadata && Object.keys(spec.metadata).length > 0 && { metadata: spec.metadata }),
    ...(numUses > 0 && !batch && { uses_left: numUses }),
    ...(spec.renewable && ttlSeconds > 0 && !batch && { renewable: true as const }),
    ...(periodSeconds > 0 && !batch && { period_seconds: periodSeconds }),
    ...(explicitMaxTtlSeconds > 0 && !batch && { explicit_max_ttl_seconds: explicitMaxTtlSeconds }),
    ...(entityId !== '' && { entity_id: entityId }),
    ...(spec.role !== undefined && { role: spec.role }),
    ...(boundCidrs.length > 0 && { bound_cidrs: boundCidrs }),
    ...(spec.cubbyhole !== undefined && { cubbyhole: spec.cubbyhole }),
    ...(spec.mount !== undefined && { mount: spec.mount }),
    ...(spec.grant && !batch && { grant: spec.grant }),
  }
}

export interface Login {
  grant: Grant
  /** Of the request: `auth/approle/login`. */
  path: string
  mount: { path: string; accessor: string; settings: MountSettings }
  /** `token_type` of the mount's configuration. */
  mountTokenType?: string | undefined
  entityId?: string
}

/**
 * What a successful log-in makes.
 *
 * @throws ApiError `invalid_request` where an auth method asks for what none may give
 */
export function loginSpec(
  { grant, path, mount, mountTokenType, entityId = '' }: Login,
  now: Date,
): { spec: CreateSpec; warnings: string[] } {
  const policies = sanitizePolicies(grant.policies, !grant.noDefaultPolicy)
  if (policies.includes('root')) throw new ApiError('invalid_request', 'auth methods cannot create root tokens')
  const ttl = effectiveTtl({
    defaultSeconds: mount.settings.defaultLeaseTtlSeconds,
    maxSeconds: mount.settings.maxLeaseTtlSeconds,
    ttlSeconds: grant.ttlSeconds,
    periodSeconds: grant.periodSeconds,
    ownMaxSeconds: grant.maxTtlSeconds,
    explicitMaxSeconds: grant.explicitMaxTtlSeconds,
    startedAt: now,
    now,
  })
  const type = loginTokenType(grant.tokenType, mountTokenType)
  if (type === 'batch' && (grant.numUses > 0 || grant.periodSeconds > 0)) {
    throw new ApiError('invalid_request', 'batch tokens cannot be periodic or have a limited number of uses')
  }
  const source = mount.path.replace(/^auth\//, '').replaceAll('/', '-')
  return {
    warnings: ttl.warnings,
    spec: {
      policies,
      path,
      displayName: (source + grant.displayName).replace(/-$/, ''),
      ttlSeconds: ttl.seconds,
      metadata: grant.metadata,
      explicitMaxTtlSeconds: grant.explicitMaxTtlSeconds,
      periodSeconds: grant.periodSeconds,
      numUses: grant.numUses,
      renewable: grant.renewable,
      type,
      entityId,
      boundCidrs: grant.boundCidrs,
      mount: mount.accessor,
      grant,
    },
  }
}

/** The auth method's word, else the mount's, else service; a mount set to one kind outright makes no other. */
function loginTokenType(asked: Grant['tokenType'], mountType = 'default-service'): TokenType {
  if (mountType === 'service' || mountType === 'batch') return mountType
  if (asked === 'service' || asked === 'batch') return asked
  if (asked === 'default') return mountType === 'default-batch' ? 'batch' : 'service'
  return asked === 'default-batch' ? 'batch' : 'service'
}
