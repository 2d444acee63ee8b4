/** From when until when a certificate is valid: what is asked, the role, the mount and the issuer together. Pure. */
import { formatDuration } from '#lib/duration.ts'
import { rfc3339 } from '#lib/time.ts'
import type { MountSettings } from '#sdk/engine.ts'
import type { Data } from '#sdk/schema.ts'
import type { timeFields } from './fields.ts'
import { refuse } from './key-store.ts'
import { isTimestamp, type RoleEntry } from './role.ts'

export type TimeRole = Pick<
  RoleEntry,
  'ttl' | 'max_ttl' | 'not_after' | 'not_after_bound' | 'not_before' | 'not_before_bound' | 'not_before_duration'
>

export interface Validity {
  notBefore: Date
  notAfter: Date
  warnings: string[]
}

interface Circumstances {
  role: TimeRole
  input: Data<typeof timeFields>
  settings: MountSettings
  now: Date
  /** Undefined for a root, which ends when it says. */
  issuer: { notAfter: Date; behavior: 'err' | 'truncate' | 'permit' } | undefined
}

/** Certificates count in whole seconds. */
export function validityOf({ role, input, settings, now, issuer }: Circumstances): Validity {
  const warnings: string[] = []
  const start = new Date(Math.floor(now.getTime() / 1000) * 1000)
  const asked = input.ttl ?? 0
  if (input.not_after && role.not_after_bound === 'forbid') refuse('not_after may not be provided: the role forbids it')
  const fixed = role.not_after || input.not_after || ''
  if (asked > 0 && fixed !== '') {
    refuse('either ttl or not_after should be provided. Both should not be provided in the same request.')
  }
  const maxSeconds = role.max_ttl || settings.maxLeaseTtlSeconds
  const wanted = asked || role.ttl || settings.defaultLeaseTtlSeconds
  if (fixed === '' && wanted > maxSeconds) {
    warnings.push(
      `TTL "${formatDuration(wanted)}" is longer than permitted maxTTL "${formatDuration(maxSeconds)}", so maxTTL is being used`,
    )
  }
  const latest = after(start, maxSeconds)
  const notAfter = fixed === '' ? after(start, Math.min(wanted, maxSeconds)) : moment(fixed)
  // Also what is too large for a Date, whose year is then no number.
  if (!(notAfter.getUTCFullYear() <= 9999)) refuse('not_after is too late for a certificate')
  if (fixed !== '' && role.not_after === '') checkBound(role.not_after_bound, notAfter, latest)
  const notBefore = beginning(role, input, start)
  if (!(notBefore.getUTCFullYear() >= 1)) refuse('not_before is too early for a certificate')
  const end = withinIssuer(notAfter, issuer)
  if (end.getTime() <= notBefore.getTime()) refuse('the certificate would end before it begins')
  return { notBefore, notAfter: end, warnings }
}

const after = (start: Date, seconds: number): Date => new Date(start.getTime() + seconds * 1000)

function moment(text: string): Date {
  if (!isTimestamp(text)) {
    refuse(
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} as "2006"`,
    )
  }
  return new Date(Math.floor(Date.parse(text) / 1000) * 1000)
}

function checkBound(bound: string, notAfter: Date, latest: Date): void {
  if (bound === 'ttl-limited' && notAfter > latest) {
    refuse(`not_after of ${rfc3339(notAfter)} is beyond what the maximum TTL permits, ${rfc3339(latest)}`)
  }
  if (isTimestamp(bound) && notAfter > moment(bound)) {
    refuse(`not_after of ${rfc3339(notAfter)} is beyond what the role permits, ${bound}`)
  }
}

function beginning(role: TimeRole, input: Data<typeof timeFields>, start: Date): Date {
  const usual = after(start, -role.not_before_duration)
  if (!input.not_before) return role.not_before === '' ? usual : moment(role.not_before)
  if (role.not_before_bound === 'forbid') refuse('not_before may not be provided: the role forbids it')
  const asked = moment(input.not_before)
  if (role.not_before_bound === 'duration' && asked < usual) {
    refuse(`not_before of ${rfc3339(asked)} is before what the role permits, ${rfc3339(usual)}`)
  }
  return asked
}

function withinIssuer(notAfter: Date, issuer: Circumstances['issuer']): Date {
  if (!issuer || notAfter <= issuer.notAfter || issuer.behavior === 'permit') return notAfter
  if (issuer.behavior === 'truncate') return issuer.notAfter
  return refuse(
    `cannot satisfy request, as TTL would result in notAfter of ${rfc3339(notAfter)} that is beyond the expiration of the CA certificate at ${rfc3339(issuer.notAfter)}`,
  )
}
