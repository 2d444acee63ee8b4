/** `sys/metrics`: numbers about the server, as JSON of the Vault API or as text for Prometheus. */
import { jsonReport, type Naming, prometheusText } from '#lib/metrics/report.ts'
import { type Clock, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Metrics } from '#sdk/metrics.ts'
import type { Fields } from '#sdk/schema.ts'

export interface MetricsServices {
  metrics: Metrics
  clock: Clock
  /** What other threads of this server counted is among the numbers then. */
  collect?: () => Promise<void>
  telemetry: { naming: Naming; prometheus: boolean }
}

const fields = {
  format: { type: 'string', about: '`prometheus` for its text format, else JSON.', default: '', query: true },
} as const satisfies Fields

/** @param route  `sys/` where the path stands by itself, before the barrier */
export function metricsPath(services: MetricsServices, route = ''): Path {
  return {
    pattern: `${route}metrics`,
    readsOnly: true,
    operations: {
      read: endpoint('Numbers about this server.', fields, async ({ data, headers }) => {
        await services.collect?.()
        return report(services, data.format, headers?.['accept'])
      }),
    },
  }
}

function report(services: MetricsServices, format: string, accept: unknown): Reply {
  const { metrics, clock, telemetry } = services
  // Prometheus asks by what it accepts, and for its own text formats only.
  const asked = format === '' && typeof accept === 'string' && accept.startsWith('application/openmetrics-text')
  if (format !== 'prometheus' && !asked) {
    if (format !== '') throw new ApiError('invalid_request', `metric response format ${JSON.stringify(format)} unknown`)
    const body = `${JSON.stringify(jsonReport(metrics.all(), telemetry.naming, clock.now()))}\n`
    return { raw: { contentType: 'application/json', body } }
  }
  if (!telemetry.prometheus) throw new ApiError('invalid_request', 'prometheus is not enabled')
  return {
    raw: {
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      body: prometheusText(metrics.all(), telemetry.naming),
    },
  }
}
