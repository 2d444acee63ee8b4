/**
 * At SIGHUP the configuration is read again. Certificates and audit files are opened anew by their names of the start; what
 * else has changed in the files is told, so that nobody believes it to be in force.
 */
import { readConfig, type ServerConfig } from './config.ts'
import { logLine } from './log.ts'

const named: Partial<Record<keyof ServerConfig, string>> = {
  storage: 'storage',
  ledgerFolder: 'ledger',
  auditDevices: 'audit',
  seal: 'seal',
  listeners: 'listener',
  defaultLeaseTtlSeconds: 'default_lease_ttl',
  maxLeaseTtlSeconds: 'max_lease_ttl',
  clusterName: 'cluster_name',
  pidFile: 'pid_file',
  maxRequestSeconds: 'default_max_request_duration',
  tellHostname: 'enable_response_header_hostname',
}

export function tellChanges(places: readonly string[], running: ServerConfig): void {
  let now: ServerConfig
  try {
    now = readConfig(places)
  } catch (error) {
    logLine(`SIGHUP: the configuration cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return
  }
  const changed = Object.entries(named).filter(([key]) => {
    const name = key as keyof ServerConfig
    return withoutPlaces(running[name]) !== withoutPlaces(now[name])
  })
  if (changed.length === 0) return
  logLine(`SIGHUP: takes effect at the next start: ${changed.map(([, name]) => name).join(', ')}`)
}

/** Where something stands in its file is no part of what it says. */
function withoutPlaces(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown) => (key === 'at' ? undefined : each)) ?? ''
}
