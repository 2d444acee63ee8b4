/** A driver that tells how long it takes. */
import type { Sample } from '#lib/metrics/series.ts'
import type { Metrics } from '#sdk/metrics.ts'
import type { Driver } from '#sdk/storage.ts'

/** Looking at the clock costs as much as a read that is cached. */
const TIMED_ONE_IN = 8

export function meteredDriver(driver: Driver, metrics: Metrics): Driver {
  const [gets, lists, puts] = [
    metrics.sample('barrier.get'),
    metrics.sample('barrier.list'),
    metrics.sample('barrier.put'),
  ]
  let reads = 0
  return {
    moment: () => driver.moment(),
    get(key) {
      reads += 1
      if (reads % TIMED_ONE_IN === 0) return timed(gets, () => driver.get(key))
      gets.skip()
      return driver.get(key)
    },
    getMany: (keys) => driver.getMany(keys),
    list: (prefix, page) => timed(lists, () => driver.list(prefix, page)),
    keys: (prefix, page) => timed(lists, () => driver.keys(prefix, page)),
    scan: (prefix, page) => timed(lists, () => driver.scan(prefix, page)),
    transact: (change) => timed(puts, () => driver.transact(change)),
    onCommit: (listener) => driver.onCommit(listener),
    trouble: () => driver.trouble(),
    close: () => driver.close(),
  }
}

async function timed<T>(sample: Sample, work: () => Promise<T>): Promise<T> {
  const begun = process.hrtime.bigint()
  try {
    return await work()
  } finally {
    sample.add(Number(process.hrtime.bigint() - begun) / 1e6)
  }
}
