/** Response wrapping, if asked. */
import { contentOf, hasBody, isEmptyListing } from './envelope.ts'
import type { WrapInfo } from '#sdk/engine.ts'
import type { Core } from './core.ts'
import type { Leased } from './lease.ts'

declare const mark: unique symbol
export interface Wrapped extends Leased {
  readonly [mark]: true
  wrapInfo: WrapInfo | undefined
}

export function wrap(core: Core, leased: Leased): Wrapped | Promise<Wrapped> {
  const wrapped = leased as Wrapped
  const { incoming, reply } = leased
  wrapped.wrapInfo = reply.wrapInfo
  const { wrapTtlSeconds } = incoming
  if (wrapTtlSeconds === undefined || reply.wrapInfo || reply.raw) return wrapped
  return hasBody(reply) && !isEmptyListing(incoming, reply) ? putAway(core, wrapped, wrapTtlSeconds) : wrapped
}

async function putAway(core: Core, wrapped: Wrapped, ttlSeconds: number): Promise<Wrapped> {
  const { incoming, reply } = wrapped
  const accessor = reply.auth?.accessor ?? reply.accessor
  wrapped.wrapInfo = await core.wrapping.wrap(contentOf(wrapped, undefined), {
    ttlSeconds,
    creationPath: incoming.path,
    ...(accessor !== undefined && { wrappedAccessor: accessor }),
  })
  return wrapped
}
