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
  return `illegal base64 data at input byte ${faultAt(text)}`
}

function faultAt(text: string): number {
  const odd = text.search(/[^A-Za-z0-9+/\r\n]/)
  const end = odd < 0 ? text.length : odd
  const digits = text.slice(0, end).replaceAll(/[\r\n]/g, '').length
  if (odd < 0) return text.length - (digits % 4)
  // Only padding may follow, and as much as is missing.
  if (text[odd] !== '=' || digits % 4 < 2) return odd
  if (text.slice(odd).replaceAll(/[\r\n]/g, '') === '=') return text.length
  // Go names the place before what stands where the second sign of padding should.
  const second = odd + 1 + text.slice(odd + 1).search(/[^\r\n]/)
  if (digits % 4 === 2 && text[second] !== '=') return second - 1
  return digits % 4 === 2 ? second + 1 : odd + 1
}
