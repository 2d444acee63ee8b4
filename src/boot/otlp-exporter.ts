/** Sends metrics and spans to an OpenTelemetry collector, by OTLP/HTTP with JSON; only when the configuration names one. */
import { hostname } from 'node:os'
import { metricsBody, type Resource, type Span, spansBody } from '#lib/otlp.ts'
import { productVersion } from '#lib/version.ts'
import type { Metrics } from '#sdk/metrics.ts'

export interface OtlpConfig {
  /** `https://collector:4318`; `/v1/metrics` and `/v1/traces` are put behind it. */
  endpoint: string
  /** May hold keys: never told. */
  headers: Readonly<Record<string, string>>
  intervalSeconds: number
  /** Part of the requests that are told as spans, 0 to 1, where the caller does not say. */
  traceRatio: number
}

/** Spans that wait; more are dropped and counted. */
export const MAX_SPANS = 4096
const SPANS_AT_ONCE = 512
const TIMEOUT_MS = 10_000
/** At the end nobody waits long for a collector. */
const LAST_TIMEOUT_MS = 2000

export class OtlpExporter {
  readonly #config: OtlpConfig
  readonly #metrics: Metrics
  readonly #prefix: string
  readonly #log: (text: string) => void
  readonly #resource: Resource = { service: 'strongroom', version: productVersion, host: hostname() }
  readonly #startNs = epochNs()
  readonly #timer: NodeJS.Timeout
  #spans: Span[] = []
  #sending: Promise<void> | undefined
  #failing = false

  constructor(config: OtlpConfig, options: { metrics: Metrics; prefix: string; log: (text: string) => void }) {
    this.#config = config
    this.#metrics = options.metrics
    this.#prefix = options.prefix === '' ? '' : `${options.prefix}.`
    this.#log = options.log
    this.#timer = setInterval(() => void this.flush(), config.intervalSeconds * 1000).unref()
  }

  readonly add = (span: Span): void => {
    if (this.#spans.length >= MAX_SPANS) this.#dropped(1)
    else this.#spans.push(span)
  }

  /** Never rejects: whoever does not take what is sent is told of in the log, once. */
  flush(timeoutMs = TIMEOUT_MS): Promise<void> {
    this.#sending ??= this.#send(timeoutMs).finally(() => (this.#sending = undefined))
    return this.#sending
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sending
    await this.flush(LAST_TIMEOUT_MS)
  }

  async #send(timeoutMs: number): Promise<void> {
    const spans = this.#spans
    this.#spans = []
    let sent = 0
    try {
      const times = { prefix: this.#prefix, startNs: this.#startNs, nowNs: epochNs() }
      await this.#post('/v1/metrics', metricsBody(this.#metrics.all(), this.#resource, times), timeoutMs)
      for (; sent < spans.length; sent += SPANS_AT_ONCE) {
        const body = spansBody(spans.slice(sent, sent + SPANS_AT_ONCE), this.#resource)
        await this.#post('/v1/traces', body, timeoutMs)
      }
      if (this.#failing) this.#log('telemetry: the collector takes what is sent again')
      this.#failing = false
    } catch (error) {
      // What could not be sent is not kept: a collector that is away must not fill the memory of this server.
      this.#dropped(Math.max(0, spans.length - sent))
      if (!this.#failing) this.#log(`telemetry: the collector cannot be reached: ${reasonOf(error)}`)
      this.#failing = true
    }
  }

  async #post(path: string, body: string, timeoutMs: number): Promise<void> {
    const response = await fetch(`${this.#config.endpoint}${path}`, {
      method: 'POST',
      headers: { ...this.#config.headers, 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`status ${response.status}`)
  }

  #dropped(count: number): void {
    if (count > 0) this.#metrics.counter('telemetry.spans_dropped').add(count)
  }
}

/** The moment that process.hrtime.bigint tells, since 1970. */
export function epochOffsetNs(): bigint {
  return epochNs() - process.hrtime.bigint()
}

function epochNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n
}

/** Kind and code: the whole text may name what the configuration keeps to itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
  return code ?? (/^status \d+$/.test(error.message) ? error.message : error.name)
}
