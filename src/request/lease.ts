/** Fill the slot: what was made is tracked until it ends. If that fails, it is taken back at once. */
import type { AuditAuth } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'
import type { Answered } from './dispatch.ts'
import { login } from './login.ts'

declare const mark: unique symbol
export interface Leased extends Answered {
  readonly [mark]: true
  /** Empty when the reply has no lease. */
  leaseId: string
  /** A token was made here: as the audit tells it. */
  issued: AuditAuth | undefined
}

export async function keepLease(core: Core, answered: Answered): Promise<Leased> {
  const leased = answered as Leased
  leased.leaseId = ''
  leased.issued = undefined
  if (answered.reply.grant) return login(core, leased, answered.reply.grant)
  const lease = answered.reply.lease
  if (!lease) return leased
  const { slot, mounted } = answered
  try {
    if (!slot) throw new ApiError('internal', 'internal error', { reason: 'a lease without a token' })
    const kept = await slot.fill(lease)
    leased.leaseId = kept.leaseId
    leased.reply = {
      ...answered.reply,
      lease: { ...lease, ttlSeconds: kept.ttlSeconds, renewable: kept.renewable },
      warnings: [...(answered.reply.warnings ?? []), ...kept.warnings],
    }
    return leased
  } catch (error) {
    await mounted?.engine.revokeLease?.({ mount: mounted.mount, revoke: lease.revoke })
    throw error
  }
}
