/**
 * JSON objects whose numbers keep their text, for engines that hand back what they were given: `1.50` must not become
 * `1.5`, nor a number of 20 digits another one. Pure.
 *
 * Most objects have no such number. So the text is kept only where it is needed, and the rest stays plain data.
 */

/** What to store: plain data, or the JSON text of an object with a number that JavaScript would print differently. */
export type Exact = { data: Record<string, unknown> } | { text: string }

// TypeScript's library does not describe these parts of JSON yet (ECMAScript proposal "JSON.parse source text access").
interface SourceJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown
  rawJSON(text: string): unknown
  isRawJSON(value: unknown): value is { rawJSON: string }
}
const sourceJson = JSON as unknown as SourceJson

/**
 * @param data  the object as JSON.parse gave it
 * @param text  the text it was parsed from; empty if it came another way, e.g. from a query
 */
export function exactOf(data: Record<string, unknown>, text: string): Exact {
  if (!/\d/.test(text)) return { data }
  const { value, changed } = parseExact(text)
  return changed ? { text: JSON.stringify(value) } : { data }
}

/** The object again; JSON.stringify prints each of its numbers as it was given. */
export function restoreExact(exact: Exact): Record<string, unknown> {
  return 'text' in exact ? (parseExact(exact.text).value as Record<string, unknown>) : exact.data
}

/** The object with plain numbers, as a double holds them. */
export function plainData(exact: Exact): Record<string, unknown> {
  return 'text' in exact ? (JSON.parse(exact.text) as Record<string, unknown>) : exact.data
}

/** A number to print by these digits, for what a double does not hold. */
export function exactNumber(digits: bigint): unknown {
  return sourceJson.rawJSON(String(digits))
}

/** A number that keeps its text: that text; undefined for anything else. */
export function exactNumberText(value: unknown): string | undefined {
  return sourceJson.isRawJSON(value) ? value.rawJSON : undefined
}

function parseExact(text: string): { value: unknown; changed: boolean } {
  let changed = false
  const value = sourceJson.parse(text, (_key, each, { source }) => {
    if (typeof each !== 'number' || source === undefined || String(each) === source) return each
    changed = true
    return sourceJson.rawJSON(source)
  })
  return { value, changed }
}
