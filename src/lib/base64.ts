/** Base64 as other languages' decoders take it: what Buffer would silently skip is refused. Pure. */

/** Standard alphabet with padding (RFC 4648 §4); line breaks are skipped. Undefined for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const whole = text.includes('\n') || text.includes('\r') ? text.replaceAll(/[\r\n]/g, '') : text
  if (whole.length % 4 !== 0 || whole.includes('-') || whole.includes('_')) return undefined
  const padding = whole.endsWith('==') ? 2 : whole.endsWith('=') ? 1 : 0
  const bytes = Buffer.from(whole, 'base64')
  // Buffer skips what is no digit, so the length tells.
  return bytes.length === (whole.length / 4) * 3 - padding ? bytes : undefined
}

/** URL alphabet without padding (RFC 4648 §5, as JWS has it). Undefined for anything else. */
export function decodeBase64Url(text: string): Buffer | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) return undefined
  return Buffer.from(text, 'base64url')
}

/** What the Go standard library says of a text that is no base64, since it stands in refusals that clients see. */
export function base64Fault(text: string): string {
  const odd = text.search(/[^A-Za-z0-9+/\r\n]/)
  return `illegal base64 data at input byte ${odd < 0 ? text.length - (text.length % 4) : odd}`
}
