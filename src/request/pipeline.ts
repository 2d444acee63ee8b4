/**
 * The way of one request, top to bottom. A stage takes what only the stage before it can make: nothing but authorize()
 * makes an Allowed, nothing but auditReply() a Sendable. So no stage can be skipped or moved.
 *
 * The stages share one object that grows: a stage adds its part and hands it on under the next type.
 */
import type { Token } from '#core/tokens/token.ts'
import { approve } from './approve.ts'
import { auditRefusal, auditReply } from './audit-reply.ts'
import { type Audited, auditRequest } from './audit-request.ts'
import { authenticate, type Known } from './authenticate.ts'
import { authorize } from './authorize.ts'
import type { Core } from './core.ts'
import { dispatch } from './dispatch.ts'
import { isForeign, refuseForeign } from './namespace.ts'
import type { Incoming, Outgoing } from './incoming.ts'
import { keepLease, type Leased, takeBack } from './lease.ts'
import { type Admitted, admit, type InFlight, withLimits } from './rate.ts'
import { type Reserved, reserve } from './reserve.ts'
import { route } from './route.ts'
import { send } from './send.ts'
import { wrap } from './wrap.ts'

export async function handle(core: Core, inFlight: InFlight, incoming: Incoming): Promise<Outgoing> {
  const begun = process.hrtime.bigint()
  let reached: Partial<Audited> = {}
  let admitted: Admitted | undefined
  let failure: string | undefined
  try {
    if (isForeign(incoming)) throw await refuseForeign(core, incoming)
    const routed = await route(core, incoming)
    reached = routed
    // Nothing is waited for where there is nothing to wait for: each turn of a promise costs a read as much as a look-up.
    const entered = admit(core, inFlight, routed)
    admitted = entered instanceof Promise ? await entered : entered
    const known = await authenticate(core, admitted)
    const outgoing = await (known.token?.spent ? answerLast(core, known, known.token) : answer(core, known))
    return admitted.limits ? withLimits(outgoing, admitted.limits) : outgoing
  } catch (error) {
    const refusal = await auditRefusal(core, incoming, reached, error)
    failure = refusal.code
    throw withLimits(refusal, reached.limits)
  } finally {
    if (admitted) inFlight.leave(admitted)
    core.measures.handled(incoming, reached, begun, failure)
  }
}

async function answer(core: Core, known: Known): Promise<Outgoing> {
  const allowed = await authorize(core, known)
  const audited = await auditRequest(core, approve(allowed))
  const reserved = reserve(core, audited)
  const leased = await carryOut(core, reserved instanceof Promise ? await reserved : reserved)
  try {
    const wrapped = wrap(core, leased)
    return send(await auditReply(core, wrapped instanceof Promise ? await wrapped : wrapped))
  } catch (error) {
    await takeBack(core, leased)
    throw error
  }
}

/** A slot that was not filled is given back. */
async function carryOut(core: Core, reserved: Reserved): Promise<Leased> {
  try {
    return await keepLease(core, await dispatch(core, reserved))
  } finally {
    reserved.slot?.release()
    reserved.place?.()
  }
}

/** The last use of a limited token was this one. */
async function answerLast(core: Core, known: Known, token: Token): Promise<Outgoing> {
  try {
    return await answer(core, known)
  } finally {
    await finish(core, token)
  }
}

/** The answer stands whether or not this works: a spent token is refused in any case, and the expiry worker ends it soon. */
async function finish(core: Core, token: Token): Promise<void> {
  try {
    await core.tokens.finish(token)
  } catch {
    core.leases.wake()
  }
}
