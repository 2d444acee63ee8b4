/** The bytes of a request as fields: JSON or a form. Pure; untrusted bytes meet their limits before they meet the parser. */
import { isUtf8 } from 'node:buffer'
import { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import type { Limits } from './options.ts'
import { parseFields } from './target.ts'

export interface Body {
  fields: Record<string, unknown>
  text: string
}

type JsonLimits = Pick<Limits, 'maxJsonDepth' | 'maxJsonStringBytes' | 'maxJsonObjectEntries' | 'maxJsonArrayElements'>

/** Fresh each time, since a handler may write to the fields it gets. */
export function noBody(): Body {
  return { fields: {}, text: '' }
}

/**
 * @throws ApiError `invalid_request` for what is not a JSON object in UTF-8 or breaks a limit. Nothing at all, blanks and
 *         `null` count as no fields. Of names given twice the last one counts.
 */
export function decodeJson(bytes: Buffer, limits: JsonLimits): Body {
  if (bytes.length === 0) return noBody()
  if (!isUtf8(bytes)) throw new ApiError('invalid_request', 'error parsing JSON')
  if (bytes.length > harmlessBytes(limits)) checkJson(bytes, limits)
  const text = bytes.toString('utf8')
  const value = parse(text)
  if (isObject(value)) return { fields: value, text }
  if (value === null || value === undefined) return noBody()
  throw new ApiError('invalid_request', 'error parsing JSON')
}

/** A document of this size or less can break no limit: each level takes two bytes of it, each member at least one. */
function harmlessBytes(limits: JsonLimits): number {
  const { maxJsonDepth, maxJsonStringBytes, maxJsonObjectEntries, maxJsonArrayElements } = limits
  return Math.min(2 * maxJsonDepth, maxJsonStringBytes, maxJsonObjectEntries, maxJsonArrayElements)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    if (/^[ \t\r\n]*$/.test(text)) return undefined
    // Without the parser's own words and without a cause: both quote the text, which may be a secret.
    throw new ApiError('invalid_request', 'error parsing JSON')
  }
}

/** Form fields; a body that begins with '{' is JSON all the same, since `curl -d` labels everything a form. */
export function decodeForm(bytes: Buffer, limits: JsonLimits): Body {
  for (const byte of bytes) {
    if (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) continue
    if (byte === 0x7b) return decodeJson(bytes, limits)
    break
  }
  if (!isUtf8(bytes)) throw new ApiError('invalid_request', 'error parsing form data')
  const text = bytes.toString('latin1')
  return { fields: parseFields(text, limits.maxJsonObjectEntries, true), text }
}

/**
 * Depth, counts and lengths of a JSON document, in one pass over its bytes and without building anything: a document of
 * 32 MiB could otherwise become a gigabyte of nested arrays before anybody counts them. Whether it is valid JSON is for
 * the parser to say.
 */
export function checkJson(bytes: Uint8Array, limits: JsonLimits): void {
  /** Members so far of each open container; negative: an array. */
  const counts = new Int32Array(limits.maxJsonDepth + 1)
  const isArray = new Uint8Array(limits.maxJsonDepth + 1)
  let depth = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === 0x22) {
      const end = endOfString(bytes, at)
      if (end - at - 1 > limits.maxJsonStringBytes) refuse('string value exceeds allowed length')
      at = end
    } else if (byte === 0x7b || byte === 0x5b) {
      if (depth === limits.maxJsonDepth) refuse('input exceeds allowed nesting depth')
      depth++
      counts[depth] = 1
      isArray[depth] = byte === 0x5b ? 1 : 0
    } else if (byte === 0x7d || byte === 0x5d) {
      if (depth > 0) depth--
    } else if (byte === 0x2c) {
      const count = counts[depth]! + 1
      counts[depth] = count
      if (isArray[depth] === 1) {
        if (count > limits.maxJsonArrayElements) refuse('array exceeds allowed element count')
      } else if (count > limits.maxJsonObjectEntries) refuse('object exceeds allowed entry count')
    }
  }
}

/** Where the closing quote stands, or the end of the document. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === 0x5c) at++
    else if (byte === 0x22) return at
  }
  return bytes.length
}

function refuse(what: string): never {
  throw new ApiError('invalid_request', `error parsing JSON: ${what}`)
}
