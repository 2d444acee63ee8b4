/** Keys of `listener` blocks. Pure data, as in config-keys.ts. */
import { defaultLimits } from '#http/options.ts'
import type { Key, Spread } from './config-keys.ts'

const limits: Readonly<Record<string, Key>> = {
  max_request_size: { about: 'Bytes that a request may have.', default: String(defaultLimits.maxRequestBytes) },
  max_request_duration: { about: 'How long a request may take.', default: `${defaultLimits.maxRequestSeconds}s` },
  max_json_depth: { about: 'How deep a body may be nested.', default: String(defaultLimits.maxJsonDepth) },
  max_json_string_value_length: {
    about: 'Bytes that a text in a body may have.',
    default: String(defaultLimits.maxJsonStringBytes),
  },
  max_json_object_entry_count: {
    about: 'Names that an object in a body may have.',
    default: String(defaultLimits.maxJsonObjectEntries),
  },
  max_json_array_element_count: {
    about: 'Elements that a list in a body may have.',
    default: String(defaultLimits.maxJsonArrayElements),
  },
  http_read_header_timeout: {
    about: 'How long the headers of a request may take, and a TLS handshake.',
    default: `${defaultLimits.headerSeconds}s`,
  },
  http_read_timeout: { about: 'How long a request may take to arrive.', default: `${defaultLimits.readSeconds}s` },
  http_idle_timeout: {
    about: 'How long a connection without a request is kept.',
    default: `${defaultLimits.idleSeconds}s`,
  },
}

const tls: Readonly<Record<string, Key>> = {
  tls_disable: {
    about: 'Speak HTTP without TLS. Only for tests, or behind something that speaks TLS.',
    default: 'false',
  },
  tls_cert_file: { about: 'PEM file with the certificate of the server, and those above it. Read again at SIGHUP.' },
  tls_key_file: { about: 'PEM file with the private key of that certificate, not encrypted.' },
  tls_client_ca_file: { about: 'PEM file with those who may sign certificates of clients.' },
  tls_min_version: { about: 'tls12 or tls13.', default: 'tls12' },
  tls_max_version: { about: 'tls12 or tls13.' },
  tls_cipher_suites: {
    about: 'Suites of TLS 1.2, by their names as of IANA, by preference.',
    default: 'those of Node',
  },
  tls_require_and_verify_client_cert: {
    about: 'Take only clients with a certificate that tls_client_ca_file has signed.',
    default: 'false',
  },
  tls_disable_client_certs: { about: 'Do not ask clients for a certificate.', default: 'false' },
}

const proxies: Readonly<Record<string, Key>> = {
  proxy_protocol_behavior: {
    about: 'Whether connections may begin with a PROXY header: use_always, allow_authorized or deny_unauthorized.',
  },
  proxy_protocol_authorized_addrs: { about: 'Addresses and ranges whose PROXY headers are believed.' },
  x_forwarded_for_authorized_addrs: {
    about: 'Addresses and ranges whose X-Forwarded-For is believed. Without any it means nothing.',
  },
  x_forwarded_for_hop_skips: { about: 'How many addresses from the right are passed over.', default: '0' },
  x_forwarded_for_reject_not_authorized: { about: 'Refuse that header from anybody else.', default: 'true' },
  x_forwarded_for_reject_not_present: { about: 'Refuse requests without it.', default: 'true' },
  x_forwarded_for_client_cert_header: { about: 'Header in which such a proxy hands on the certificate of the client.' },
  x_forwarded_for_client_cert_header_decoders: {
    about: 'How that header is read, step by step: URL, BASE64, DER.',
  },
}

export const listenerKeys: Spread = {
  used: {
    address: { about: 'Of "tcp": host:port. Of "unix": the path of the socket.', default: '127.0.0.1:8200' },
    ...tls,
    socket_mode: { about: 'Of "unix": permissions of the socket, in octal.', default: 'only its owner' },
    socket_user: { about: 'Of "unix": whom the socket is given to, a name or a number.' },
    socket_group: { about: 'Of "unix": the group that it is given to.' },
    ...limits,
    ...proxies,
    redact_addresses: { about: 'Answers that need no token leave addresses out.', default: 'false' },
    redact_cluster_name: { about: 'They leave the name and id of the cluster out.', default: 'false' },
    redact_version: { about: 'They leave the version out.', default: 'false' },
    custom_response_headers: {
      about:
        'A block with headers for answers, by status: default, a class such as 4xx, or a status. Read again at SIGHUP.',
    },
    cors_enabled: { about: 'Let pages of other origins ask, where `sys/config/cors` says nothing.', default: 'false' },
    cors_allowed_origins: { about: 'Which origins; * for all.' },
    cors_allowed_headers: { about: 'Headers that such requests may carry besides the usual ones.' },
    telemetry: {
      about: 'A block: with unauthenticated_metrics_access = true this listener answers `sys/metrics` without a token.',
    },
    inflight_requests_logging: {
      about:
        'A block: with unauthenticated_in_flight_requests_access = true this listener answers `sys/in-flight-req` without a token.',
    },
    disable_unauthed_rekey_endpoints: {
      about: 'Starting and cancelling a rekey needs a token, at every listener.',
      default: 'false',
    },
    chroot_namespace: { about: 'Refused: there are no namespaces to shut it into.' },
  },
  meaningless: new Set([
    'type',
    'purpose',
    'cluster_address',
    'tls_prefer_server_cipher_suites',
    'http_write_timeout',
    'profiling',
    'disable_replication_status_endpoints',
  ]),
  withoutEffect: new Set(['tls_acme_ca_directory', 'tls_acme_domains', 'tls_acme_email', 'tls_acme_cache_path']),
}
