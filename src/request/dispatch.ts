/** The engine's handler: the only place that calls one. */
import { noHandler } from '#core/mounts/usage.ts'
import type { Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { PreparedCall } from './call.ts'
import type { Core } from './core.ts'
import { helpReply } from './help.ts'
import { filterListing } from './listing.ts'
import { guardLogin } from './lockout.ts'
import type { Reserved } from './reserve.ts'

declare const mark: unique symbol
export interface Answered extends Reserved {
  readonly [mark]: true
  reply: Reply
}

export async function dispatch(core: Core, reserved: Reserved): Promise<Answered> {
  const { endpoint, mounted, match, incoming } = reserved
  if (!mounted) throw noHandler(incoming.path)
  if (incoming.operation === 'help') return answer(reserved, helpReply(reserved))
  if (!match) throw new ApiError('not_found', oneError('unsupported path'))
  if (!endpoint) throw new ApiError('unsupported_operation', oneError('unsupported operation'))
  const writes = incoming.operation === 'update' || incoming.operation === 'patch'
  if (writes && incoming.path.endsWith('/')) {
    throw new ApiError('invalid_request', `cannot write to a path ending in '/'`)
  }
  const call = reserved.call as PreparedCall
  call.operation = reserved.record.operation as PreparedCall['operation']
  const { loginName } = match.path
  const made = loginName
    ? await guardLogin(core, mounted, loginName(call), () => endpoint.handle(call))
    : await endpoint.handle(call)
  const lists = incoming.operation === 'list' || incoming.operation === 'scan'
  const reply = lists ? await filterListing(core, reserved, made) : made
  return answer(reserved, withWarnings(reply, call, match.path.arbitrary === true))
}

function answer(reserved: Reserved, reply: Reply): Answered {
  const answered = reserved as Answered
  answered.reply = reply
  return answered
}

/** Only a reply with a body can carry warnings; one without stays without. */
function withWarnings(reply: Reply, { unknown, replaced }: PreparedCall, arbitrary: boolean): Reply {
  if ((arbitrary || unknown.length === 0) && replaced.length === 0) return reply
  if (!reply.data && !reply.auth && !reply.grant && !reply.warnings) return reply
  const warnings = [...(reply.warnings ?? [])]
  if (!arbitrary && unknown.length > 0) {
    warnings.push(`Endpoint ignored these unrecognized parameters: [${unknown.toSorted().join(' ')}]`)
  }
  if (replaced.length > 0) {
    const names = replaced.toSorted().join(' ')
    warnings.push(
      `Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [${names}]`,
    )
  }
  return { ...reply, warnings }
}
