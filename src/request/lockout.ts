/** A log-in passes here on its way to the auth method: who failed too often is refused, whatever they show. */
import type { LoginPlace } from '#core/lockout.ts'
import type { Mounted } from '#core/mounts/mounts.ts'
import type { Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'

/**
 * @param name  the name that is logged in by; empty: none, and the method itself will say so
 * @param ask   asks the auth method
 */
export async function guardLogin(
  { lockout }: Core,
  { entry }: Mounted,
  name: string,
  ask: () => Promise<Reply>,
): Promise<Reply> {
  const place: LoginPlace = {
    accessor: entry.accessor,
    type: entry.type,
    tuned: entry.config.user_lockout_config,
    name,
  }
  const rules = name === '' ? undefined : lockout.rulesOf(place)
  if (!rules) return await ask()
  if (await lockout.isLocked(place, rules)) throw locked()
  let reply: Reply
  try {
    reply = await ask()
  } catch (error) {
    const failed = error instanceof ApiError ? error.failedLogin : undefined
    if (failed && !(await lockout.failed(place, rules, failed === 'known'))) throw locked()
    throw error
  }
  // Others failed while this one was judged: of many guesses sent at once, no more are answered than one by one.
  if (await lockout.isLocked(place, rules)) throw locked()
  if (reply.grant) await lockout.succeeded(place)
  return reply
}

function locked(): ApiError {
  return new ApiError('permission_denied', 'permission denied', { reason: 'the user is locked out' })
}
