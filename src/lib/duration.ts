/** Durations as the Vault API takes and gives them. Pure. */

const unitSeconds: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86_400 }

/**
 * Whole seconds of `90`, `"90"`, `"1h30m"`, `"2d"`; fractions are cut off. Undefined for anything else.
 *
 * The empty text is 0, as clients send it for "not set".
 */
export function parseDuration(given: unknown): number | undefined {
  if (typeof given === 'number') return Number.isFinite(given) ? Math.trunc(given) : undefined
  if (typeof given !== 'string') return undefined
  const text = given.trim()
  if (text === '') return 0
  if (/^[+-]?\d+$/.test(text)) return Number(text)
  const match = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h|d))+)$/.exec(text)
  if (!match) return undefined
  let seconds = 0
  for (const [, amount, unit] of match[2]!.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h|d)/g)) {
    seconds += Number(amount) * unitSeconds[unit!]!
  }
  return Math.trunc(match[1] === '-' ? -seconds : seconds)
}

/** `3661` → `1h1m1s`, as the Go standard library prints a duration of whole seconds. */
export function formatDuration(seconds: number): string {
  const sign = seconds < 0 ? '-' : ''
  const whole = Math.abs(Math.trunc(seconds))
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = whole % 60
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}s`
  return minutes > 0 ? `${sign}${minutes}m${rest}s` : `${sign}${rest}s`
}
