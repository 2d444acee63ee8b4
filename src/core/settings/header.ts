/** Names and values of HTTP headers (RFC 9110, sections 5.1 and 5.5). Pure. */

/** Longer ones are nobody's header. */
const MAX_NAME_CHARACTERS = 256
const MAX_VALUE_CHARACTERS = 8192

export function isHeaderName(text: string): boolean {
  return text.length <= MAX_NAME_CHARACTERS && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)
}

/** What the server itself says of an answer: another length, say, would end it where it does not end. */
const own: readonly string[] = ['content-type', 'content-length', 'transfer-encoding', 'connection', 'cache-control']

export function isOwnHeader(name: string): boolean {
  return own.includes(name.toLowerCase())
}

/** What can neither end the line nor begin another. */
export function isHeaderValue(text: string): boolean {
  return text.length <= MAX_VALUE_CHARACTERS && /^[\t\x20-\x7e]*$/.test(text)
}

/** `x-custom-header` → `X-Custom-Header`, the form in which the Vault API shows names. */
export function canonicalName(name: string): string {
  return name
    .toLowerCase()
    .split('-')
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('-')
}
