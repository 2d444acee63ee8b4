/** `listener` stanzas of the configuration as listeners that answer; certificates are looked at before anything is opened. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { type ListenerOptions, parseAddress, type TlsOptions } from '#http/options.ts'
import { parseDuration } from '#lib/duration.ts'
import { booleanOption, ConfigError, type Stanza } from './config.ts'

/** @throws ConfigError for a stanza that cannot be used */
export function listenerOptions(stanza: Stanza): ListenerOptions {
  const { type, options } = stanza
  if (options['chroot_namespace']) {
    // Left out, it would open to everybody what was meant for one namespace.
    throw refused(stanza, 'chroot_namespace is not available in this version')
  }
  const secure = type === 'tcp' && !booleanOption(stanza, 'tls_disable')
  const socketMode = modeOf(stanza)
  return {
    address: addressOf(stanza),
    ...(secure && { tls: tlsOptions(stanza) }),
    ...(socketMode !== undefined && { socketMode }),
    limits: {
      ...given('maxRequestBytes', wholeNumber(stanza, 'max_request_size')),
      ...given('maxJsonDepth', wholeNumber(stanza, 'max_json_depth')),
      ...given('maxJsonStringBytes', wholeNumber(stanza, 'max_json_string_value_length')),
      ...given('maxJsonObjectEntries', wholeNumber(stanza, 'max_json_object_entry_count')),
      ...given('maxJsonArrayElements', wholeNumber(stanza, 'max_json_array_element_count')),
      ...given('maxRequestSeconds', seconds(stanza, 'max_request_duration')),
      ...given('headerSeconds', seconds(stanza, 'http_read_header_timeout')),
      ...given('readSeconds', seconds(stanza, 'http_read_timeout')),
      ...given('idleSeconds', seconds(stanza, 'http_idle_timeout')),
    },
  }
}

function addressOf(stanza: Stanza): string {
  const address = stanza.options['address']
  if (stanza.type === 'unix') {
    if (!address) throw refused(stanza, 'needs an address: the path of the socket')
    return address.includes('/') ? address : `./${address}`
  }
  const tcp = address || '127.0.0.1:8200'
  let usable = !tcp.includes('/')
  try {
    parseAddress(tcp)
  } catch {
    usable = false
  }
  if (!usable) throw refused(stanza, `address is host:port, such as "127.0.0.1:8200", not "${tcp}"`)
  return tcp
}

function modeOf(stanza: Stanza): number | undefined {
  const text = stanza.options['socket_mode']
  if (text === undefined || text === '') return undefined
  if (!/^0?[0-7]{3}$/.test(text))
    throw refused(stanza, `socket_mode is three octal digits, such as "660", not "${text}"`)
  return Number.parseInt(text, 8)
}

function tlsOptions(stanza: Stanza): TlsOptions {
  const { tls_cert_file: certFile, tls_key_file: keyFile, tls_client_ca_file: clientCaFile } = stanza.options
  if (!certFile || !keyFile)
    throw refused(stanza, 'needs tls_cert_file and tls_key_file; only for tests: tls_disable = true')
  const minVersion = stanza.options['tls_min_version'] || 'tls12'
  if (minVersion !== 'tls12' && minVersion !== 'tls13') {
    throw refused(stanza, `tls_min_version is "tls12" or "tls13", not "${minVersion}"`)
  }
  const requireClientCert = booleanOption(stanza, 'tls_require_and_verify_client_cert')
  const disableClientCerts = booleanOption(stanza, 'tls_disable_client_certs')
  if (requireClientCert && disableClientCerts) {
    throw refused(stanza, 'tls_require_and_verify_client_cert and tls_disable_client_certs exclude each other')
  }
  if (requireClientCert && !clientCaFile) {
    throw refused(
      stanza,
      'tls_require_and_verify_client_cert needs tls_client_ca_file: who may sign client certificates',
    )
  }
  checkFiles(stanza, certFile, keyFile, clientCaFile)
  return { certFile, keyFile, ...(clientCaFile && { clientCaFile }), minVersion, requireClientCert, disableClientCerts }
}

/** The listener reads the files again; here they are only judged, each by its name. */
function checkFiles(stanza: Stanza, certFile: string, keyFile: string, clientCaFile: string | undefined): void {
  const cert = readNamed(stanza, 'tls_cert_file', certFile)
  const key = readNamed(stanza, 'tls_key_file', keyFile)
  const certificate = certificateIn(stanza, 'tls_cert_file', certFile, cert)
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(key)
  } catch {
    // The parser's own text is left out: it is about the bytes of a key.
    throw refused(stanza, `tls_key_file ${keyFile} holds no private key in PEM form (without a passphrase)`)
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw refused(stanza, `tls_key_file ${keyFile} is not the key of the certificate in tls_cert_file ${certFile}`)
  }
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw refused(stanza, `tls_cert_file ${certFile} cannot be used: ${(error as Error).message}`)
  }
  if (clientCaFile) {
    certificateIn(stanza, 'tls_client_ca_file', clientCaFile, readNamed(stanza, 'tls_client_ca_file', clientCaFile))
  }
}

function certificateIn(stanza: Stanza, option: string, file: string, bytes: Buffer): X509Certificate {
  try {
    return new X509Certificate(bytes)
  } catch {
    throw refused(stanza, `${option} ${file} holds no certificate in PEM form`)
  }
}

function readNamed(stanza: Stanza, option: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw refused(stanza, `${option} ${file} cannot be read: ${code === 'ENOENT' ? 'no such file' : code}`)
  }
}

function given<K extends string>(name: K, value: number | undefined): { [P in K]?: number } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: number }
}

/** 0 stands for "as by default", here and in durations. */
function wholeNumber(stanza: Stanza, name: string): number | undefined {
  const text = stanza.options[name]
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text)) throw refused(stanza, `${name} is a whole number, not "${text}"`)
  return Number(text) || undefined
}

function seconds(stanza: Stanza, name: string): number | undefined {
  const text = stanza.options[name]
  if (text === undefined) return undefined
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed < 0) throw refused(stanza, `${name} is a duration such as "90s", not "${text}"`)
  return parsed || undefined
}

function refused({ type, at }: Stanza, message: string): ConfigError {
  return new ConfigError(`${at}: listener "${type}": ${message}`)
}
