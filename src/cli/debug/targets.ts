/** What `debug` can look at. */

export const allTargets = ['config', 'host', 'log', 'metrics', 'requests', 'server-status'] as const

export type Target = (typeof allTargets)[number]

interface Look {
  file: string
  /** Asked one after the other; of several, each is told under its name. */
  paths: Readonly<Record<string, string>>
  query?: Record<string, string>
  /** It does not change: one look is enough. */
  once?: true
}

/** Statuses would otherwise say how the server is doing, and not be answers. */
const alwaysOk = { activecode: '200', standbycode: '200', sealedcode: '200', uninitcode: '200', haunhealthycode: '200' }

export const looks: Readonly<Record<Exclude<Target, 'log'>, Look>> = {
  config: { file: 'config.json', paths: { config: 'sys/config/state/sanitized' }, once: true },
  host: { file: 'host_info.json', paths: { host_info: 'sys/host-info' } },
  metrics: { file: 'metrics.json', paths: { metrics: 'sys/metrics' } },
  requests: { file: 'requests.json', paths: { requests: 'sys/in-flight-req' } },
  'server-status': {
    file: 'server_status.json',
    paths: { health: 'sys/health', seal: 'sys/seal-status' },
    query: alwaysOk,
  },
}
