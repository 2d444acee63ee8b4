/**
 * What stands in an audit line in place of a payload: the same structure with every string and number hashed.
 *
 * Members come in the order of their names, as Vault's lines have them. Work and length are bounded: a payload of too
 * many values is told by one hash of its whole JSON text instead, so that a large body cannot hold up everybody else.
 */
type Data = Readonly<Record<string, unknown>>

/** Values hashed one by one; at about 1.5 µs each, more would stop the event loop for too long. */
const MAX_VALUES = 10_000

/** Below this, a value is hashed as a whole; engines and clients nest a few levels. */
const MAX_DEPTH = 64

/** A hash with its quotes and comma. */
const HASH_BYTES = 79

/** Whole numbers below this have their hash kept: all of them could be tried in no time, so keeping them tells nothing. */
const MAX_KEPT_NUMBER = 4_096

export class Payload {
  readonly #hash: (text: string) => string
  readonly #raw: boolean
  readonly #maxValues: number
  readonly #numbers: (string | undefined)[] = Array.from({ length: MAX_KEPT_NUMBER })
  readonly #empty: string
  readonly #frozen = new WeakMap<object, { text: string; values: number }>()
  #valuesLeft = 0
  #clear: readonly string[] | undefined

  constructor(hash: (text: string) => string, raw: boolean, maxLineBytes: number) {
    this.#hash = hash
    this.#raw = raw
    this.#maxValues = Math.min(MAX_VALUES, Math.floor(maxLineBytes / HASH_BYTES))
    this.#empty = raw ? '""' : `"${hash('')}"`
  }

  /**
   * @param clear   names of members whose strings and numbers stay as they are, at any depth
   * @param elide   tell only the number of `keys` and `key_info`
   */
  text(data: Data, clear: readonly string[] | undefined, elide: boolean): string {
    this.#valuesLeft = this.#maxValues
    this.#clear = clear
    const text = this.#object(elide ? withoutLists(data) : data, 0)
    return this.#valuesLeft < 0 ? this.short(data) : text
  }

  /** One hash of the JSON text, and how long that is. */
  short(data: Data): string {
    const text = JSON.stringify(data)
    return `{"elided":"${this.#hash(text)}","elided_bytes":${Buffer.byteLength(text)}}`
  }

  /**
   * A frozen object is the same for good, so its text is kept by its identity. Engines hand out facts about entries so,
   * which are asked for again and again; what is kept holds no value, only its hash.
   */
  #object(object: Data, depth: number): string {
    if (this.#clear !== undefined || !Object.isFrozen(object)) return this.#walk(object, depth)
    const kept = this.#frozen.get(object)
    if (kept) {
      this.#valuesLeft -= kept.values
      return kept.text
    }
    const before = this.#valuesLeft
    const text = this.#walk(object, depth)
    if (this.#valuesLeft >= 0) this.#frozen.set(object, { text, values: before - this.#valuesLeft })
    return text
  }

  #walk(object: Data, depth: number): string {
    let text = '{'
    for (const name of sortedNames(object)) {
      if (this.#valuesLeft < 0) break
      const value = object[name]
      const valueText = this.#clear?.includes(name) ? clearText(value) : this.#value(value, depth + 1)
      if (valueText === undefined) continue
      text += text === '{' ? `${JSON.stringify(name)}:${valueText}` : `,${JSON.stringify(name)}:${valueText}`
    }
    return text + '}'
  }

  #array(array: readonly unknown[], depth: number): string {
    let text = '['
    for (const value of array) {
      if (this.#valuesLeft < 0) break
      const valueText = this.#value(value, depth + 1) ?? 'null'
      text += text === '[' ? valueText : `,${valueText}`
    }
    return text + ']'
  }

  /** As JSON; undefined for what JSON leaves out. */
  #value(value: unknown, depth: number): string | undefined {
    this.#valuesLeft--
    if (typeof value === 'string') return value === '' ? this.#empty : this.#hidden(value)
    if (typeof value === 'number') return this.#number(value)
    if (value === null) return 'null'
    if (typeof value === 'boolean') return value ? 'true' : 'false'
    if (typeof value === 'bigint') return this.#raw ? value.toString() : this.#hidden(value.toString())
    if (typeof value !== 'object') return undefined
    if (value instanceof Date) return JSON.stringify(value)
    if (value instanceof Count) return String(value.count)
    if (value instanceof Uint8Array) return this.#hidden(Buffer.from(value).toString('base64'))
    if (depth >= MAX_DEPTH) return this.#hidden(JSON.stringify(value))
    return Array.isArray(value) ? this.#array(value, depth) : this.#object(value as Data, depth)
  }

  #hidden(text: string): string {
    return this.#raw ? JSON.stringify(text) : `"${this.#hash(text)}"`
  }

  /** By its JSON text, so that 5432 and "5432" have the same hash and audit-hash finds both. */
  #number(value: number): string {
    if (!Number.isFinite(value)) return 'null'
    if (this.#raw) return String(value)
    if (!(value >= 0 && value < MAX_KEPT_NUMBER && Number.isInteger(value))) return this.#hidden(String(value))
    return (this.#numbers[value] ??= this.#hidden(String(value)))
  }
}

/** A number of ours in a payload, which is told as it is. */
class Count {
  readonly count: number

  constructor(count: number) {
    this.count = count
  }
}

function withoutLists(data: Data): Data {
  const { keys, key_info } = data
  return {
    ...data,
    ...(Array.isArray(keys) && { keys: new Count(keys.length) }),
    ...(isPlain(key_info) && { key_info: new Count(Object.keys(key_info).length) }),
  }
}

function isPlain(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function clearText(value: unknown): string | undefined {
  // Never throws for lack of a JSON form: bigints are the only values of ours that JSON does not know.
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? each.toString() : each))
}

/** Most payloads are small, and many are sorted already. */
function sortedNames(object: Data): string[] {
  const names = Object.keys(object)
  for (let at = 1; at < names.length; at++) {
    if (names[at - 1]! > names[at]!) return names.sort()
  }
  return names
}
