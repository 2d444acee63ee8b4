/** Certificates and keys in the forms that a request may ask for. Pure. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { encodePem } from '#lib/x509/pem.ts'
import type { KeyType } from '#lib/x509/algorithms.ts'
import { refuse } from './key-store.ts'

export type Format = 'pem' | 'der' | 'pem_bundle'

export function checkedFormat(format: string): Format {
  if (format === 'pem' || format === 'der' || format === 'pem_bundle') return format
  return refuse('the "format" path parameter must be "pem", "der", or "pem_bundle"')
}

export function checkedKeyFormat(format: string): 'der' | 'pkcs8' {
  if (format === 'pkcs8') return format
  if (format === '' || format === 'der' || format === 'pem') return 'der'
  return refuse('the "private_key_format" path parameter must be "der", "pem" or "pkcs8"')
}

/** The form that OpenSSL's tools have had since ever: PKCS #1 for RSA, SEC 1 for EC; Ed25519 has only PKCS #8. */
export function privateKeyText(key: KeyObject | string, type: KeyType, form: 'der' | 'pkcs8', format: Format): string {
  const kind = form === 'pkcs8' || type === 'ed25519' ? 'pkcs8' : type === 'rsa' ? 'pkcs1' : 'sec1'
  if (typeof key === 'string' && kind !== 'pkcs8' && format !== 'der') return key.trimEnd()
  const object = typeof key === 'string' ? createPrivateKey(key) : key
  if (format === 'der') return object.export({ type: kind, format: 'der' }).toString('base64')
  return (object.export({ type: kind, format: 'pem' }) as string).trimEnd()
}

export function certificateText(der: Buffer, format: Format): string {
  return format === 'der' ? der.toString('base64') : encodePem('CERTIFICATE', der).trimEnd()
}
