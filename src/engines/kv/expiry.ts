/**
 * Owner and expiry of a secret: who is to be asked, and when it should have been replaced. Advice to people: a secret that has
 * expired is still read, with a warning. Pure.
 */
import { rfc3339 } from '#lib/time.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { SecretEntry } from './secret.ts'

export const ownershipFields = {
  owner: { type: 'string', about: 'Who is responsible, e.g. a team or an address; empty: nobody.' },
  expires_at: { type: 'string', about: 'When it should have been replaced (RFC 3339); empty: never.' },
  expires_in: { type: 'duration', about: 'The same, from now on; 0: never.' },
} as const satisfies Fields

interface Given {
  owner: string | undefined
  expires_at: string | undefined
  expires_in: number | undefined
}

const MAX_OWNER_BYTES = 256
const DAY_MS = 86_400_000
/** From when on replies warn. */
export const WARN_AHEAD_MS = 7 * DAY_MS
/** The last moment that RFC 3339 can write. */
const MAX_MS = Date.UTC(9999, 11, 31, 23, 59, 59)

/**
 * @param isGiven  whether the name was in the body, be it as null: null takes it away
 * @returns the members that change
 * @throws ApiError `invalid_request`
 */
export function newOwnership(
  data: Given,
  isGiven: (name: keyof Given) => boolean,
  nowMs: number,
): Partial<Pick<SecretEntry, 'owner' | 'expires_ms'>> {
  if (data.expires_at !== undefined && data.expires_in !== undefined) {
    throw refused('only one of expires_at and expires_in can be given')
  }
  return {
    ...(isGiven('owner') && { owner: checkedOwner(data.owner ?? '') }),
    ...(isGiven('expires_at') && { expires_ms: momentOf(data.expires_at ?? '') }),
    ...(isGiven('expires_in') && data.expires_at === undefined && { expires_ms: after(data.expires_in ?? 0, nowMs) }),
  }
}

function checkedOwner(owner: string): string {
  if (Buffer.byteLength(owner) > MAX_OWNER_BYTES) throw refused(`owner has at most ${MAX_OWNER_BYTES} bytes`)
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(owner)) throw refused('owner contains unprintable characters')
  return owner.trim()
}

const form = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

function momentOf(text: string): number {
  if (text === '') return 0
  const ms = form.test(text) ? Date.parse(text.toUpperCase()) : NaN
  if (!(ms > 0 && ms <= MAX_MS)) throw refused('expires_at is a time such as "2030-01-31T12:00:00Z"')
  return ms
}

function after(seconds: number, nowMs: number): number {
  if (seconds < 0) throw refused('expires_in cannot be negative')
  const ms = nowMs + seconds * 1000
  if (ms > MAX_MS) throw refused('expires_in is too long')
  return seconds === 0 ? 0 : ms
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}

/** What replies show of it: nothing where nothing was said, so that clients of other servers meet nothing new. */
export function describeOwnership({ owner, expires_ms }: Pick<SecretEntry, 'owner' | 'expires_ms'>) {
  return {
    ...(owner !== '' && { owner }),
    ...(expires_ms !== 0 && { expires_at: rfc3339(new Date(expires_ms)) }),
  }
}

/** Undefined, and no work, for a secret that does not expire soon. */
export function expiryWarnings({ expires_ms }: Pick<SecretEntry, 'expires_ms'>, nowMs: number): string[] | undefined {
  if (expires_ms === 0 || expires_ms - nowMs > WARN_AHEAD_MS) return undefined
  const at = rfc3339(new Date(expires_ms))
  if (expires_ms <= nowMs) return [`This secret expired at ${at}: it should be replaced.`]
  const days = Math.floor((expires_ms - nowMs) / DAY_MS)
  const left = days === 0 ? 'within a day' : days === 1 ? 'in a day' : `in ${days} days`
  return [`This secret expires ${left}, at ${at}.`]
}
