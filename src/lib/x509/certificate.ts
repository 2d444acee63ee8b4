/** Certificates and requests for them, put together and signed (RFC 5280 §4.1, RFC 2986). */
import { bits, explicit, integer, sequence, smallInteger, time } from '#lib/der.ts'
import { type Signing, signed } from './algorithms.ts'

export interface CertificateParts {
  /** Big-endian, not negative, at most 20 bytes (RFC 5280 §4.1.2.2). */
  serial: Uint8Array
  /** Names and key in DER. */
  issuer: Uint8Array
  subject: Uint8Array
  spki: Uint8Array
  notBefore: Date
  notAfter: Date
  extensions: readonly Uint8Array[]
}

const version3 = explicit(0, smallInteger(2))

/** @returns the certificate in DER */
export async function makeCertificate(parts: CertificateParts, signing: Signing): Promise<Buffer> {
  const toBeSigned = sequence(
    version3,
    integer(parts.serial),
    signing.identifier,
    parts.issuer,
    sequence(time(parts.notBefore), time(parts.notAfter)),
    parts.subject,
    parts.spki,
    ...(parts.extensions.length > 0 ? [explicit(3, sequence(...parts.extensions))] : []),
  )
  return sequence(toBeSigned, signing.identifier, bits(await signed(signing, toBeSigned)))
}

/** @param attributes  Attributes in DER, e.g. the extensions asked for */
export async function makeRequest(
  { subject, spki, attributes }: { subject: Uint8Array; spki: Uint8Array; attributes: readonly Uint8Array[] },
  signing: Signing,
): Promise<Buffer> {
  const toBeSigned = sequence(smallInteger(0), subject, spki, explicit(0, ...attributes))
  return sequence(toBeSigned, signing.identifier, bits(await signed(signing, toBeSigned)))
}
