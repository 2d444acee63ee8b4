/** Token → who is asking. */
import { allowedFrom, type Token } from '#core/tokens/token.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'
import type { Admitted } from './rate.ts'

declare const mark: unique symbol
export interface Known extends Admitted {
  readonly [mark]: true
  /** Undefined only on paths that are answered without one. */
  token: Token | undefined
}

export async function authenticate(core: Core, admitted: Admitted): Promise<Known> {
  const known = admitted as Known
  if (admitted.match?.path.unauthenticated && admitted.endpoint) return known
  const id = admitted.incoming.token
  if (id === undefined || id === '') throw denied('no token was sent')
  const token = await core.tokens.lookup(id)
  if (!token) throw denied('token unknown, expired or revoked')
  if (!allowedFrom(token, admitted.incoming.remoteAddress)) {
    throw denied('the address is outside the ranges that the token is bound to')
  }
  // A use is spent before anybody judges the request, so that a limited token cannot be used to try out paths.
  const used = token.numUses > 0 ? await core.tokens.use(token) : token
  if (!used) throw denied('the token has no uses left')
  known.token = used
  known.record.client_token_accessor = used.accessor
  known.record.client_id = used.clientId
  return known
}

function denied(reason: string): ApiError {
  return new ApiError('permission_denied', 'permission denied', { reason })
}
