/**
 * Every number that this server collects, by the names of the Vault API where it has one. docs/metrics.md is made of this.
 * Labels are words of the configuration or of the API, never of a request: no path, no name of a user, no address.
 */
import { type MetricSpec, Registry } from '#lib/metrics/registry.ts'

const counter = (about: string, ...labels: string[]) =>
  ({ kind: 'counter', about, labels }) as const satisfies MetricSpec
const sample = (about: string, ...labels: string[]) => ({ kind: 'sample', about, labels }) as const satisfies MetricSpec
const gauge = (about: string, ...labels: string[]) => ({ kind: 'gauge', about, labels }) as const satisfies MetricSpec

export const metricCatalog = {
  'audit.log_request': sample('Time until request lines were held by all audit devices; one in seven is timed.'),
  'audit.log_request_failure': counter('Request lines that could not be held.'),
  'audit.log_response': sample('Time until response lines were held by all audit devices; one in seven is timed.'),
  'audit.log_response_failure': counter('Response lines that could not be held.'),
  'barrier.get': sample('Time of reading one entry; one in eight is timed.'),
  'barrier.list': sample('Time of listing names.'),
  'barrier.put': sample('Time of one change in the store, until it is durable.'),
  'cache.hit': counter('Reads of shared entries that were decoded already.'),
  'cache.miss': counter('Reads of shared entries that had to be decrypted and decoded.'),
  'core.active': gauge('1: this node serves requests.'),
  'core.handle_login_request': sample('Time of log-ins.'),
  'core.handle_request': sample('Time of requests behind the barrier.'),
  'core.in_flight_requests': gauge('Requests that are being answered.'),
  'core.response_status_code': counter('Answers by status.', 'code', 'type'),
  'core.unsealed': gauge('1: unsealed.'),
  'expire.num_irrevocable_leases': gauge('Leases that could not be taken back.'),
  'expire.num_leases': gauge('Leases, those of tokens among them.'),
  'identity.num_entities': gauge('Entities.'),
  'quota.lease_count.counter': gauge('Leases that a quota holds.', 'name'),
  'quota.lease_count.max': gauge('Leases that a quota allows.', 'name'),
  'quota.lease_count.violation': counter('Requests that a lease quota refused.', 'name'),
  'quota.rate_limit.violation': counter('Requests that a rate quota refused.', 'name'),
  'runtime.alloc_bytes': gauge('Bytes of the JavaScript heap in use.'),
  'runtime.cpu_seconds': counter('Processor time of this process.'),
  'runtime.event_loop_delay_max': gauge('Longest wait of the event loop in the last window, in milliseconds.'),
  'runtime.event_loop_delay_mean': gauge('Mean wait of the event loop in the last window, in milliseconds.'),
  'runtime.sys_bytes': gauge('Bytes of memory that this process holds.'),
  'runtime.total_gc_pause_ns': counter('Time of garbage collections, in nanoseconds.'),
  'runtime.total_gc_runs': counter('Garbage collections.'),
  'telemetry.spans_dropped': counter('Spans that could not be sent.'),
  'token.count': gauge('Service tokens.'),
  'token.creation': counter('Tokens made, by auth method and type.', 'auth_method', 'token_type'),
} as const satisfies Record<string, MetricSpec>

export type MetricName = keyof typeof metricCatalog

export class Metrics extends Registry<MetricName> {
  constructor() {
    super(metricCatalog)
  }
}
