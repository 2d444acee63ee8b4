/**
 * Flags of the command line: `-name`, `--name`, `-name=value`, `-name value`; booleans never take the next word.
 *
 * Own code rather than a package, since scripts written for the Vault CLI use one dash for long names, which the usual
 * parsers read as a row of short ones. Unlike there, known flags are also understood after the first argument: somebody
 * who writes them last means them. `--` ends the flags.
 */
import { parseDuration } from '#lib/duration.ts'
import { UsageError } from './failure.ts'
import { nearest } from './suggest.ts'

interface About {
  about: string
  /** Other names, without dashes. */
  aliases?: readonly string[]
  /** Names of variables without their prefix, for the help: `ADDR`. */
  variable?: string
}

export type Flag = About &
  (
    | { type: 'string'; default?: string; choices?: readonly string[] }
    | { type: 'boolean'; default?: boolean }
    | { type: 'integer'; default?: number }
    /** Checked here, sent as it was written. */
    | { type: 'duration' }
    /** May be given several times. */
    | { type: 'list' }
    /** `name=value`, may be given several times. */
    | { type: 'pairs' }
  )

export type Flags = Readonly<Record<string, Flag>>

interface Kinds {
  string: string
  boolean: boolean
  integer: number
  duration: string
  list: string[]
  pairs: Record<string, string>
}

/** Lists and pairs are always there, perhaps empty; the rest only with a default or when given. */
export type FlagValues<F extends Flags> = {
  [K in keyof F]: F[K] extends { default: unknown } | { type: 'list' | 'pairs' }
    ? Kinds[F[K]['type']]
    : Kinds[F[K]['type']] | undefined
}

export interface Parsed<F extends Flags> {
  flags: FlagValues<F>
  /** Names that stood on the command line, to tell a default from a choice. */
  given: ReadonlySet<string>
  arguments: string[]
  help: boolean
  /** Arguments that look like flags and are none. */
  suspects: string[]
}

/** @throws UsageError for an unknown flag, a missing or a malformed value */
export function parseFlags<F extends Flags>(flags: F, words: readonly string[]): Parsed<F> {
  const names = new Map<string, string>()
  for (const [name, flag] of Object.entries(flags))
    for (const each of [name, ...(flag.aliases ?? [])]) names.set(each, name)
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.type === 'list') values[name] = []
    else if (flag.type === 'pairs') values[name] = {}
    else if ('default' in flag) values[name] = flag.default
  }
  const parsed = { given: new Set<string>(), arguments: [] as string[], help: false, suspects: [] as string[] }
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!
    if (word === '--') {
      parsed.arguments.push(...words.slice(at + 1))
      break
    }
    const match = /^--?([A-Za-z][A-Za-z0-9_-]*)(?:=([\s\S]*))?$/.exec(word)
    if (!match) {
      if (/^--?[^-]/.test(word) && parsed.arguments.length === 0 && !/^-\d/.test(word))
        throw new UsageError(`flag "${word.split('=')[0]}" is malformed`)
      parsed.arguments.push(word)
      continue
    }
    const name = names.get(match[1]!)
    if (name === undefined) {
      if (['h', 'help'].includes(match[1]!)) parsed.help = true
      else if (parsed.arguments.length > 0) {
        parsed.arguments.push(word)
        parsed.suspects.push(word)
      } else throw new UsageError(unknownFlag(match[1]!, names))
      continue
    }
    const flag = flags[name]!
    let text = match[2]
    if (text === undefined && flag.type === 'boolean') text = 'true'
    else if (text === undefined) {
      at += 1
      text = words[at]
      if (text === undefined) throw new UsageError(`flag needs a value: -${match[1]}`)
    }
    parsed.given.add(name)
    values[name] = convert(name, flag, text, values[name])
  }
  return { ...parsed, flags: values as FlagValues<F> }
}

function unknownFlag(name: string, names: ReadonlyMap<string, string>): string {
  const near = nearest(name, [...names.keys()])
  return `flag provided but not defined: -${name}${near ? ` (did you mean -${near}?)` : ''}`
}

function convert(name: string, flag: Flag, text: string, before: unknown): unknown {
  switch (flag.type) {
    case 'string':
      if (flag.choices && !flag.choices.includes(text))
        throw new UsageError(`invalid value "${text}" for flag -${name}: expected one of ${flag.choices.join(', ')}`)
      return text
    case 'boolean':
      return toBoolean(name, text)
    case 'integer':
      if (!/^[+-]?\d{1,15}$/.test(text))
        throw new UsageError(`invalid value "${text}" for flag -${name}: expected an integer`)
      return Number(text)
    case 'duration':
      if (parseDuration(text) === undefined)
        throw new UsageError(`invalid value "${text}" for flag -${name}: expected a duration such as 30s, 90m or 24h`)
      return text
    case 'list':
      return [...(before as string[]), text.trim()]
    case 'pairs': {
      const cut = text.indexOf('=')
      if (cut < 1) throw new UsageError(`invalid value for flag -${name}: expected name=value`)
      return { ...(before as Record<string, string>), [text.slice(0, cut)]: text.slice(cut + 1) }
    }
  }
}

function toBoolean(name: string, text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw new UsageError(`invalid boolean value "${text}" for flag -${name}`)
}
