/** The reply as it goes out: nothing but what is on record. */
import type { Sendable } from './audit-reply.ts'
import { contentOf, hasBody, isEmptyListing, jsonReply, withoutBody } from './envelope.ts'
import type { Outgoing } from './incoming.ts'

export function send(sendable: Sendable): Outgoing {
  const { incoming, reply, wrapInfo, match } = sendable
  if (reply.raw) {
    const { status = reply.status ?? 200, contentType, body, stream } = reply.raw
    return { status, contentType, body: stream ? undefined : body, ...(stream && { stream }) }
  }
  if (!hasBody(reply) || isEmptyListing(incoming, reply)) return withoutBody(incoming, reply)
  return jsonReply(wrapInfo ? 200 : (reply.status ?? 200), contentOf(sendable, wrapInfo, match?.path.repeatsData))
}
