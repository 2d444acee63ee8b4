/** The TLS part of a `listener` stanza; its files are looked at before anything is opened. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { TlsOptions } from '#http/options.ts'
import { booleanOption, type Stanza } from './config.ts'
import { listOption, refused } from './listener-refusal.ts'

export function tlsOptions(stanza: Stanza): TlsOptions {
  const { tls_cert_file: certFile, tls_key_file: keyFile, tls_client_ca_file: clientCaFile } = stanza.options
  if (!certFile || !keyFile)
    throw refused(stanza, 'needs tls_cert_file and tls_key_file; only for tests: tls_disable = true')
  const minVersion = versionOption(stanza, 'tls_min_version', 'tls12')
  const maxVersion = versionOption(stanza, 'tls_max_version', undefined)
  if (minVersion === 'tls13' && maxVersion === 'tls12') {
    throw refused(stanza, 'tls_max_version is below tls_min_version')
  }
  const ciphers = cipherSuites(stanza)
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
  return {
    certFile,
    keyFile,
    ...(clientCaFile && { clientCaFile }),
    minVersion,
    ...(maxVersion && { maxVersion }),
    ...(ciphers && { ciphers }),
    requireClientCert,
    disableClientCerts,
  }
}

/** Older ones are not secure, and not here. */
function versionOption<D>(stanza: Stanza, option: string, otherwise: D): 'tls12' | 'tls13' | D {
  const version = stanza.options[option]
  if (version === undefined || version === '') return otherwise
  if (version !== 'tls12' && version !== 'tls13') {
    throw refused(stanza, `${option} is "tls12" or "tls13", not "${version}"`)
  }
  return version
}

const tls13Suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']

/** IANA's names of suites of TLS 1.2 (RFC 5246, 5289, 7905), by OpenSSL's. Those with RC4 and 3DES are left out. */
const suites: Record<string, string> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
}

/** As in Go, the list bounds TLS 1.2 only: its names of TLS 1.3 are taken and change nothing. */
function cipherSuites(stanza: Stanza): string[] | undefined {
  const names = listOption(stanza, 'tls_cipher_suites')
  const unknown = names.find((name) => !Object.hasOwn(suites, name) && !tls13Suites.includes(name))
  if (unknown !== undefined) throw refused(stanza, `tls_cipher_suites: unsupported cipher "${unknown}"`)
  const known = names.filter((name) => Object.hasOwn(suites, name)).map((name) => suites[name]!)
  return known.length === 0 ? undefined : known
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
