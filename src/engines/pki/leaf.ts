/** Making one leaf certificate: everything is decided, what is left is putting it together. */
import { keyIdentifier, signingWith } from '#lib/x509/algorithms.ts'
import { makeCertificate } from '#lib/x509/certificate.ts'
import {
  type AccessUrls,
  accessExtensions,
  authorityKeyId,
  basicConstraints,
  extKeyUsage,
  keyUsage,
  oids,
  policies,
  subjectAltName,
  subjectKeyId,
} from '#lib/x509/extensions.ts'
import { encodeName } from '#lib/x509/name.ts'
import type { AskedNames } from './asked-names.ts'
import type { Signer } from './issuer-store.ts'
import { parsePolicies } from './policies.ts'
import { newSerial } from './serials.ts'
import { extendedUsageIds, type ExtendedUsages, keyUsageBits } from './usages.ts'
import type { Validity } from './validity.ts'

export interface LeafOrder extends AskedNames {
  spki: Buffer
  validity: Validity
  signer: Signer
  urls: AccessUrls
  role: ExtendedUsages & {
    key_usage: readonly string[]
    policy_identifiers: readonly string[]
    basic_constraints_valid_for_non_ca: boolean
    signature_bits: number
    use_pss: boolean
  }
  /** Of a CSR, taken as they are, for signing verbatim: name and extensions in DER. */
  verbatim?: { subject: Buffer; extensions: readonly { id: string; raw: Buffer }[] }
}

export interface Made {
  der: Buffer
  /** Plain hex. */
  serial: string
}

export async function makeLeaf(order: LeafOrder): Promise<Made> {
  const { signer, spki, validity, role } = order
  const serial = newSerial()
  const subject = order.verbatim?.subject ?? encodeName(order.subject)
  const der = await makeCertificate(
    {
      serial,
      issuer: signer.certificate.subject,
      subject,
      spki,
      notBefore: validity.notBefore,
      notAfter: validity.notAfter,
      extensions: leafExtensions(order, subject),
    },
    signingWith(signer.key, role.signature_bits, role.use_pss),
  )
  return { der, serial: serial.toString('hex') }
}

/** What stands verbatim in the request takes the place of what would be made. */
function leafExtensions(order: LeafOrder, subject: Buffer): Buffer[] {
  const { role, spki, signer } = order
  const given = order.verbatim?.extensions ?? []
  const has = (id: string) => given.some((each) => each.id === id)
  const usageBits = keyUsageBits(role.key_usage)
  const extendedIds = extendedUsageIds(role)
  const made: Buffer[] = []
  if (usageBits.length > 0 && !has(oids.keyUsage)) made.push(keyUsage(usageBits))
  if (extendedIds.length > 0 && !has(oids.extKeyUsage)) made.push(extKeyUsage(extendedIds))
  if (role.basic_constraints_valid_for_non_ca) made.push(basicConstraints(false))
  if (!has(oids.subjectKeyId)) made.push(subjectKeyId(keyIdentifier(spki)))
  made.push(authorityKeyId(issuerKeyId(signer)))
  for (const { id, raw } of accessExtensions(order.urls)) if (!has(id)) made.push(raw)
  const altNames = has(oids.subjectAltName) ? undefined : subjectAltName(order.names, subject.length === 2)
  if (altNames) made.push(altNames)
  if (role.policy_identifiers.length > 0 && !has(oids.policies)) {
    made.push(policies(parsePolicies(role.policy_identifiers)))
  }
  return [...made, ...given.map(({ raw }) => raw)]
}

/** As its certificate says it; one without gets the usual hash. */
export function issuerKeyId({ certificate }: Pick<Signer, 'certificate'>): Buffer {
  return certificate.subjectKeyId ?? keyIdentifier(certificate.spki)
}
