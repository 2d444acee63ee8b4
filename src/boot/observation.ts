/** What this process can tell of itself: windows of its metrics, memory, garbage collection, the event loop; and what it holds. */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import type { Core } from '#request/core.ts'
import { WINDOW_SECONDS } from '#lib/metrics/report.ts'
import type { Counter } from '#lib/metrics/series.ts'
import type { Tracing } from '#request/measure.ts'
import { Metrics } from '#sdk/metrics.ts'

import { epochOffsetNs, OtlpExporter } from './otlp-exporter.ts'
import type { TelemetryConfig } from './telemetry.ts'

const LOOP_RESOLUTION_MS = 50
const NS_PER_MS = 1e6

/** @returns what counts one answer by its status */
export function answerCounter(metrics: Metrics): (status: number) => void {
  const answers = new Map<number, Counter>()
  return (status) => {
    let counter = answers.get(status)
    if (!counter) {
      const [code, type] = [String(status), `${Math.trunc(status / 100)}xx`]
      answers.set(status, (counter = metrics.counter('core.response_status_code', code, type)))
    }
    counter.add()
  }
}

export class Observation {
  readonly metrics = new Metrics()
  /** Undefined where nobody wants spans. */
  readonly tracing: Tracing | undefined
  readonly #exporter: OtlpExporter | undefined
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  readonly #collections: PerformanceObserver
  readonly #timer: NodeJS.Timeout
  #gcRuns = 0
  #gcPauseNs = 0
  #usageAtMs = -Infinity

  constructor({ otlp, naming }: TelemetryConfig, log: (text: string) => void) {
    const { metrics } = this
    if (otlp) {
      const exporter = new OtlpExporter(otlp, { metrics, prefix: naming.prefix, log })
      this.#exporter = exporter
      if (otlp.traceRatio > 0) {
        this.tracing = { ratio: otlp.traceRatio, offsetNs: epochOffsetNs(), add: exporter.add }
      }
    }
    this.#collections = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#gcRuns += 1
        this.#gcPauseNs += duration * NS_PER_MS
      }
    })
    this.#collections.observe({ entryTypes: ['gc'] })
    this.#loop.enable()
    metrics.read('runtime.alloc_bytes', () => process.memoryUsage().heapUsed)
    metrics.read('runtime.sys_bytes', () => process.memoryUsage.rss())
    metrics.read('runtime.cpu_seconds', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    })
    metrics.read('runtime.total_gc_runs', () => this.#gcRuns)
    metrics.read('runtime.total_gc_pause_ns', () => Math.round(this.#gcPauseNs))
    this.#timer = setInterval(() => this.turn(), WINDOW_SECONDS * 1000).unref()
    this.#tellLoop()
  }

  /** What others keep, asked for when somebody looks. */
  watch(parts: {
    unsealed: () => boolean
    inFlight: () => number
    shared: () => { hits: number; misses: number } | undefined
  }): void {
    this.metrics.read('core.active', () => Number(parts.unsealed()))
    this.metrics.read('core.unsealed', () => Number(parts.unsealed()))
    this.metrics.read('core.in_flight_requests', parts.inFlight)
    this.metrics.read('cache.hit', () => parts.shared()?.hits ?? 0)
    this.metrics.read('cache.miss', () => parts.shared()?.misses ?? 0)
  }

  /** A window is over. */
  turn(): void {
    this.metrics.turn()
    this.#tellLoop()
  }

  /** The last numbers are sent, if the collector takes them within seconds. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#loop.disable()
    this.#collections.disconnect()
    await this.#exporter?.stop()
  }

  /** Sends what there is now. */
  async flush(): Promise<void> {
    await this.#exporter?.flush()
  }

  /** Of every answer of every listener. */
  readonly countAnswer = answerCounter(this.metrics)

  /**
   * Counts what the server holds, which takes a walk over names: not for every look.
   *
   * @param everySeconds  0: never
   */
  async countUsage({ tokens, leases, identity, quotas }: Core, everySeconds: number): Promise<void> {
    const nowMs = performance.now()
    if (everySeconds === 0 || nowMs - this.#usageAtMs < everySeconds * 1000) return
    this.#usageAtMs = nowMs
    const { metrics } = this
    const tokenCount = await tokens.count()
    metrics.gauge('token.count').set(tokenCount)
    metrics.gauge('expire.num_leases').set(tokenCount + (await leases.countSecrets()))
    metrics.gauge('expire.num_irrevocable_leases').set(await leases.countIrrevocable())
    metrics.gauge('identity.num_entities').set(await identity.count())
    metrics.forget('quota.lease_count.counter')
    metrics.forget('quota.lease_count.max')
    for (const { name, max_leases } of await quotas.leaseRules()) {
      metrics.gauge('quota.lease_count.counter', name).set(await quotas.leasesHeld(name))
      metrics.gauge('quota.lease_count.max', name).set(max_leases)
    }
  }

  /** The monitor counts its own pause as part of each wait. */
  #tellLoop(): void {
    const wait = (ns: number) => (Number.isFinite(ns) ? Math.max(0, ns / NS_PER_MS - LOOP_RESOLUTION_MS) : 0)
    this.metrics.gauge('runtime.event_loop_delay_mean').set(wait(this.#loop.mean))
    this.metrics.gauge('runtime.event_loop_delay_max').set(this.#loop.count === 0 ? 0 : wait(this.#loop.max))
    this.#loop.reset()
  }
}
