/** OTLP/HTTP in its JSON form (opentelemetry-proto 1.x, "JSON Protobuf Encoding"): metrics and spans as bodies. Pure. */
import { Counter, Gauge, Sample } from './metrics/series.ts'
import type { Series } from './metrics/registry.ts'

export interface Span {
  /** 32 hex digits. */
  traceId: string
  /** 16 hex digits. */
  spanId: string
  /** Of the caller, if it told; 16 hex digits. */
  parentSpanId: string | undefined
  name: string
  beginNs: bigint
  endNs: bigint
  attributes: Readonly<Record<string, string | number>>
  failed: boolean
}

export interface Resource {
  service: string
  version: string
  host: string
}

type Attribute = { key: string; value: { stringValue: string } | { intValue: string } }

/** The numbers of the enumerations AggregationTemporality, SpanKind and StatusCode. */
const CUMULATIVE = 2
const KIND_SERVER = 2
const STATUS_ERROR = 2
const QUANTILES = [0.5, 0.9, 0.99]

function attributesOf(pairs: Readonly<Record<string, string | number>>): Attribute[] {
  return Object.entries(pairs).map(([key, value]) => ({
    key,
    // Whole numbers are texts in this encoding, since they have 64 bits.
    value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) },
  }))
}

function resourceOf({ service, version, host }: Resource) {
  return { attributes: attributesOf({ 'service.name': service, 'service.version': version, 'host.name': host }) }
}

/** @param prefix  of every name, with its dot, or empty */
export function metricsBody(
  all: readonly Series[],
  resource: Resource,
  { prefix, startNs, nowNs }: { prefix: string; startNs: bigint; nowNs: bigint },
): string {
  const names = Map.groupBy(all, (series) => series.name)
  const times = { startTimeUnixNano: String(startNs), timeUnixNano: String(nowNs) }
  const metrics = Array.from(names, ([name, some]) => ({
    name: prefix + name,
    description: some[0]!.spec.about,
    ...(some[0]!.spec.kind === 'sample' && { unit: 'ms' }),
    ...dataOf(some, times),
  }))
  const scope = { name: resource.service, version: resource.version }
  return JSON.stringify({ resourceMetrics: [{ resource: resourceOf(resource), scopeMetrics: [{ scope, metrics }] }] })
}

function dataOf(some: readonly Series[], times: { startTimeUnixNano: string; timeUnixNano: string }) {
  const { kind } = some[0]!.spec
  if (kind === 'sample') {
    const dataPoints = some.map(({ labels, value }) => {
      const { windows } = value as Sample
      const quantileValues = QUANTILES.map((quantile) => ({ quantile, value: (value as Sample).quantile(quantile) }))
      const known = quantileValues.filter((each) => Number.isFinite(each.value))
      const told = { count: String(windows.total), sum: windows.totalSum, quantileValues: known }
      return { attributes: attributesOf(labels), ...times, ...told }
    })
    return { summary: { dataPoints } }
  }
  const dataPoints = some.map(({ labels, value }) => ({
    attributes: attributesOf(labels),
    ...times,
    asDouble: value instanceof Counter ? value.total : (value as Gauge).value,
  }))
  if (kind === 'counter') return { sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } }
  return { gauge: { dataPoints } }
}

export function spansBody(spans: readonly Span[], resource: Resource): string {
  const told = spans.map(({ traceId, spanId, parentSpanId, name, beginNs, endNs, attributes, failed }) => ({
    traceId,
    spanId,
    ...(parentSpanId !== undefined && { parentSpanId }),
    name,
    kind: KIND_SERVER,
    startTimeUnixNano: String(beginNs),
    endTimeUnixNano: String(endNs),
    attributes: attributesOf(attributes),
    status: failed ? { code: STATUS_ERROR } : {},
  }))
  const scope = { name: resource.service, version: resource.version }
  return JSON.stringify({ resourceSpans: [{ resource: resourceOf(resource), scopeSpans: [{ scope, spans: told }] }] })
}

export interface TraceParent {
  traceId: string
  spanId: string
  sampled: boolean
}

/** The header `traceparent` (W3C Trace Context, section 3.2); undefined for what is none. */
export function parseTraceParent(text: unknown): TraceParent | undefined {
  if (typeof text !== 'string') return undefined
  const match = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(text)
  if (!match || (text.startsWith('00') && text.length !== 55)) return undefined
  return { traceId: match[1]!, spanId: match[2]!, sampled: (Number.parseInt(match[3]!, 16) & 1) === 1 }
}
