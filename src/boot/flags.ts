/** Flags of `server` and `start`: one dash or two, `-name=value`, `-name value`, or bare for a boolean. */

export interface FlagSpec {
  kind: 'text' | 'boolean'
  about: string
  /** May be given several times. */
  many?: true
}

export type ParsedFlags = { ok: true; values: Map<string, string[]> } | { ok: false; message: string }

export function parseFlags(specs: Readonly<Record<string, FlagSpec>>, args: readonly string[]): ParsedFlags {
  const values = new Map<string, string[]>()
  for (let at = 0; at < args.length; at += 1) {
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(args[at]!)
    if (!match) return { ok: false, message: `unexpected argument "${args[at]}"` }
    const name = match[1]!
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
    if (!spec) return { ok: false, message: `unknown flag -${name}` }
    let value = match[2]
    if (value === undefined && spec.kind === 'boolean') value = 'true'
    if (value === undefined) {
      at += 1
      value = args[at]
    }
    if (value === undefined) return { ok: false, message: `flag -${name} needs a value` }
    if (values.has(name) && !spec.many) return { ok: false, message: `flag -${name} is given twice` }
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return { ok: true, values }
}

export function flagHelp(specs: Readonly<Record<string, FlagSpec>>): string {
  const left = Object.entries(specs).map(([name, { kind }]) => `  -${name}${kind === 'text' ? '=…' : ''}`)
  const width = Math.max(...left.map((each) => each.length)) + 2
  return Object.values(specs)
    .map(({ about }, at) => `${left[at]!.padEnd(width)}${about}`)
    .join('\n')
}
