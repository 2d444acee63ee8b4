/**
 * The way of one request, top to bottom. A stage takes what only the stage before it can make: nothing but authorize()
 * makes an Allowed, nothing but auditReply() a Sendable. So no stage can be skipped or moved.
 *
 * The stages share one object that grows: a stage adds its part and hands it on under the next type.
 */
import { approve } from './approve.ts'
import { type Audited, auditRefusal, auditReply, auditRequest } from './audit.ts'
import { authenticate, type Known } from './authenticate.ts'
import { authorize } from './authorize.ts'
import type { Core } from './core.ts'
import { dispatch } from './dispatch.ts'
import type { Incoming, Outgoing } from './incoming.ts'
import { keepLease, takeBack } from './lease.ts'
import type { Admitted, InFlight } from './rate.ts'
import { reserve } from './reserve.ts'
import { refuseForeignNamespace, route } from './route.ts'
import { send, wrap } from './wrap.ts'

export async function handle(core: Core, inFlight: InFlight, incoming: Incoming): Promise<Outgoing> {
  let reached: Partial<Audited> = {}
  try {
    refuseForeignNamespace(incoming)
    const routed = await route(core, incoming)
    reached = routed
    return await inFlight.during(routed, (admitted) => pass(core, admitted))
  } catch (error) {
    throw await auditRefusal(core, incoming, reached, error)
  }
}

async function pass(core: Core, admitted: Admitted): Promise<Outgoing> {
  const known = await authenticate(core, admitted)
  try {
    return await answer(core, known)
  } finally {
    if (known.token?.spent) await core.tokens.finish(known.token)
  }
}

async function answer(core: Core, known: Known): Promise<Outgoing> {
  const allowed = await authorize(core, known)
  const audited = await auditRequest(core, approve(allowed))
  const leased = await reserve(core, audited, async (reserved) => keepLease(core, await dispatch(core, reserved)))
  try {
    return send(await auditReply(core, await wrap(core, leased)))
  } catch (error) {
    await takeBack(core, leased)
    throw error
  }
}
