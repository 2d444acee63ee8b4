/**
 * Fields of an endpoint: one description serves decoding, types, OpenAPI, path help and the CLI's help.
 *
 * Decoding is as forgiving as the Vault API is, since clients rely on it: "5" is an integer, "true" a boolean, "1h30m" or
 * 90 a duration in seconds, "a,b" or ["a","b"] a list of strings. A value of the wrong kind is refused with the field's name.
 */
import { parseDuration } from '#lib/duration.ts'

interface About {
  about: string
  required?: true
  deprecated?: true
  /** Given in the query of the address rather than in the body. */
  query?: true
}

export type Field = About &
  (
    | { type: 'string'; default?: string; choices?: readonly string[] }
    | { type: 'integer'; default?: number; min?: number; max?: number }
    | { type: 'number'; default?: number }
    | { type: 'boolean'; default?: boolean }
    | { type: 'duration'; default?: number; min?: 0 }
    | { type: 'strings'; default?: readonly string[] }
    | { type: 'integers' }
    | { type: 'pairs' }
    | { type: 'map' }
    | { type: 'any' }
  )

export type Fields = Record<string, Field>

interface Values {
  string: string
  integer: number
  number: number
  boolean: boolean
  duration: number
  strings: string[]
  integers: number[]
  pairs: Record<string, string>
  map: Record<string, unknown>
  any: unknown
}

/** Fields with a default or marked required are always there; the rest are undefined when not given or given as null. */
export type Data<F extends Fields> = {
  [K in keyof F]: F[K] extends { default: unknown } | { required: true }
    ? Values[F[K]['type']]
    : Values[F[K]['type']] | undefined
}

export type Decoded<T> = { ok: true; value: T; unknown: string[] } | { ok: false; message: string }

/** Turn untrusted input into the fields of its endpoint. Unknown names are left out and told, for a warning. */
export function decode<F extends Fields>(fields: F, input: Record<string, unknown>): Decoded<Data<F>> {
  const value: Record<string, unknown> = {}
  const unknown = unknownNames(fields, input)
  for (const [name, field] of entriesOf(fields)) {
    const given = Object.hasOwn(input, name) ? input[name] : undefined
    if (given === undefined || given === null) {
      if ('default' in field) value[name] = field.default
      else if (field.required) return { ok: false, message: `missing required field "${name}"` }
      continue
    }
    const converted = convert(field, given)
    if (!converted.ok) {
      return { ok: false, message: `error converting input for field "${name}": ${converted.message}` }
    }
    value[name] = converted.value
  }
  return { ok: true, value: value as Data<F>, unknown }
}

const nothing: string[] = []

function unknownNames(fields: Fields, input: Record<string, unknown>): string[] {
  let unknown = nothing
  for (const name in input) {
    if (!Object.hasOwn(fields, name)) unknown = [...unknown, name]
  }
  return unknown
}

const entries = new WeakMap<Fields, [string, Field][]>()

function entriesOf(fields: Fields): [string, Field][] {
  let list = entries.get(fields)
  if (!list) entries.set(fields, (list = Object.entries(fields)))
  return list
}

type Converted = { ok: true; value: unknown } | { ok: false; message: string }

const good = (value: unknown): Converted => ({ ok: true, value })
const bad = (message: string): Converted => ({ ok: false, message })

function convert(field: Field, given: unknown): Converted {
  switch (field.type) {
    case 'string':
      return toText(field.choices, given)
    case 'integer':
      return toInteger(field, given)
    case 'number':
      return toNumber(given)
    case 'boolean':
      return toBoolean(given)
    case 'duration':
      return toSeconds(field, given)
    case 'strings':
      return toStrings(given)
    case 'integers': {
      const list = (typeof given === 'string' ? given.split(',') : Array.isArray(given) ? given : [given]).map(Number)
      return list.every(Number.isSafeInteger) ? good(list) : bad('expected a list of integers')
    }
    case 'pairs':
      return toPairs(given)
    case 'map': {
      const object = typeof given === 'string' ? parseObject(given) : given
      return isObject(object)
        ? good(object)
        : bad(`'' expected type 'map[string]interface {}', got unconvertible type '${goType(given)}'`)
    }
    case 'any':
      return good(given)
  }
}

function toText(choices: readonly string[] | undefined, given: unknown): Converted {
  const text = scalarText(given)
  if (text === undefined) return bad(`'' expected type 'string', got unconvertible type '${goType(given)}'`)
  return choices && !choices.includes(text) ? bad(`expected one of: ${choices.join(', ')}`) : good(text)
}

