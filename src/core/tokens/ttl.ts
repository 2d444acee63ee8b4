/**
 * How long a token or a lease may live: the rules of the Vault API about default, max, period and explicit max. Pure.
 * All times in whole seconds; 0 means "not set".
 */
import { formatDuration } from '#lib/duration.ts'
import type { Grant } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'

/** What a renewal asks for and what bounds it, in seconds. */
export interface RenewLimits {
  incrementSeconds: number
  defaultSeconds: number
  maxSeconds: number
  /** What the role or the auth method says now; without it, what the token was made with. */
  ttlSeconds?: number
  periodSeconds?: number
  ownMaxSeconds?: number
  explicitMaxSeconds?: number
  grant?: Grant
}

export interface TtlRequest {
  /** What the mount (or the system) allows. */
  defaultSeconds: number
  maxSeconds: number
  /** What the caller of a renewal asks for; wins over `ttlSeconds`. */
  incrementSeconds?: number
  /** What was configured or granted. */
  ttlSeconds: number
  periodSeconds?: number
  /** Narrows the mount's max. */
  ownMaxSeconds?: number
  /** A hard end counted from the start, for periodic tokens too. */
  explicitMaxSeconds?: number
  startedAt: Date
  now: Date
}

export interface Ttl {
  seconds: number
  warnings: string[]
}

/** @throws ApiError `invalid_request` when the end has been reached already */
export function effectiveTtl(request: TtlRequest): Ttl {
  const { periodSeconds = 0, ownMaxSeconds = 0, explicitMaxSeconds = 0, incrementSeconds = 0 } = request
  const warnings: string[] = []
  let maxSeconds = request.maxSeconds
  if (ownMaxSeconds > 0) maxSeconds = Math.min(maxSeconds, ownMaxSeconds)
  if (explicitMaxSeconds > 0) maxSeconds = Math.min(maxSeconds, explicitMaxSeconds)

  // A periodic token may live on for ever, period by period, unless it has an explicit end.
  let lifeSeconds: number | undefined = maxSeconds
  let seconds =
    incrementSeconds > 0 ? incrementSeconds : request.ttlSeconds > 0 ? request.ttlSeconds : request.defaultSeconds
  if (periodSeconds > 0) {
    lifeSeconds = explicitMaxSeconds > 0 ? explicitMaxSeconds : undefined
    seconds = Math.min(periodSeconds, maxSeconds)
    if (periodSeconds > maxSeconds) {
      const [period, max] = [shortDuration(periodSeconds), shortDuration(maxSeconds)]
      warnings.push(
        `period of "${period}" exceeded the effective max_ttl of "${max}"; period value is capped accordingly`,
      )
    }
  }
  if (lifeSeconds !== undefined) {
    const leftSeconds = wholeSeconds(request.startedAt) + lifeSeconds - wholeSeconds(request.now)
    if (leftSeconds <= 0) throw new ApiError('invalid_request', oneError('past the max TTL, cannot renew'))
    if (seconds > leftSeconds) {
      const [asked, left] = [shortDuration(seconds), shortDuration(leftSeconds)]
      warnings.push(`TTL of "${asked}" exceeded the effective max_ttl of "${left}"; TTL value is capped accordingly`)
      seconds = leftSeconds
    }
  }
  return { seconds, warnings }
}

/** `1h30m`, without the zeros that Go prints behind. */
export function shortDuration(seconds: number): string {
  return formatDuration(seconds).replace(/m0s$/, 'm').replace(/h0m$/, 'h')
}

/** Seconds left, rounded as the Vault API tells them: the present to the nearest second, the difference cut off. */
export function secondsLeft(expiresAtMs: number, now: Date): number {
  return Math.trunc((expiresAtMs - Math.round(now.getTime() / 1000) * 1000) / 1000)
}

function wholeSeconds(moment: Date): number {
  return Math.floor(moment.getTime() / 1000)
}
