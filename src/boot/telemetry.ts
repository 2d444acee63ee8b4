/** `telemetry { … }` of the configuration, and that of a listener. */
import { trimLastSlashes } from '#lib/slashes.ts'
import { hostname } from 'node:os'
import type { Naming } from '#lib/metrics/report.ts'
import { parseDuration } from '#lib/duration.ts'
import { isObject } from '#sdk/schema.ts'
import type { OtlpConfig } from './otlp-exporter.ts'
import { booleanOption, ConfigError, type Stanza } from './config.ts'
import { tellUnknown } from './config-keys.ts'
import { DEFAULT_OTLP_SECONDS, DEFAULT_USAGE_SECONDS, telemetryKeys } from './stanza-keys.ts'

export interface TelemetryConfig {
  naming: Naming
  /** Whether the text for Prometheus is given out. */
  prometheus: boolean
  /** How often leases, tokens and entities are counted; 0: never. */
  usageSeconds: number
  otlp?: OtlpConfig
}

const MAX_OTLP_SECONDS = 86_400

export const defaultTelemetry: TelemetryConfig = {
  naming: { prefix: 'vault', host: hostname(), hostLabel: undefined, filters: [], filterDefault: true },
  prometheus: true,
  usageSeconds: DEFAULT_USAGE_SECONDS,
}

/** @throws ConfigError for values that cannot be read */
export function telemetryConfig(stanza: Stanza | undefined, notices: string[]): TelemetryConfig {
  if (!stanza) return defaultTelemetry
  const { options, at } = stanza
  tellUnknown(telemetryKeys, options, at, 'telemetry', notices)
  const usage = options['usage_gauge_period']
  const otlp = otlpOf(stanza)
  return {
    naming: {
      prefix: prefixOf(stanza),
      host: booleanOption(stanza, 'disable_hostname') ? undefined : hostname(),
      hostLabel: booleanOption(stanza, 'enable_hostname_label') ? hostname() : undefined,
      filters: filtersOf(stanza),
      filterDefault: options['filter_default'] === undefined || booleanOption(stanza, 'filter_default'),
    },
    prometheus: seconds(stanza, 'prometheus_retention_time', 1) > 0,
    usageSeconds: usage === 'none' ? 0 : seconds(stanza, 'usage_gauge_period', DEFAULT_USAGE_SECONDS),
    ...(otlp && { otlp }),
  }
}

/** Undefined without an endpoint: then nothing is sent anywhere. */
function otlpOf(stanza: Stanza): OtlpConfig | undefined {
  const { options, at } = stanza
  const endpoint = options['otlp_endpoint']
  if (endpoint === undefined || endpoint === '') return undefined
  const url = URL.parse(endpoint)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new ConfigError(`${at}: otlp_endpoint is an address such as "https://collector.example:4318"`)
  }
  const ratio = options['otlp_trace_ratio'] ?? '1'
  if (!/^(?:0|1|[01]?\.\d+|1\.0+)$/.test(ratio) || Number(ratio) > 1) {
    throw new ConfigError(`${at}: otlp_trace_ratio is a number from 0 to 1, not "${ratio}"`)
  }
  const interval = seconds(stanza, 'otlp_interval', DEFAULT_OTLP_SECONDS)
  if (interval < 1 || interval > MAX_OTLP_SECONDS) throw new ConfigError(`${at}: otlp_interval is 1s to 24h`)
  return {
    endpoint: trimLastSlashes(url.href),
    headers: headersOf(stanza),
    intervalSeconds: interval,
    traceRatio: Number(ratio),
  }
}

/** Values may be keys, so no message quotes them. */
function headersOf({ options, at }: Stanza): Record<string, string> {
  const text = options['otlp_headers']
  if (text === undefined || text === '') return {}
  const found: unknown = listOf(text)
  const object: unknown = Array.isArray(found) && found.length === 1 ? found[0] : found
  const pairs = isObject(object) ? Object.entries(object) : undefined
  const good = pairs?.every(
    ([name, value]) => typeof value === 'string' && /^[\w-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value),
  )
  if (!pairs || !good) throw new ConfigError(`${at}: otlp_headers is a map of names and texts`)
  return Object.fromEntries(pairs) as Record<string, string>
}

function prefixOf({ options, at }: Stanza): string {
  const prefix = options['metrics_prefix'] ?? 'vault'
  if (!/^[a-zA-Z][\w.-]{0,63}$/.test(prefix)) {
    throw new ConfigError(`${at}: metrics_prefix is a word such as "vault", not "${prefix}"`)
  }
  return prefix
}

function filtersOf({ options, at }: Stanza): string[] {
  const text = options['prefix_filter']
  if (text === undefined || text === '') return []
  const filters: unknown = listOf(text)
  const good = Array.isArray(filters) && filters.every((each) => typeof each === 'string' && /^[+-]./.test(each))
  if (!good)
    throw new ConfigError(`${at}: prefix_filter is a list of beginnings such as "+vault.token" or "-vault.expire"`)
  return filters as string[]
}

function listOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No list: told as such by the caller.
    return undefined
  }
}

function seconds({ options, at }: Stanza, name: string, otherwise: number): number {
  const text = options[name]
  if (text === undefined || text === '') return otherwise
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed < 0)
    throw new ConfigError(`${at}: ${name} is a duration such as "24h", not "${text}"`)
  return parsed
}

/** Paths that a listener answers without a token because its configuration says so. */
export function openPaths(stanza: Stanza): string[] {
  const { options, at } = stanza
  return [
    ...(nested('telemetry', 'unauthenticated_metrics_access') ? ['sys/metrics'] : []),
    ...(nested('inflight_requests_logging', 'unauthenticated_in_flight_requests_access') ? ['sys/in-flight-req'] : []),
  ]

  /** A block inside the listener comes as the JSON text of it. */
  function nested(block: string, name: string): boolean {
    const text = options[block]
    if (text === undefined || text === '') return false
    const found: unknown = listOf(text)
    const parts: unknown[] = Array.isArray(found) ? found : [found]
    return parts.some((part) => {
      if (typeof part !== 'object' || part === null) throw new ConfigError(`${at}: ${block} is a block: ${block} { … }`)
      const value = (part as Record<string, unknown>)[name]
      if (value === undefined || value === null) return false
      const said = typeof value === 'string' ? value : JSON.stringify(value)
      return booleanOption({ ...stanza, options: { [name]: said } }, name)
    })
  }
}