function toInteger({ min, max }: { min?: number; max?: number }, given: unknown): Converted {
  const number =
    typeof given === 'string' && /^[+-]?\d+$/.test(given)
      ? Number(given)
      : given === ''
        ? 0
        : typeof given === 'boolean'
          ? Number(given)
          : given
  if (typeof number === 'string') return bad(`'' cannot parse value as 'int': strconv.ParseInt: invalid syntax`)
  if (typeof number !== 'number' || !Number.isSafeInteger(Math.trunc(number))) {
    return bad(`'' expected type 'int', got unconvertible type '${goType(given)}'`)
  }
  const whole = Math.trunc(number)
  if (min !== undefined && whole < min) return bad(`expected at least ${min}`)
  if (max !== undefined && whole > max) return bad(`expected at most ${max}`)
  return good(whole)
}

function toSeconds({ min }: { min?: 0 }, given: unknown): Converted {
  const seconds = parseDuration(given)
  if (seconds === undefined) return bad(durationProblem(given))
  return min !== undefined && seconds < min ? bad(`cannot provide negative value '${seconds}'`) : good(seconds)
}

/** In the words of the Go standard library, which clients see: days are counted apart, all other units by it. */
function durationProblem(given: unknown): string {
  if (typeof given !== 'string') return 'could not parse duration from input'
  const text = given.trim()
  if (/[smh]$/.test(text)) return `time: invalid duration ${JSON.stringify(text)}`
  return `strconv.ParseInt: parsing ${JSON.stringify(text.replace(/d$/, ''))}: invalid syntax`
}

function toNumber(given: unknown): Converted {
  if (given === '') return good(0)
  const number =
    typeof given === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given) ? Number(given) : given
  if (typeof number === 'boolean') return good(Number(number))
  if (typeof number === 'number' && Number.isFinite(number)) return good(number)
  if (typeof number === 'string') return bad(`'' cannot parse value as 'float': strconv.ParseFloat: invalid syntax`)
  return bad(`'' expected type 'float64', got unconvertible type '${goType(given)}'`)
}

function toBoolean(given: unknown): Converted {
  if (typeof given === 'boolean') return good(given)
  if (typeof given === 'number') return good(given !== 0)
  if (given === '') return good(false)
  // The spellings that strconv.ParseBool of the Go standard library knows, since clients send them.
  if (typeof given === 'string' && /^(1|t|T|TRUE|true|True)$/.test(given)) return good(true)
  if (typeof given === 'string' && /^(0|f|F|FALSE|false|False)$/.test(given)) return good(false)
  return bad(`'' expected type 'bool', got unconvertible type '${goType(given)}'`)
}

function toStrings(given: unknown): Converted {
  if (typeof given === 'string') {
    const parts = given.split(',').map((part) => part.trim())
    return good(parts.filter((part) => part !== ''))
  }
  if (!Array.isArray(given)) {
    const text = scalarText(given)
    return text === undefined ? bad('expected a list of strings') : good([text])
  }
  const list = given.map(scalarText)
  return list.every((part) => part !== undefined)
    ? good(list.map((part) => part.trim()))
    : bad('expected a list of strings')
}

/** `{"a":"1"}`, `"a=1,b=2"`, `["a=1"]` or the JSON text of an object. */
function toPairs(given: unknown): Converted {
  const pairs: [string, string][] = []
  const object = typeof given === 'string' ? (parseObject(given) ?? given) : given
  if (isObject(object)) {
    for (const [name, value] of Object.entries(object)) {
      const text = scalarText(value)
      if (text === undefined) return bad(`expected a string for "${name}"`)
      pairs.push([name, text])
    }
    return good(Object.fromEntries(pairs))
  }
  const list = typeof object === 'string' ? object.split(',').filter((part) => part !== '') : object
  if (!Array.isArray(list)) return bad('expected key=value pairs')
  for (const part of list) {
    const cut = typeof part === 'string' ? part.indexOf('=') : -1
    if (cut < 0) return bad('expected key=value pairs')
    pairs.push([part.slice(0, cut).trim(), part.slice(cut + 1).trim()])
  }
  return good(Object.fromEntries(pairs))
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  return undefined
}

function parseObject(text: string): Record<string, unknown> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    // Not JSON: the caller goes on with the text as it is.
    return undefined
  }
}

/** The name the Go server has for a JSON value, since it stands in error texts that clients see. */
function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'number') return 'json.Number'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'object' ? 'map[string]interface {}' : 'string'
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
