/** Keys of `telemetry` and `user_lockout` blocks, and of the options of audit devices. Pure data, as in config-keys.ts. */
import { usualRules } from '#core/lockout.ts'
import type { Spread } from './config-keys.ts'

export const DEFAULT_USAGE_SECONDS = 600
export const DEFAULT_OTLP_SECONDS = 10

export const telemetryKeys: Spread = {
  used: {
    usage_gauge_period: {
      about: 'How often leases, tokens and entities are counted; `none`: never.',
      default: `${DEFAULT_USAGE_SECONDS}s`,
    },
    disable_hostname: { about: 'Gauges do not begin with the name of this machine.', default: 'false' },
    enable_hostname_label: { about: 'All metrics have the name of this machine as a label.', default: 'false' },
    metrics_prefix: { about: 'What all names begin with.', default: 'vault' },
    filter_default: { about: 'Whether metrics are told that no prefix_filter speaks of.', default: 'true' },
    prefix_filter: {
      about: 'Beginnings of names to tell or not, such as "+vault.token" or "-vault.expire". The longest counts.',
    },
    prometheus_retention_time: {
      about: 'With 0 the text for Prometheus is not given. Other times change nothing: numbers do not fade.',
    },
    otlp_endpoint: { about: 'Address of an OpenTelemetry collector (OTLP/HTTP). Without it nothing is sent anywhere.' },
    otlp_headers: { about: 'A map of headers that the collector asks for. They may be secret, and are told nowhere.' },
    otlp_interval: { about: 'How often metrics are sent, from 1s to 24h.', default: `${DEFAULT_OTLP_SECONDS}s` },
    otlp_trace_ratio: {
      about: 'Part of the requests that are told as spans, 0 to 1, where the caller does not say.',
      default: '1',
    },
  },
  meaningless: new Set(['maximum_gauge_cardinality']),
  withoutEffect: new Set([
    'statsd_*',
    'statsite_*',
    'dogstatsd_*',
    'circonus_*',
    'stackdriver_*',
    'lease_metrics_epsilon',
    'num_lease_metrics_buckets',
    'add_lease_metrics_namespace_labels',
    'add_mount_point_rollback_metrics',
  ]),
}

/** Of a device `file`, in the configuration and as `sys/audit/PATH` takes them. The device reads them, not config.ts. */
export const fileDeviceKeys: Spread = {
  used: {
    file_path: { about: 'The file; `stdout` for standard output, `discard` to keep nothing. Needed.' },
    path: { about: 'Another name of `file_path`.' },
    mode: { about: 'Permissions of the file, in octal; 0000: as they are.', default: '0600' },
    prefix: { about: 'What stands before each line.' },
    format: { about: 'Only json.', default: 'json' },
    log_raw: {
      about: 'Values are told in clear rather than as keyed hashes: the file is then full of secrets.',
      default: 'false',
    },
    hmac_accessor: { about: 'Accessors of tokens are hashed.', default: 'true' },
    elide_list_responses: { about: 'Of listings only the number of names is told.', default: 'false' },
  },
  meaningless: new Set(),
  withoutEffect: new Set(),
}

export const lockoutKeys: Spread = {
  used: {
    lockout_threshold: { about: 'Failures in a row that lock a user out.', default: String(usualRules.threshold) },
    lockout_duration: { about: 'For how long.', default: `${usualRules.durationSeconds}s` },
    lockout_counter_reset: {
      about: 'Time without a failure after which those before it are forgotten.',
      default: `${usualRules.counterResetSeconds}s`,
    },
    disable_lockout: { about: 'Lock nobody out.', default: 'false' },
  },
  meaningless: new Set(),
  withoutEffect: new Set(),
}
