/** Tables and values as the Vault CLI prints them, so that scripts which cut columns keep working. Pure. */
import { formatDuration } from '#lib/duration.ts'
import { exactNumber } from './json.ts'

const GLUE = '    '

/** @param rows  the first is the heading; empty cells are shown as `n/a` */
export function table(rows: readonly (readonly string[])[]): string {
  const heading = rows[0] ?? []
  const all = [heading, heading.map((cell) => '-'.repeat(cell.length)), ...rows.slice(1)]
  return columns(all)
}

/** Columns without a line below the first row. */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.trim() || 'n/a'))
  const widths: number[] = []
  for (const row of cells) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, letters(cell))))
  const lines = cells.map((row) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : pad(cell, widths[at]!))).join(GLUE),
  )
  return lines.join('\n')
}

/** Letters beyond the 16-bit plane are one, as a terminal shows them. */
function letters(text: string): number {
  return Array.from(text).length
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - letters(cell)))
}

/** `== Title ==`, about `width` wide. */
export function heading(title: string, width: number): string {
  const free = width - (title.length + 2)
  const signs = free <= 0 ? 4 : free + (free % 2)
  return `${'='.repeat(signs / 2)} ${title} ${'='.repeat(signs / 2)}`
}

/** A heading as wide as the table of these values would be. */
export function headingFor(title: string, values: Readonly<Record<string, unknown>>): string {
  const longest = Math.max(0, ...Object.keys(values).map((name) => name.length))
  return heading(title, longest + GLUE.length + 'Value'.length)
}

/** `a`, `3`, `<nil>`, `[a b]`, `map[a:1 b:2]`: the notation of Go's `%v`. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(plain).join(' ')}]`
  const number = exactNumber(value)
  if (number !== undefined) return number
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `map[${entries.map(([name, each]) => `${name}:${plain(each)}`).join(' ')}]`
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** `["default" "web"]` */
export function quotedList(values: unknown): string {
  return `[${(Array.isArray(values) ? values : []).map((each) => JSON.stringify(each)).join(' ')}]`
}

/** Values under a name that tells a time are shown as one: 2764800 → `768h`. */
export function plainField(name: string, value: unknown): string {
  return looksLikeDuration(name) ? duration(value) : plain(value)
}

function looksLikeDuration(name: string): boolean {
  return /^(?:.*_)?(?:period|ttl|duration)$/.test(name) || name === 'lease_max' || name === 'ttl_max'
}

/** Seconds as `1h30m`, without the zeros at the end; what is no number stays as it is. */
export function duration(value: unknown): string {
  if (typeof value !== 'number' || !Number.isInteger(value)) return plain(value)
  return formatDuration(value)
    .replace(/m0s$/, 'm')
    .replace(/h0m$/, 'h')
    .replace(/h0m(?=\d)/, 'h')
}
