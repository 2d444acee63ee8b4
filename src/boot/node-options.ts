/** What one server is told at its start. */
import type { LockoutConfig } from '#core/lockout.ts'
import type { SealConfig } from '#seal/seal.ts'
import type { drivers } from '#storage/registry.ts'
import type { Clock } from '#sdk/engine.ts'
import type { DeclaredDevice } from './declared-devices.ts'
import type { ServerLog } from './log.ts'
import type { TelemetryConfig } from './telemetry.ts'

export interface NodeOptions {
  storage: { type: keyof typeof drivers; options: Record<string, string> }
  ledgerFolder: string | undefined
  seal: SealConfig
  defaultLeaseTtlSeconds: number
  maxLeaseTtlSeconds: number
  clusterName?: string | undefined
  /** Whether `sys/rekey/` answers without a token, as the API has it. */
  unauthedRekey?: boolean
  /** Where clients reach this server, as it tells others; empty: not known. */
  apiAddress?: string | undefined
  /** Enabled at unseal when they are not there. */
  auditDevices?: readonly DeclaredDevice[]
  telemetry?: TelemetryConfig
  /** Threads that answer requests; 1 unless given, and with any store but the embedded one. */
  workers?: number | undefined
  /** When users are locked out, by auth method; and whether they are at all. */
  userLockout?: LockoutConfig
  disableUserLockout?: boolean
  clock?: Clock
  /** Lower-case names of headers that listeners set by their configuration. */
  fixedHeaders?: ReadonlySet<string>
  /** The server's own log: one line of text, no secrets. */
  log: (text: string) => void
  /** The same log with all it can do: levels, and readers that follow it. */
  serverLog?: ServerLog
  /** The configuration without its secrets, as operators may read it. */
  configState?: Record<string, unknown>
}
