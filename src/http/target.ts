/**
 * The address of a request, taken apart. The path is decoded once, here, and never again: what policies judge is what the
 * router uses. Nothing is normalised. A path that a proxy in front might read differently from us (empty, `.` or `..`
 * segments) is refused, and so is what cannot be printed. `%2F` is a slash like any other, as in the Vault API.
 */
import { ApiError } from '#sdk/errors.ts'

/** Escapes, bytes beyond ASCII, empty segments, dot segments: whatever needs a closer look. */
const UNUSUAL = /%|[^\x21-\x7e]|\/\/|\/\.\.?(?:\/|$)/
const BAD_SEGMENT = /\/\/|\/\.\.?(?:\/|$)/
/** What the Go standard library calls not printable; only the ASCII space is among the printable spaces. */
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i

const PREFIX = '/v1/'

export interface Target {
  /** Without `/v1/`, decoded. */
  path: string
  /** Behind the question mark, as it came. */
  query: string
}

/**
 * @param url  the request target as node:http gives it: every byte one character
 * @returns undefined for what lies outside `/v1/`
 * @throws ApiError `invalid_request` for a path that is refused
 */
export function parseTarget(url: string): Target | undefined {
  const target = url.charCodeAt(0) === 47 ? url : url.replace(ABSOLUTE_FORM, '')
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const path = UNUSUAL.test(raw) ? decodePath(raw) : raw
  if (!path.startsWith(PREFIX)) return undefined
  return { path: path.slice(PREFIX.length), query: mark < 0 ? '' : target.slice(mark + 1) }
}

function decodePath(raw: string): string {
  const path = percentDecode(raw)
  if (path === undefined) throw new ApiError('invalid_request', 'path is not valid percent-encoded UTF-8')
  if (UNPRINTABLE.test(path)) throw new ApiError('invalid_request', 'path contains characters that cannot be printed')
  if (BAD_SEGMENT.test(path)) throw new ApiError('invalid_request', 'path must not have empty, "." or ".." segments')
  return path
}

/** Undefined if an escape is malformed or the bytes are not UTF-8. */
function percentDecode(raw: string): string | undefined {
  // Bytes beyond ASCII may be sent bare: give them the escapes they should have had, and decode all of them as UTF-8.
  const escaped = /[^\0-\x7f]/.test(raw) ? raw.replace(/[^\0-\x7f]/g, encodeByte) : raw
  try {
    return decodeURIComponent(escaped)
  } catch {
    return undefined
  }
}

function encodeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}

/**
 * `a=1&b=2&b=3` as fields. A name given twice becomes a list, or with `join` one text with commas.
 *
 * @throws ApiError `invalid_request` for malformed escapes, or for more than `maxFields` of them
 */
export function parseFields(text: string, maxFields: number, join: boolean): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  if (text === '') return fields
  const pairs = text.split('&', maxFields + 1)
  if (pairs.length > maxFields) throw new ApiError('invalid_request', 'too many parameters')
  for (const pair of pairs) {
    if (pair === '') continue
    const cut = pair.indexOf('=')
    const name = decodeField(cut < 0 ? pair : pair.slice(0, cut))
    const value = cut < 0 ? '' : decodeField(pair.slice(cut + 1))
    if (!Object.hasOwn(fields, name)) setField(fields, name, value)
    else setField(fields, name, repeated(fields[name], value, join))
  }
  return fields
}

function repeated(earlier: unknown, value: string, join: boolean): unknown {
  if (join) return `${String(earlier)},${value}`
  if (!Array.isArray(earlier)) return [earlier, value]
  earlier.push(value)
  return earlier
}

/** An assignment to `__proto__` would change the object instead of filling it. */
function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') fields[name] = value
  else Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true })
}

function decodeField(raw: string): string {
  if (!/[%+]|[^\0-\x7f]/.test(raw)) return raw
  const text = percentDecode(raw.replaceAll('+', ' '))
  if (text === undefined) throw new ApiError('invalid_request', 'parameters are not valid percent-encoded UTF-8')
  return text
}

/** The spellings of a boolean that the Go standard library knows. Undefined for anything else. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false
  return undefined
}
