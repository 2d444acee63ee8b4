/** What a request tells the metrics, and the trace that it belongs to, if somebody wants one. */
import { randomBytes } from 'node:crypto'
import type { Sample } from '#lib/metrics/series.ts'
import { parseTraceParent, type Span } from '#lib/otlp.ts'
import type { Metrics } from '#sdk/metrics.ts'
import type { Incoming } from './incoming.ts'
import type { Routed } from './route.ts'

/** Where spans go. */
export interface Tracing {
  /** Part of the requests whose caller does not say whether they are traced. */
  ratio: number
  /** What makes a moment of process.hrtime.bigint one since 1970. */
  offsetNs: bigint
  add: (span: Span) => void
}

const NO_ERROR = ''

export class Measures {
  readonly #metrics: Metrics
  readonly #requests: Sample
  readonly #logins: Sample
  readonly #tracing: Tracing | undefined

  constructor(metrics: Metrics, tracing?: Tracing) {
    this.#metrics = metrics
    this.#requests = metrics.sample('core.handle_request')
    this.#logins = metrics.sample('core.handle_login_request')
    this.#tracing = tracing
  }

  /**
   * @param begun  as process.hrtime.bigint tells it
   * @param error  code of the refusal; empty when there was none
   */
  handled(
    incoming: Incoming,
    reached: Partial<Pick<Routed, 'mounted' | 'match'>>,
    begun: bigint,
    error = NO_ERROR,
  ): void {
    const { mounted, match } = reached
    const isLogin = match?.path.unauthenticated === true && mounted?.entry.kind === 'auth'
    const ended = process.hrtime.bigint()
    const sample = isLogin ? this.#logins : this.#requests
    sample.add(Number(ended - begun) / 1e6)
    if (this.#tracing) trace(this.#tracing, incoming, reached, { begun, ended, error })
  }

  /** @param method  type of the auth mount */
  tokenMade(method: string, type: string): void {
    this.#metrics.counter('token.creation', method, type).add()
  }
}

/** A span tells which endpoint was asked, never the path: names of secrets stay here. */
function trace(
  { ratio, offsetNs, add }: Tracing,
  { id, operation, headers }: Incoming,
  { mounted, match }: Partial<Pick<Routed, 'mounted' | 'match'>>,
  { begun, ended, error }: { begun: bigint; ended: bigint; error: string },
): void {
  const parent = parseTraceParent(headers['traceparent'])
  if (parent ? !parent.sampled : ratio < 1 && Math.random() >= ratio) return
  const type = mounted?.entry.type ?? 'none'
  const pattern = match?.path.pattern ?? ''
  add({
    traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    parentSpanId: parent?.spanId,
    name: `${operation} ${type}/${pattern}`,
    beginNs: begun + offsetNs,
    endNs: ended + offsetNs,
    attributes: {
      'strongroom.request_id': id,
      'strongroom.operation': operation,
      'strongroom.mount_type': type,
      'strongroom.endpoint': pattern,
      ...(error !== NO_ERROR && { 'error.type': error }),
    },
    failed: error !== NO_ERROR,
  })
}
