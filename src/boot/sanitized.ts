/**
 * The configuration as `sys/config/state/sanitized` tells it, with the names of the Vault API. What may hold a secret is
 * left out: options of storage, of seals and of audit devices.
 */
import { type ServerConfig, truthOf } from './config.ts'
import { wireNames } from './storage-names.ts'

export function sanitizedConfig(config: ServerConfig): Record<string, unknown> {
  const text = (name: string) => config.scalars[name]?.text ?? ''
  const flag = (name: string) => truthOf(text(name)) ?? false
  return {
    api_addr: text('api_addr'),
    cache_size: Number(text('cache_size')) || 0,
    cluster_addr: text('cluster_addr'),
    cluster_cipher_suites: '',
    cluster_name: text('cluster_name'),
    default_lease_ttl: text('default_lease_ttl') === '' ? 0 : config.defaultLeaseTtlSeconds,
    default_max_request_duration: 0,
    disable_cache: flag('disable_cache'),
    disable_clustering: flag('disable_clustering'),
    disable_indexing: false,
    disable_mlock: flag('disable_mlock'),
    disable_performance_standby: flag('disable_performance_standby'),
    disable_printable_check: flag('disable_printable_check'),
    disable_sealwrap: flag('disable_sealwrap'),
    enable_response_header_hostname: flag('enable_response_header_hostname'),
    enable_response_header_raft_node_id: flag('enable_response_header_raft_node_id'),
    enable_ui: flag('ui'),
    experiments: null,
    introspection_endpoint: flag('introspection_endpoint'),
    listeners: config.listeners.map(({ type, options }) => ({ type, config: options })),
    log_format: text('log_format'),
    log_level: text('log_level'),
    max_lease_ttl: text('max_lease_ttl') === '' ? 0 : config.maxLeaseTtlSeconds,
    pid_file: text('pid_file'),
    plugin_directory: text('plugin_directory'),
    plugin_file_permissions: 0,
    plugin_file_uid: 0,
    raw_storage_endpoint: flag('raw_storage_endpoint'),
    seals: [{ disabled: false, type: config.seal?.type ?? 'shamir' }],
    storage: {
      cluster_addr: text('cluster_addr'),
      disable_clustering: flag('disable_clustering'),
      redirect_addr: text('api_addr'),
      type: wireNames[config.storage.type],
    },
  }
}
