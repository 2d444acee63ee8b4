/** What the token paths are built over, and questions that several of them ask. */
import type { Leases } from '#core/leases/leases.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import type { Policies } from '#core/policies/store.ts'
import { subjectOf, type Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Call } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

export interface TokenServices {
  tokens: Tokens
  leases: Leases
  policies: Policies
  mounts: Mounts
  /** The entity behind an alias of a mount, made if there is none; refuses one that is disabled. */
  entityOf?: (alias: { name: string; mountAccessor: string }) => Promise<string>
  /** What a token may besides, by its entity and groups. */
  identityPolicies?: (entityId: string) => Promise<readonly string[]>
}

/** The token of the request itself, even if this is its last use. */
export async function ownToken(services: TokenServices, call: Call<Fields>): Promise<Token> {
  const token = call.token === undefined ? undefined : await services.tokens.lookup(call.token, { spent: true })
  if (!token)
    throw new ApiError('permission_denied', 'permission denied', { reason: 'the token ended during the request' })
  return token
}

/** Whether a token has the sudo capability on the path of the request. */
export async function hasSudo({ policies }: TokenServices, token: Token, call: Call<Fields>): Promise<boolean> {
  const acl = await policies.acl(token.policies, subjectOf(token))
  const request = {
    operation: 'update',
    path: call.mount.path + call.path,
    body: call.body,
    wrapTtlSeconds: undefined,
  } as const
  return acl.check({ ...request, needsSudo: true }).sudo
}

export async function identityPoliciesOf(
  { identityPolicies }: TokenServices,
  token: Token,
): Promise<readonly string[]> {
  return token.entityId === '' || !identityPolicies ? [] : await identityPolicies(token.entityId)
}

export function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
