/** All series of one server by name and labels. Labels are bounded: what is too much shares one series. */
import { Counter, type Era, Gauge, type Part, Sample } from './series.ts'

export interface MetricSpec {
  kind: 'counter' | 'sample' | 'gauge'
  about: string
  labels?: readonly string[]
}

export type Catalog = Readonly<Record<string, MetricSpec>>

/** Series of one name. */
export const MAX_SERIES = 500
const OTHER = 'other'

export interface Series {
  name: string
  spec: MetricSpec
  labels: Readonly<Record<string, string>>
  value: Counter | Sample | Gauge
}

/** Of one series, for the registry that tells of all threads. */
export interface Collected extends Part {
  name: string
  labels: string[]
}

export class Registry<Names extends string> {
  readonly #catalog: Readonly<Record<Names, MetricSpec>>
  readonly #era: Era = { window: 1 }
  readonly #families = new Map<string, Map<string, Series>>()
  readonly #readers = new Map<string, () => number>()

  constructor(catalog: Readonly<Record<Names, MetricSpec>>) {
    this.#catalog = catalog
  }

  counter(name: Names, ...labels: string[]): Counter {
    return this.#series(name, labels, (era) => new Counter(era)) as Counter
  }

  sample(name: Names, ...labels: string[]): Sample {
    return this.#series(name, labels, (era) => new Sample(era)) as Sample
  }

  gauge(name: Names, ...labels: string[]): Gauge {
    return this.#series(name, labels, () => new Gauge()) as Gauge
  }

  /** A gauge, or the total of a counter, that somebody else keeps; asked for when somebody looks. */
  read(name: Names, value: () => number): void {
    this.#readers.set(name, value)
  }

  /** What a gauge with labels said until now is no longer so. */
  forget(name: Names): void {
    this.#families.delete(name)
  }

  /** The window is over. */
  turn(): void {
    this.#era.window += 1
  }

  /** What was counted here since the last time, for another registry. Of a registry whose windows nobody turns. */
  take(): Collected[] {
    const taken: Collected[] = []
    for (const { name, labels, value } of [...this.#families.values()].flatMap((family) => [...family.values()])) {
      if (value instanceof Gauge || value.windows.current.count === 0) continue
      taken.push({ name, labels: Object.values(labels), ...value.take() })
    }
    return taken
  }

  /** What another registry of the same catalog counted. */
  join(parts: readonly Collected[]): void {
    for (const { name, labels, ...part } of parts) {
      const isSample = this.#catalog[name as Names].kind === 'sample'
      const series = isSample ? this.sample(name as Names, ...labels) : this.counter(name as Names, ...labels)
      series.join(part)
    }
  }

  /** In the order of names and labels. */
  all(): Series[] {
    const found: Series[] = []
    for (const family of this.#families.values()) found.push(...family.values())
    for (const [name, read] of this.#readers) found.push(this.#readSeries(name, read))
    return found.toSorted((a, b) => compare(a.name, b.name) || compare(keyOf(a), keyOf(b)))
  }

  #readSeries(name: string, read: () => number): Series {
    const gauge = new Gauge()
    gauge.set(read())
    return { name, spec: this.#catalog[name as Names], labels: {}, value: gauge }
  }

  #series(name: Names, labels: readonly string[], make: (era: Era) => Series['value']): Series['value'] {
    let family = this.#families.get(name)
    if (!family) this.#families.set(name, (family = new Map()))
    const key = labels.join('\0')
    const known = family.get(key)
    if (known) return known.value
    if (family.size >= MAX_SERIES && labels.some((label) => label !== OTHER)) {
      return this.#series(
        name,
        labels.map(() => OTHER),
        make,
      )
    }
    const spec = this.#catalog[name]
    const pairs = (spec.labels ?? []).map((label, at) => [label, labels[at] ?? ''])
    const series: Series = { name, spec, labels: Object.fromEntries(pairs), value: make(this.#era) }
    family.set(key, series)
    return series.value
  }
}

function keyOf({ labels }: Series): string {
  return Object.values(labels).join('\0')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
