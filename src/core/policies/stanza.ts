/** Reading what stands between the braces of a policy's blocks, with the refusals that the Vault API gives. Pure. */
import { parseDuration } from '#lib/duration.ts'
import { hclToPlain, isHclObject, type HclObject, type HclValue } from '#lib/hcl.ts'

/** Thrown while a policy is read; parsePolicy turns it into its answer. */
export class PolicyProblem extends Error {}

/** The text that the Vault API gives for keys nobody knows: all of them, each with its line. */
export function checkKeys(object: HclObject, known: ReadonlySet<string>, prefix: string): void {
  const unknown = object.items
    .filter((item) => !known.has(item.keys[0]!))
    .map((item) => `* ${prefix}invalid key ${JSON.stringify(item.keys[0])} on line ${item.line}`)
  if (unknown.length === 0) return
  const head = unknown.length === 1 ? '1 error occurred:' : `${unknown.length} errors occurred:`
  throw new PolicyProblem(`${head}\n\t${unknown.join('\n\t')}\n\n`)
}

/** Typed reading of the attributes of one stanza. Every attribute may be given once. */
export class Stanza {
  readonly #body: HclObject
  readonly #where: string

  constructor(body: HclObject, where: string) {
    this.#body = body
    this.#where = where
  }

  string(name: string): string {
    const value = this.#one(name)
    if (value === undefined) return ''
    if (typeof value === 'object') throw this.problem(name, 'expected a string')
    return String(value)
  }

  strings(name: string): string[] {
    const value = this.#one(name)
    if (value === undefined) return []
    if (!Array.isArray(value)) throw this.problem(name, 'expected a list of strings')
    return value.map((part) => {
      if (typeof part === 'object') throw this.problem(name, 'expected a list of strings')
      return String(part)
    })
  }

  /** A whole number from 0 up; 0 if not given. */
  count(name: string): number {
    const value = this.#one(name)
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : (value ?? 0)
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw this.problem(name, 'expected a whole number')
    return Math.max(0, number)
  }

  boolean(name: string): boolean {
    const value = this.#one(name) ?? false
    if (typeof value === 'string' && /^(true|false)$/.test(value)) return value === 'true'
    if (typeof value !== 'boolean') throw this.problem(name, 'expected true or false')
    return value
  }

  /** Seconds; 0 if not given. */
  duration(name: string): number {
    const value = this.#one(name)
    if (value === undefined) return 0
    const seconds = parseDuration(value)
    if (seconds === undefined || seconds < 0) {
      const shown = typeof value === 'object' ? 'value' : JSON.stringify(String(value))
      throw new PolicyProblem(`error parsing ${name}: time: invalid duration ${shown}`)
    }
    return seconds
  }

  moment(name: string): Date | undefined {
    const text = this.string(name)
    if (text === '') return undefined
    const known = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text)
    const date = new Date(text)
    if (!known || Number.isNaN(date.getTime())) throw this.problem(name, 'expected a time such as 2030-01-31T12:00:00Z')
    return date
  }

  object(name: string): HclObject | undefined {
    const value = this.#one(name)
    if (value === undefined) return undefined
    const inner = Array.isArray(value) && value.length === 1 ? value[0]! : value
    if (!isHclObject(inner)) throw this.problem(name, 'expected an object')
    return inner
  }

  /** Names with the values each may, or may not, have. */
  parameters(name: string): ReadonlyMap<string, readonly unknown[]> | undefined {
    const object = this.object(name)
    if (!object || object.items.length === 0) return undefined
    const parameters = new Map<string, unknown[]>()
    for (const { keys, value } of object.items) {
      if (keys.length !== 1 || !Array.isArray(value)) {
        throw this.problem(`${name}.${keys.join('.')}`, 'expected a list of values')
      }
      const key = keys[0]!.toLowerCase()
      parameters.set(key, [...(parameters.get(key) ?? []), ...value.map(hclToPlain)])
    }
    return parameters
  }

  problem(name: string, what: string): PolicyProblem {
    const item = this.#body.items.find(({ keys }) => keys[0] === name)
    const place = item ? `At ${item.line}:${item.column}: ` : ''
    return new PolicyProblem(`${this.#where}${place}root.${name}: ${what}`)
  }

  #one(name: string): HclValue | undefined {
    const items = this.#body.items.filter(({ keys }) => keys[0] === name)
    const [first, second] = items
    if (!first || first.value === null) return undefined
    if (second) {
      const place = `${second.line}:${second.column}`
      const text = `The argument ${JSON.stringify(name)} at ${place} was already set. Each argument can only be defined once`
      throw new PolicyProblem(`${this.#where}${text}`)
    }
    if (first.keys.length !== 1) throw this.problem(name, 'unexpected label')
    return first.value
  }
}
