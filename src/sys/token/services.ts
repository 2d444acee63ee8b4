/** What the token paths are built over, and questions that several of them ask. */
import { aclOf } from '#core/access.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import type { Policies } from '#core/policies/store.ts'
import type { Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Call } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

export interface TokenServices {
  tokens: Tokens
  leases: Leases
  policies: Policies
  mounts: Mounts
  identity: Identity
}

/** The token of the request itself, even if this is its last use. */
export async function ownToken(services: TokenServices, call: Call<Fields>): Promise<Token> {
  const token = call.token === undefined ? undefined : await services.tokens.lookup(call.token, { spent: true })
  if (!token)
    throw new ApiError('permission_denied', 'permission denied', { reason: 'the token ended during the request' })
  return token
}

/** Whether a token has the sudo capability on the path of the request. */
export async function hasSudo(services: TokenServices, token: Token, call: Call<Fields>): Promise<boolean> {
  const acl = await aclOf(services, token)
  const request = {
    operation: 'update',
    path: call.mount.path + call.path,
    body: call.body,
    wrapTtlSeconds: undefined,
  } as const
  return acl.check({ ...request, needsSudo: true }).sudo
}

/** What a token may besides, by its entity and groups. */
export async function identityPoliciesOf({ identity }: TokenServices, token: Token): Promise<readonly string[]> {
  return token.entityId === '' ? [] : ((await identity.standing(token.entityId))?.policies ?? [])
}

export function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
