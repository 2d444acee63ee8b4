/** Response wrapping, if asked; and the reply as it goes out. */
import { envelope, hasBody, isEmptyListing, jsonReply, withoutBody } from './envelope.ts'
import type { WrapInfo } from '#sdk/engine.ts'
import type { Core } from './core.ts'
import type { Sendable } from './audit.ts'
import type { Outgoing } from './incoming.ts'
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
  wrapped.wrapInfo = await core.wrapping.wrap(content(wrapped, undefined), {
    ttlSeconds,
    creationPath: incoming.path,
    ...(accessor !== undefined && { wrappedAccessor: accessor }),
  })
  return wrapped
}

export function send(sendable: Sendable): Outgoing {
  const { incoming, reply, wrapInfo, match } = sendable
  if (reply.raw)
    return { status: reply.raw.status ?? reply.status ?? 200, contentType: reply.raw.contentType, body: reply.raw.body }
  if (!hasBody(reply) || isEmptyListing(incoming, reply)) return withoutBody(incoming, reply)
  return jsonReply(wrapInfo ? 200 : (reply.status ?? 200), content(sendable, wrapInfo, match?.path.repeatsData))
}

function content({ incoming, reply, leaseId }: Leased, wrapInfo: WrapInfo | undefined, repeatsData = false): string {
  if (wrapInfo) {
    const none = { data: undefined, warnings: undefined, auth: undefined }
    return envelope({ requestId: '', leaseId: '', renewable: false, leaseSeconds: 0, ...none, wrapInfo }, false)
  }
  return envelope(
    {
      requestId: incoming.id,
      leaseId,
      renewable: (reply.lease ?? reply.renewed)?.renewable ?? false,
      leaseSeconds: (reply.lease ?? reply.renewed)?.ttlSeconds ?? reply.refreshSeconds ?? 0,
      data: reply.data,
      warnings: reply.warnings,
      auth: reply.auth,
      wrapInfo,
    },
    repeatsData,
  )
}
