/**
 * At SIGHUP the configuration is read again. Headers that answers have besides are taken over at once, certificates and audit
 * files are opened anew by their names of the start, and the log looks at its level. What else has changed in the files is
 * told, so that nobody believes it to be in force.
 */
import type { Listener } from '#http/server.ts'
import { readConfig, type ServerConfig, type Stanza } from './config.ts'
import { logLine } from './log.ts'
import { responseHeaders } from './response-headers.ts'

const HEADERS = 'custom_response_headers'

const named: Partial<Record<keyof ServerConfig, string>> = {
  storage: 'storage',
  ledgerFolder: 'ledger',
  auditDevices: 'audit',
  userLockout: 'user_lockout',
  seal: 'seal',
  leavingSeal: 'seal',
}

/** Taken over by others when they are changed. */
const followed = new Set(['log_level'])

/** @param listeners  in the order of the stanzas that they were made of */
export function applyChanges(places: readonly string[], running: ServerConfig, listeners: readonly Listener[]): void {
  try {
    const now = readConfig(places)
    takeHeaders(running.listeners, now.listeners, listeners)
    const changed = changes(running, now)
    if (changed.length > 0) logLine(`SIGHUP: takes effect at the next start: ${changed.join(', ')}`)
  } catch (error) {
    logLine(`SIGHUP: the configuration cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** All or none: they are judged before the first is set. */
function takeHeaders(before: readonly Stanza[], now: readonly Stanza[], listeners: readonly Listener[]): void {
  const same = (a: Stanza, b: Stanza) => a.type === b.type && a.options['address'] === b.options['address']
  const found = before.map((stanza) => now.find((each) => same(stanza, each)))
  const headers = found.map((stanza) => stanza && responseHeaders(stanza))
  for (const [at, listener] of listeners.entries()) if (found[at]) listener.setResponseHeaders(headers[at])
}

function changes(running: ServerConfig, now: ServerConfig): string[] {
  const blocks = Object.entries(named).filter(([key]) => {
    const name = key as keyof ServerConfig
    return asText(running[name]) !== asText(now[name])
  })
  const keys = new Set([...Object.keys(running.scalars), ...Object.keys(now.scalars)]).difference(followed)
  const scalars = [...keys].filter((name) => running.scalars[name]?.text !== now.scalars[name]?.text)
  const listeners = asText(running.listeners) === asText(now.listeners) ? [] : ['listener']
  return [...new Set([...blocks.map(([, name]) => name), ...listeners, ...scalars])]
}

/** Where something stands in its file is no part of what it says, and headers are in force already. */
function asText(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown) => (key === 'at' || key === HEADERS ? undefined : each)) ?? ''
}
