/** Requests for certificates (PKCS #10) as clients send them: read, and judged as far as they alone can be. */
import { keyBitsOf, keyTypeOf, type KeyType } from '#lib/x509/algorithms.ts'
import { oids } from '#lib/x509/extensions.ts'
import { parsePem } from '#lib/x509/pem.ts'
import { readRequest, type ReadRequest, signedBy } from '#lib/x509/read.ts'
import { refuse } from './key-store.ts'

export const csrField = { type: 'string', about: 'The request, in PEM.', default: '' } as const

const MIN_RSA_BITS = 2048

/** @throws ApiError for one that cannot be read, is not signed by its own key, or whose key is weak */
export function readCsr(pem: string): ReadRequest {
  if (pem === '') refuse('"csr" is empty')
  const block = parsePem(pem)?.[0]
  if (!block) return refuse('csr contains no data')
  const read = readRequest(block.bytes)
  if (!read.ok) return refuse(`certificate request could not be parsed: ${read.message}`)
  if (!signedBy(read.value, read.value.key)) refuse('request signature invalid')
  kindOf(read.value)
  return read.value
}

function kindOf({ key }: ReadRequest): { type: KeyType; bits: number } {
  const type = keyTypeOf(key)
  if (type === undefined) return refuse('certificate request has a key of an unsupported type')
  const bits = keyBitsOf(key)
  if (type === 'rsa' && bits < MIN_RSA_BITS) {
    refuse(`a minimum of a ${MIN_RSA_BITS}-bit key is required, but CSR's key is ${bits} bits`)
  }
  return { type, bits }
}

/** @throws ApiError when the role asks for another key */
export function checkKind(csr: ReadRequest, role: { key_type: string; key_bits: number }): void {
  const { type, bits } = kindOf(csr)
  if (role.key_type === 'any') return
  if (type !== role.key_type) refuse(`role requires keys of type ${role.key_type}`)
  if (bits < role.key_bits) {
    refuse(`role requires a minimum of a ${role.key_bits}-bit key, but CSR's key is ${bits} bits`)
  }
}

/** Only the CA says what a certificate is to it. */
const notTaken: readonly string[] = [oids.basicConstraints, oids.authorityKeyId]

/** What the request asks for beside its names, as it stands there. */
export function extraExtensions({ extensions }: ReadRequest): { id: string; raw: Buffer }[] {
  const ids = extensions.map(({ id }) => id)
  if (new Set(ids).size < ids.length) refuse('certificate request asks for the same extension twice')
  return extensions.filter(({ id }) => !notTaken.includes(id)).map(({ id, raw }) => ({ id, raw }))
}
