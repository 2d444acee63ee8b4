/** Moments as text. Pure. */

/** RFC 3339 in UTC without trailing zeros in the fraction, as Go prints it: `2026-01-02T03:04:05.12Z`. */
export function rfc3339(at: Date): string {
  const text = at.toISOString()
  return text.endsWith('.000Z') ? `${text.slice(0, -5)}Z` : text.replace(/0+Z$/, 'Z')
}

/** How the Vault API writes "never": the zero time of Go. */
export const GO_ZERO_TIME = '0001-01-01T00:00:00Z'
