/** Fill the slot: what was made is tracked until it ends. If that fails, it is taken back at once. */
import type { AuditAuth } from '#sdk/audit.ts'
import type { WrapInfo } from '#sdk/engine.ts'
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

/** The reply cannot leave: what it would have told of must not live on with nobody knowing it. */
export async function takeBack(
  core: Core,
  { leaseId, issued, reply, wrapInfo }: Leased & { wrapInfo?: WrapInfo | undefined },
): Promise<void> {
  const made = [wrapInfo?.token, issued && reply.auth?.client_token].filter((text) => text !== undefined)
  for (const text of made) {
    const token = await core.tokens.lookup(text)
    if (token && token.type !== 'batch') await core.tokens.revoke(token)
  }
  if (leaseId !== '' && !reply.renewed) await core.leases.revoke(leaseId)
}

export async function keepLease(core: Core, answered: Answered): Promise<Leased> {
  const leased = answered as Leased
  leased.leaseId = answered.reply.renewed?.leaseId ?? ''
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
