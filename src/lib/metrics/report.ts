/** What was collected, in the two forms in which it is asked for: JSON of the Vault API, and text for Prometheus. Pure. */
import { Counter, Gauge, Sample } from './series.ts'
import type { Series } from './registry.ts'

export interface Naming {
  prefix: string
  /** Between the prefix and the name of gauges, as go-metrics puts it; undefined: nowhere. */
  host: string | undefined
  /** A label of every series; undefined: none. */
  hostLabel: string | undefined
  /** Rules such as `+vault.token`, `-vault.expire`; the longest that fits counts, and of two as long the one that blocks. */
  filters: readonly string[]
  /** What is told of those that no rule speaks of. */
  filterDefault: boolean
}

export const WINDOW_SECONDS = 10

function fullName({ name, spec }: Series, { prefix, host }: Naming): string {
  return [prefix, spec.kind === 'gauge' ? host : undefined, name]
    .filter((part) => part !== undefined && part !== '')
    .join('.')
}

function labelsOf({ labels }: Series, { hostLabel }: Naming): Record<string, string> {
  return hostLabel === undefined ? { ...labels } : { ...labels, host: hostLabel }
}

function told(series: Series, naming: Naming): boolean {
  const name = [naming.prefix, series.name].filter((part) => part !== '').join('.')
  let longest: string | undefined
  for (const rule of naming.filters) {
    if (!name.startsWith(rule.slice(1))) continue
    if (longest === undefined || rule.length > longest.length || (rule.length === longest.length && rule[0] === '-')) {
      longest = rule
    }
  }
  return longest === undefined ? naming.filterDefault : longest[0] === '+'
}

/** `{"Timestamp":…,"Gauges":[…],"Points":[],"Counters":[…],"Samples":[…]}` over the last window that is over. */
export function jsonReport(all: readonly Series[], naming: Naming, at: Date): Record<string, unknown> {
  const report = { Gauges: [] as unknown[], Counters: [] as unknown[], Samples: [] as unknown[] }
  for (const series of all) {
    if (!told(series, naming)) continue
    const Name = fullName(series, naming)
    const Labels = labelsOf(series, naming)
    const { value } = series
    if (value instanceof Gauge) {
      if (value.isSet && series.spec.kind === 'gauge') report.Gauges.push({ Name, Value: value.value, Labels })
      continue
    }
    const window = value.windows.closed()
    if (!window || window.count === 0) continue
    const { count, sum, squares, min, max } = window
    const variance = count < 2 ? 0 : Math.max(0, (count * squares - sum * sum) / (count * (count - 1)))
    const line = { Name, Count: count, Rate: sum / WINDOW_SECONDS, Sum: sum, Min: min, Max: max, Mean: sum / count }
    const list = value instanceof Sample ? report.Samples : report.Counters
    list.push({ ...line, Stddev: Math.sqrt(variance), Labels })
  }
  return {
    Timestamp: timestamp(at),
    Gauges: report.Gauges,
    Points: [],
    Counters: report.Counters,
    Samples: report.Samples,
  }
}

/** As Go prints a moment, cut to the window. */
function timestamp(at: Date): string {
  const windowMs = WINDOW_SECONDS * 1000
  const begun = new Date(Math.floor(at.getTime() / windowMs) * windowMs)
  return `${begun.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
}

const QUANTILES = [0.5, 0.9, 0.99]

/** Text exposition format 0.0.4 of Prometheus. */
export function prometheusText(all: readonly Series[], naming: Naming): string {
  const lines: string[] = []
  let family = ''
  for (const series of all) {
    if (!told(series, naming)) continue
    const { value, spec } = series
    if (value instanceof Gauge && !value.isSet) continue
    const name = fullName(series, naming).replaceAll(/[^a-zA-Z0-9_]/g, '_')
    if (name !== family) {
      family = name
      const type = spec.kind === 'sample' ? 'summary' : spec.kind
      lines.push(
        `# HELP ${name} ${spec.about.replaceAll('\\', '\\\\').replaceAll('\n', ' ')}`,
        `# TYPE ${name} ${type}`,
      )
    }
    const labels = labelsOf(series, naming)
    if (value instanceof Sample) {
      for (const part of QUANTILES) {
        lines.push(`${name}${labelText({ ...labels, quantile: String(part) })} ${value.quantile(part)}`)
      }
      const plain = labelText(labels)
      lines.push(`${name}_sum${plain} ${value.windows.totalSum}`, `${name}_count${plain} ${value.windows.total}`)
    } else lines.push(`${name}${labelText(labels)} ${value instanceof Counter ? value.total : value.value}`)
  }
  return `${lines.join('\n')}\n`
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
