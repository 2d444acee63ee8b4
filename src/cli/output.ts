/**
 * What is printed, and where: results on standard output, warnings and errors on standard error. Colour only on a
 * terminal, and not where NO_COLOR or CLI_NO_COLOR asks for none.
 */
import type { ClientReply } from '#client/client.ts'
import { variable } from './environment.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from './failure.ts'
import { exactNumber, isObject } from './json.ts'
import { secretFields, secretRows, toSecret } from './secret.ts'
import { plain, table } from './table.ts'

export type Format = 'table' | 'json' | 'yaml' | 'raw'

const RED = 31
const GREEN = 32
const YELLOW = 33

export class Output {
  readonly format: Format
  readonly field: string | undefined

  constructor(options: { format: string; field: string | undefined }) {
    this.format = toFormat(options.format)
    this.field = options.field
  }

  line(text: string): void {
    process.stdout.write(`${forTerminal(text, process.stdout)}\n`)
  }

  /** Text that has its line breaks already. */
  raw(text: string): void {
    process.stdout.write(forTerminal(text, process.stdout))
  }

  success(text: string): void {
    process.stdout.write(`${paint(forTerminal(text, process.stdout), GREEN, process.stdout)}\n`)
  }

  /** For tables of lists that are not secrets, where a script asked for data: nothing but data goes to stdout. */
  successUnlessData(text: string): void {
    if (this.format === 'table') this.success(text)
  }

  warn(text: string): void {
    warn(text)
  }

  /** A reply as a secret: its lease, token, wrapping and data. Returns the exit code. */
  async reply(reply: ClientReply): Promise<number> {
    const secret = toSecret(reply.json)
    if (this.field !== undefined) return await this.value(secretFields(secret), this.field)
    if (this.format === 'raw') {
      this.line(reply.text.replace(/\n$/, ''))
      return EXIT_OK
    }
    if (this.format !== 'table') return await this.data(secret)
    this.warnings(secret.warnings)
    const rows = secretRows(secret)
    if (rows.length > 0) this.line(table([['Key', 'Value'], ...rows]))
    return EXIT_OK
  }

  /** Any values: a table of names and values, JSON or YAML. Returns the exit code. */
  async data(values: unknown): Promise<number> {
    if (this.format === 'yaml') {
      this.line((await toYaml(values)).replace(/\n$/, ''))
    } else if (this.format === 'table' && isObject(values)) {
      const rows = Object.keys(values)
        .sort()
        .map((name) => [name, plain(values[name])])
      if (rows.length > 0) this.line(table([['Key', 'Value'], ...rows]))
    } else {
      this.line(JSON.stringify(values, undefined, 2))
    }
    return EXIT_OK
  }

  /** Like data, where the table is not made of names and values. */
  async list(values: unknown, rows: () => readonly (readonly string[])[]): Promise<number> {
    if (this.format !== 'table') return await this.data(values)
    this.line(table(rows()))
    return EXIT_OK
  }

  /** One field alone. */
  async value(values: Readonly<Record<string, unknown>>, name: string): Promise<number> {
    if (!Object.hasOwn(values, name)) throw new CommandFailure(`Field "${name}" not present in secret`, EXIT_LOCAL)
    if (this.format !== 'table' && this.format !== 'raw') return await this.data(values[name])
    // Without a line break, so that a pipe gets the value and nothing else.
    const text = plain(values[name])
    process.stdout.write(process.stdout.isTTY ? `${text}\n` : text)
    return EXIT_OK
  }

  warnings(list: readonly string[] | null): void {
    if (!list || list.length === 0) return
    warn(
      `WARNING! The following warnings were returned from the server:\n\n${list.map((each) => `  * ${each}\n`).join('\n')}`,
    )
  }
}

export function warn(text: string): void {
  process.stderr.write(`${paint(forTerminal(text, process.stderr), YELLOW, process.stderr)}\n`)
}

export function complain(text: string): void {
  process.stderr.write(`${paint(forTerminal(text, process.stderr), RED, process.stderr)}\n`)
}

function toFormat(text: string): Format {
  const format = text.toLowerCase()
  if (format === 'pretty' || format === 'table' || format === '') return 'table'
  if (format === 'json' || format === 'yaml' || format === 'raw') return format
  if (format === 'yml') return 'yaml'
  throw new UsageError(`invalid output format "${text}": expected table, json, yaml or raw`)
}

function paint(text: string, colour: number, stream: NodeJS.WriteStream): string {
  if (!stream.isTTY || process.env['NO_COLOR'] || variable('CLI_NO_COLOR')) return text
  return `\u001B[${colour}m${text}\u001B[0m`
}

/** A secret may hold control characters that would move the cursor or worse; files and pipes get it unchanged. */
export function forTerminal(text: string, stream: NodeJS.WriteStream): string {
  if (!stream.isTTY) return text
  return text.replace(/[^\P{Cc}\n\t]/gu, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

async function toYaml(values: unknown): Promise<string> {
  const { stringify } = await import('yaml')
  return stringify(yamlReady(values), { sortMapEntries: true, lineWidth: 0 })
}

/** YAML has integers of any length; of kept numbers the others become JavaScript's. */
function yamlReady(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(yamlReady)
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, yamlReady(each)]))
  const number = exactNumber(value)
  if (number === undefined) return value
  return /^-?\d+$/.test(number) ? BigInt(number) : Number(number)
}
