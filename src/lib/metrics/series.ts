/** Numbers that are collected while the server runs: counters, samples and gauges. Bounded in memory, a few nanoseconds each. */

/** Of one window of time, as reports tell it. */
export interface Aggregate {
  count: number
  sum: number
  squares: number
  min: number
  max: number
}

/** What all series share: which window it is. Whoever owns the registry moves it on. */
export interface Era {
  window: number
}

function nothing(): Aggregate {
  return { count: 0, sum: 0, squares: 0, min: Infinity, max: -Infinity }
}

/** Counts in the window that is open, in the last one that closed, and since the start. */
class Windows {
  readonly era: Era
  current = nothing()
  last: Aggregate | undefined
  /** In which window something was added last. */
  touched: number
  total = 0
  totalSum = 0

  constructor(era: Era) {
    this.era = era
    this.touched = era.window
  }

  turn(): void {
    const { window } = this.era
    if (window === this.touched) return
    this.last = window === this.touched + 1 ? this.current : undefined
    this.current = nothing()
    this.touched = window
  }

  add(value: number, times: number): void {
    const { current } = this
    current.count += times
    current.sum += value * times
    current.squares += value * value * times
    if (value < current.min) current.min = value
    if (value > current.max) current.max = value
    this.total += times
    this.totalSum += value * times
  }

  /** What another thread counted, as if it were added now. */
  join(other: Readonly<Aggregate>): void {
    const { current } = this
    current.count += other.count
    current.sum += other.sum
    current.squares += other.squares
    current.min = Math.min(current.min, other.min)
    current.max = Math.max(current.max, other.max)
    this.total += other.count
    this.totalSum += other.sum
  }

  /** What was added in this window, which begins anew. */
  take(): Aggregate {
    const taken = this.current
    this.current = nothing()
    return taken
  }

  /** The last window that is over, as reports tell it; undefined when nothing happened in it. */
  closed(): Aggregate | undefined {
    const { window } = this.era
    if (window === this.touched) return this.last
    return window === this.touched + 1 ? this.current : undefined
  }
}

/** What one thread counted since it was asked last. */
export interface Part {
  aggregate: Aggregate
  /** Of a sample. */
  buckets: Uint32Array | undefined
}

export class Counter {
  readonly windows: Windows

  constructor(era: Era) {
    this.windows = new Windows(era)
  }

  add(amount = 1): void {
    this.windows.turn()
    this.windows.add(amount, 1)
  }

  join(part: Readonly<Part>): void {
    this.windows.turn()
    this.windows.join(part.aggregate)
  }

  take(): Part {
    return { aggregate: this.windows.take(), buckets: undefined }
  }

  get total(): number {
    return this.windows.totalSum
  }
}

/** Buckets for each power of two: no quantile is off by more than a sixteenth. */
const PARTS_LOG2 = 3
const PARTS = 2 ** PARTS_LOG2
const BUCKETS = 32 * PARTS
const MAX_UNITS = 2 ** 31 - 1

/** How often a value came, in milliseconds, with quantiles over the last one or two windows. */
export class Sample {
  readonly windows: Windows
  #buckets = new Uint32Array(BUCKETS)
  #before = new Uint32Array(BUCKETS)
  #bucketWindow: number
  #unmeasured = 0

  constructor(era: Era) {
    this.windows = new Windows(era)
    this.#bucketWindow = era.window
  }

  /** It happened, but nobody took the time: the next one that is measured speaks for it. */
  skip(): void {
    this.#unmeasured += 1
  }

  add(milliseconds: number): void {
    const times = this.#unmeasured + 1
    this.#unmeasured = 0
    this.windows.turn()
    this.#turn()
    this.windows.add(milliseconds, times)
    const index = bucketOf(milliseconds)
    this.#buckets[index] = this.#buckets[index]! + times
  }

  join({ aggregate, buckets }: Readonly<Part>): void {
    this.windows.turn()
    this.#turn()
    this.windows.join(aggregate)
    for (const [index, times] of (buckets ?? []).entries()) this.#buckets[index] = this.#buckets[index]! + times
  }

  take(): Part {
    const buckets = this.#buckets
    this.#buckets = new Uint32Array(BUCKETS)
    return { aggregate: this.windows.take(), buckets }
  }

  /** @returns NaN when nothing was measured lately, as Prometheus has it */
  quantile(part: number): number {
    this.#turn()
    let all = 0
    for (let index = 0; index < BUCKETS; index += 1) all += this.#buckets[index]! + this.#before[index]!
    if (all === 0) return Number.NaN
    let left = Math.max(1, Math.ceil(part * all))
    for (let index = 0; index < BUCKETS; index += 1) {
      left -= this.#buckets[index]! + this.#before[index]!
      if (left <= 0) return middleOf(index)
    }
    return Number.NaN
  }

  #turn(): void {
    const { window } = this.windows.era
    if (window === this.#bucketWindow) return
    const spare = this.#before
    spare.fill(0)
    this.#before = window === this.#bucketWindow + 1 ? this.#buckets : new Uint32Array(BUCKETS)
    this.#buckets = spare
    this.#bucketWindow = window
  }
}

/** Microseconds, by their highest bit and the three below it. */
function bucketOf(milliseconds: number): number {
  const units = Math.min(MAX_UNITS, Math.max(1, Math.trunc(milliseconds * 1000)))
  const power = 31 - Math.clz32(units)
  const part =
    power >= PARTS_LOG2 ? (units >> (power - PARTS_LOG2)) & (PARTS - 1) : (units << (PARTS_LOG2 - power)) & (PARTS - 1)
  return power * PARTS + part
}

function middleOf(index: number): number {
  const power = Math.floor(index / PARTS)
  const units = (PARTS + (index % PARTS) + 0.5) * 2 ** (power - PARTS_LOG2)
  return units / 1000
}

export class Gauge {
  value = 0
  isSet = false

  set(value: number): void {
    this.value = value
    this.isSet = true
  }
}
