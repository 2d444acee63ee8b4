/** `user_lockout_config` of an auth mount, as it is given and as it is shown. Pure. */
import { isLockoutType, type MountLockout } from '#core/lockout.ts'
import { parseDuration } from '#lib/duration.ts'
import { ApiError } from '#sdk/errors.ts'
import { decode, type Fields } from '#sdk/schema.ts'

const fields = {
  lockout_threshold: { type: 'string', about: 'After how many failed log-ins in a row.' },
  lockout_duration: { type: 'string', about: 'How long a user is locked out.' },
  lockout_counter_reset: { type: 'string', about: 'After this long without a failed log-in the count starts again.' },
  lockout_counter_reset_duration: { type: 'string', about: 'The same, as clients call it.' },
  lockout_disable: { type: 'boolean', about: 'Nobody is locked out.' },
} as const satisfies Fields

/** @throws ApiError `invalid_request` for a method that has no lock-out, and for values that cannot be read */
export function lockoutOf(type: string, given: Record<string, unknown>): MountLockout {
  if (!isLockoutType(type)) {
    throw refused(`tuning of user lockout configuration for auth type ${JSON.stringify(type)} not allowed`)
  }
  const decoded = decode(fields, given)
  if (!decoded.ok) throw refused(decoded.message)
  const { value } = decoded
  const reset = value.lockout_counter_reset ?? value.lockout_counter_reset_duration
  return {
    ...(value.lockout_threshold && { user_lockout_threshold: count(value.lockout_threshold) }),
    ...(value.lockout_duration && { user_lockout_duration: seconds('lockout_duration', value.lockout_duration) }),
    ...(reset && { user_lockout_counter_reset_duration: seconds('lockout_counter_reset', reset) }),
    ...(value.lockout_disable !== undefined && { user_lockout_disable: value.lockout_disable }),
  }
}

/** What was not given is 0, and then as the configuration has it. */
export function shownLockout(lockout: MountLockout): Required<MountLockout> {
  return {
    user_lockout_counter_reset_duration: 0,
    user_lockout_disable: false,
    user_lockout_duration: 0,
    user_lockout_threshold: 0,
    ...lockout,
  }
}

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw refused('unable to parse user lockout threshold')
  return Number(text)
}

function seconds(name: string, text: string): number {
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed < 0) throw refused(`unable to parse ${name} duration`)
  return parsed
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
