/**
 * Keys of configuration files, by what they do here: `config.ts` reads by them, and the reference of the configuration is made
 * of them. Pure data.
 */

export interface Key {
  about: string
  /** As it would be written. */
  default?: string
}

export interface Spread {
  used: Readonly<Record<string, Key>>
  /** Taken in silence: nothing is missing without them. */
  meaningless: ReadonlySet<string>
  /** Somebody who wrote them expects something that this server does not do: told at the start. `x_*`: all that begin so. */
  withoutEffect: ReadonlySet<string>
}

export type Effect = 'used' | 'meaningless' | 'none' | 'unknown'

export function effectOf({ used, meaningless, withoutEffect }: Spread, name: string): Effect {
  if (Object.hasOwn(used, name)) return 'used'
  if (meaningless.has(name)) return 'meaningless'
  if (withoutEffect.has(name) || withoutEffect.has(name.replace(/_.*$/s, '_*'))) return 'none'
  return 'unknown'
}

/** Keys of a block that nobody reads. */
export function tellUnknown(
  keys: Spread,
  options: Readonly<Record<string, string>>,
  at: string,
  block: string,
  notices: string[],
): void {
  for (const name of Object.keys(options)) {
    const effect = effectOf(keys, name)
    if (effect === 'none') notices.push(`${at}: ${block}: "${name}" has no effect in this version`)
    if (effect === 'unknown') notices.push(`${at}: unknown key "${name}" of ${block} is ignored`)
  }
}

const none: ReadonlySet<string> = new Set()

export const topKeys: Spread = {
  used: {
    storage: { about: 'Where the data is kept: a block.' },
    backend: { about: 'Older name of `storage`.' },
    listener: { about: 'Where requests are taken: a block for each address. One is needed.' },
    seal: { about: 'What unseals the server without people: a block. Without it people do, with their shares.' },
    ledger: { about: 'Where the ledger is kept: a block.' },
    audit: { about: 'An audit device that is enabled at the first unseal: a block for each.' },
    telemetry: { about: 'How metrics are told, and where they are sent: a block.' },
    user_lockout: { about: 'When those who fail to log in are locked out: a block for each auth method, or for all.' },
    default_lease_ttl: { about: 'How long tokens and leases live unless something says otherwise.', default: '768h' },
    max_lease_ttl: { about: 'How long they can live at most, unless a mount says otherwise.', default: '768h' },
    cluster_name: { about: 'Name of the cluster, given to it when it is initialised.', default: 'made up' },
    api_addr: { about: 'Address of this server for clients, as `sys/ha-status` tells it.' },
    disable_unauthed_rekey_endpoints: {
      about: 'Starting and cancelling a rekey needs a token. Counts if it is set here or in any listener.',
      default: 'false',
    },
    pid_file: { about: 'File that the number of the process is written to while the server runs.' },
    workers: { about: 'Threads that answer requests, 1 to 64, or `auto` for one on each core.', default: '1' },
    default_max_request_duration: {
      about: 'How long a request may take, for listeners that do not say it.',
      default: '90s',
    },
    enable_response_header_hostname: {
      about: 'Each answer names this machine in the header X-Vault-Hostname.',
      default: 'false',
    },
    log_level: {
      about: 'How much the log tells: trace, debug, info, warn or error. Read again at SIGHUP.',
      default: 'info',
    },
    log_format: { about: 'Lines of the log: standard or json.', default: 'standard' },
    log_file: { about: 'A file that the log is kept in besides, or a folder for it.' },
    log_rotate_duration: { about: 'Age at which a new file is begun.', default: '24h' },
    log_rotate_bytes: { about: 'Size at which a new file is begun; 0: however large.', default: '0' },
    log_rotate_max_files: { about: 'How many older files are kept; 0: all, -1: none.', default: '0' },
  },
  meaningless: new Set([
    'cluster_addr',
    'disable_mlock',
    'disable_cache',
    'cache_size',
    'ui',
    'plugin_directory',
    'plugin_file_uid',
    'plugin_file_permissions',
    'enable_response_header_raft_node_id',
    'disable_performance_standby',
    'disable_sealwrap',
    'license_path',
    'disable_printable_check',
    'unsafe_allow_api_audit_creation',
    'disable_clustering',
    'ha_storage',
    'ha_backend',
    'detect_deadlocks',
    'imprecise_lease_role_tracking',
    'raw_storage_endpoint',
    'introspection_endpoint',
    'experiments',
    'enable_post_unseal_trace',
    'post_unseal_trace_directory',
  ]),
  withoutEffect: new Set([
    'service_registration',
    'administrative_namespace_path',
    'allow_audit_log_prefixing',
    'initialize',
    'plugin',
    'reporting',
    'kms_library',
    'entropy',
  ]),
}

/** Of `storage "sqlite"`; those of `"file"` and `"raft"` are only read for their path. */
export const storageKeys: Spread = {
  used: { path: { about: 'Folder of the data. It is made if it is not there. Needed.' } },
  meaningless: none,
  withoutEffect: none,
}

/** Of `storage "postgres"`, which `"postgresql"` is another name of. */
export const postgresKeys: Spread = {
  used: {
    connection_url: {
      about: 'Where the database is: a URL, or words such as `host=… user=…`. `PG…` variables fill in.',
    },
    table: { about: 'Table of the entries. Those of the head and the feed are named after it.', default: 'strongroom' },
    max_parallel: { about: 'The most connections for reading. Two more are for writing and listening.', default: '16' },
    max_idle_connections: { about: 'How many connections for reading stay open.', default: '4' },
    max_connect_retries: { about: 'How often the first connection is tried.', default: '1' },
    max_staleness: { about: 'How old what is served from memory may be: `50ms` to `60s`.', default: '1s' },
    skip_create_table: { about: 'Make no tables; end if they are not there.', default: 'false' },
  },
  // Every node serves, so there is nothing to elect.
  meaningless: new Set(['ha_enabled', 'ha_table']),
  withoutEffect: none,
}

export const ledgerKeys: Spread = {
  used: {
    path: {
      about: 'Folder of the ledger. Needed in this block.',
      default: '`ledger` in the folder of the data; with a database, `strongroom-ledger` in the working folder',
    },
  },
  meaningless: none,
  withoutEffect: none,
}

export const auditKeys: Spread = {
  used: {
    description: { about: 'What the device is for.' },
    options: { about: 'A block with the options of the device, as `strongroom audit enable` takes them.' },
  },
  meaningless: new Set(['local']),
  withoutEffect: none,
}
