/**
 * What an audit device is to the rest of the system: a place that keeps lines. Format and hashing are core/audit's; a
 * device only has to hold what it was given, in order, before it says so.
 */
import type { WrapInfo } from '#sdk/engine.ts'

export interface AuditDevice {
  /** The longest line it takes; without it, any. */
  maxLineBytes?: number
  /**
   * @param line  one JSON object without a line break
   * @returns when the line is kept: for the ledger and for files, when it is on disk
   * @throws when it is not; the device must then hold either the whole line or nothing of it
   */
  write(line: string): Promise<void>
  /** Many at once, as UTF-8, where that costs less than one after the other. @throws when not all are kept; some may be */
  writeAll?(lines: readonly Buffer[]): Promise<void>
  /** Open files again (after a log rotation). */
  reload(): Promise<void>
  close(): Promise<void>
  /** What is wrong with it right now, for health: undefined while all is well. */
  trouble(): string | undefined
}

/** Makes a device from the options of `sys/audit/<path>`, or refuses them with `invalid_request`. */
export interface AuditDeviceKind {
  name: string
  open(options: Readonly<Record<string, string>>): Promise<AuditDevice>
}

/** Who asked, as audit lines tell it. Snake case since it goes out as it is; secrets are hashed by the formatter. */
export interface AuditAuth {
  client_token?: string
  accessor?: string
  display_name?: string
  policies?: readonly string[]
  token_policies?: readonly string[]
  identity_policies?: readonly string[]
  policy_results?: { allowed: boolean; granting_policies?: { name: string; namespace_id: string; type: string }[] }
  metadata?: Readonly<Record<string, string>>
  remaining_uses?: number
  entity_id?: string
  /** This log-in made the entity. */
  entity_created?: boolean
  no_default_policy?: boolean
  token_type: string
  token_ttl?: number
  /** RFC 3339 in whole seconds. */
  token_issue_time?: string
}

/** One event: a request before it is carried out, or its response before it leaves. Values of `data` are raw. */
export interface AuditEvent {
  type: 'request' | 'response'
  at: Date
  auth: AuditAuth
  request: {
    id: string
    client_id?: string | undefined
    operation: string
    mount_point?: string | undefined
    mount_type?: string | undefined
    mount_accessor?: string | undefined
    mount_running_version?: string | undefined
    mount_class?: string | undefined
    client_token?: string | undefined
    client_token_accessor?: string | undefined
    namespace: { id: string; path?: string }
    path: string
    data?: Readonly<Record<string, unknown>> | undefined
    headers?: Readonly<Record<string, string[]>> | undefined
    remote_address?: string | undefined
    remote_port?: number | undefined
    wrap_ttl?: number | undefined
    /** Not written themselves: members of `data`, and names of `headers`, that are told as they are. */
    clearData?: readonly string[] | undefined
    clearHeaders?: readonly string[] | undefined
  }
  response?: {
    /** A token was made: its auth block, with client_token and accessor hashed. */
    auth?: (AuditAuth & { num_uses?: number }) | undefined
    mount_point?: string | undefined
    mount_type?: string | undefined
    mount_accessor?: string | undefined
    mount_running_plugin_version?: string | undefined
    mount_class?: string | undefined
    secret?: { lease_id: string } | undefined
    data?: Readonly<Record<string, unknown>> | undefined
    warnings?: readonly string[] | undefined
    wrap_info?: WrapInfo | undefined
    headers?: Readonly<Record<string, string[]>> | undefined
    /** Not written itself: members of `data` that are told as they are. */
    clearData?: readonly string[] | undefined
  }
  error?: string
  /** Ours: why, in full, where the client was told less. */
  reason?: string
}
