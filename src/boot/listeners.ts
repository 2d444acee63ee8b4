/** `listener` stanzas of the configuration as listeners that answer. */
import type { ListenerOptions } from '#http/options.ts'
import { parseDuration } from '#lib/duration.ts'
import { ConfigError, type ListenerConfig } from './config.ts'

/** @throws ConfigError for a stanza that cannot be used */
export function listenerOptions({ type, options }: ListenerConfig): ListenerOptions {
  const address = options['address'] ?? (type === 'unix' ? undefined : '127.0.0.1:8200')
  if (!address) throw new ConfigError('listener "unix" needs an address: the path of the socket')
  const tls = type === 'tcp' && options['tls_disable'] !== 'true' && options['tls_disable'] !== '1'
  return {
    address,
    ...(tls && { tls: tlsOptions(options) }),
    limits: {
      ...given('maxRequestBytes', wholeNumber(options, 'max_request_size')),
      ...given('maxJsonDepth', wholeNumber(options, 'max_json_depth')),
      ...given('maxJsonStringBytes', wholeNumber(options, 'max_json_string_value_length')),
      ...given('maxJsonObjectEntries', wholeNumber(options, 'max_json_object_entry_count')),
      ...given('maxJsonArrayElements', wholeNumber(options, 'max_json_array_element_count')),
      ...given('maxRequestSeconds', seconds(options, 'max_request_duration')),
      ...given('headerSeconds', seconds(options, 'http_read_header_timeout')),
      ...given('readSeconds', seconds(options, 'http_read_timeout')),
      ...given('idleSeconds', seconds(options, 'http_idle_timeout')),
    },
  }
}

function tlsOptions(options: Record<string, string>): NonNullable<ListenerOptions['tls']> {
  const { tls_cert_file: certFile, tls_key_file: keyFile, tls_client_ca_file: clientCaFile } = options
  if (!certFile || !keyFile) {
    throw new ConfigError('a listener needs tls_cert_file and tls_key_file; only for tests: tls_disable = true')
  }
  const minVersion = options['tls_min_version']
  if (minVersion !== undefined && minVersion !== 'tls12' && minVersion !== 'tls13') {
    throw new ConfigError(`tls_min_version is "tls12" or "tls13", not "${minVersion}"`)
  }
  return {
    certFile,
    keyFile,
    ...(clientCaFile !== undefined && { clientCaFile }),
    ...(minVersion !== undefined && { minVersion }),
    requireClientCert: options['tls_require_and_verify_client_cert'] === 'true',
    disableClientCerts: options['tls_disable_client_certs'] === 'true',
  }
}

function given<K extends string>(name: K, value: number | undefined): { [P in K]?: number } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: number }
}

function wholeNumber(options: Record<string, string>, name: string): number | undefined {
  const text = options[name]
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text) || Number(text) === 0) throw new ConfigError(`${name} is a whole number above 0, not "${text}"`)
  return Number(text)
}

function seconds(options: Record<string, string>, name: string): number | undefined {
  const text = options[name]
  if (text === undefined) return undefined
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed <= 0) throw new ConfigError(`${name} is a duration such as "90s", not "${text}"`)
  return parsed
}
