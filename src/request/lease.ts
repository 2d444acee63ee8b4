/** Fill the slot: what was made is tracked until it ends. If that fails, it is taken back at once. */
import type { AuditAuth } from '#sdk/audit.ts'
import type { AuthBlock, Grant, Reply, WrapInfo } from '#sdk/engine.ts'
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
  { incoming, leaseId, reply, wrapInfo }: Leased & { wrapInfo?: WrapInfo | undefined },
): Promise<void> {
  // A token that the request itself brought along was renewed, any other one made.
  const brought = [incoming.token, incoming.body['token']]
  const told = [wrapInfo?.token, reply.auth?.client_token]
  for (const text of told) {
    if (text === undefined || brought.includes(text)) continue
    const token = await core.tokens.lookup(text)
    if (token && token.type !== 'batch') await core.tokens.revoke(token)
  }
  if (leaseId !== '' && !reply.renewed) await core.leases.revoke(leaseId)
}

export function keepLease(core: Core, answered: Answered): Leased | Promise<Leased> {
  const leased = answered as Leased
  const { reply } = answered
  if (reply.renewed) leased.leaseId = reply.renewed.leaseId
  else if (reply.grant || reply.lease) core.quotas.learn(leased.match?.path)
  if (reply.grant) return logIn(core, leased, reply.grant)
  if (reply.auth && leased.match?.path.makesLeases) tellOf(core, leased, reply.auth)
  return reply.lease ? fill(leased, reply.lease) : leased
}

function tellOf(core: Core, { mounted }: Leased, { token_type }: AuthBlock): void {
  core.measures.tokenMade(mounted?.entry.type ?? '', token_type)
}

async function logIn(core: Core, leased: Leased, grant: Grant): Promise<Leased> {
  const made = await login(core, leased, grant)
  if (made.reply.auth) tellOf(core, leased, made.reply.auth)
  return Object.assign(leased, made)
}

async function fill(leased: Leased, lease: NonNullable<Reply['lease']>): Promise<Leased> {
  const { reply, slot } = leased
  try {
    if (!slot) throw new ApiError('internal', 'internal error', { reason: 'a lease without a token' })
    const kept = await slot.fill(lease)
    leased.leaseId = kept.leaseId
    leased.reply = {
      ...reply,
      lease: { ...lease, ttlSeconds: kept.ttlSeconds, renewable: kept.renewable },
      warnings: [...(reply.warnings ?? []), ...kept.warnings],
    }
    return leased
  } catch (error) {
    await undo(leased, lease.revoke, error)
    throw error
  }
}

/** @throws ApiError that says so when what was made could be neither tracked nor taken back: somebody has to look */
async function undo({ mounted }: Answered, revoke: Record<string, unknown>, cause: unknown): Promise<void> {
  try {
    await mounted?.engine.revokeLease?.({ mount: mounted.mount, revoke })
  } catch (error) {
    const [first, second] = [cause, error].map((each) => (each instanceof Error ? each.message : 'failed'))
    const reason = `a credential was made, could not be tracked (${first}) and not be taken back (${second})`
    throw new ApiError('internal', 'internal error', { reason, cause })
  }
}
