/** Certificates and settings of a TLS listener, read from files when it starts and when it is told to read them again. */
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { TlsOptions } from './options.ts'

const protocols = { tls12: 'TLSv1.2', tls13: 'TLSv1.3' } as const

/** @throws Error if a file cannot be read or holds no key or certificate, or if the key is not the certificate's */
export async function readContext(tls: TlsOptions): Promise<SecureContextOptions> {
  const [cert, key, ca] = await Promise.all([
    readFile(tls.certFile),
    readFile(tls.keyFile),
    tls.clientCaFile === undefined ? undefined : readFile(tls.clientCaFile),
  ])
  const context: SecureContextOptions = {
    cert,
    key,
    minVersion: protocols[tls.minVersion ?? 'tls12'],
    maxVersion: protocols[tls.maxVersion ?? 'tls13'],
    ...(tls.ciphers && { ciphers: tls.ciphers.join(':') }),
    ...(ca && { ca }),
  }
  createSecureContext(context)
  return context
}

/** Of the whole server; these stay when certificates are read again. */
export function handshakeOptions(tls: TlsOptions, handshakeMs: number) {
  if (tls.requireClientCert && (tls.disableClientCerts || tls.clientCaFile === undefined)) {
    throw new Error('listener: requiring client certificates needs a client CA file, and that they are not disabled')
  }
  return {
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: handshakeMs,
    requestCert: tls.disableClientCerts !== true,
    rejectUnauthorized: tls.requireClientCert === true,
  }
}
