/** Making one leaf certificate: everything is decided, what is left is putting it together. */
import { generateKeyPair, generateKeyPairSync } from 'node:crypto'
import { promisify } from 'node:util'
import { signingWith, curves, keyIdentifier, type KeyType } from '#lib/x509/algorithms.ts'
import { makeCertificate } from '#lib/x509/certificate.ts'
import {
  type AccessUrls,
  accessExtensions,
  authorityKeyId,
  basicConstraints,
  extKeyUsage,
  keyUsage,
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

export interface NewKey {
  type: KeyType
  /** SubjectPublicKeyInfo in DER. */
  spki: Buffer
  /** PEM in the form of old, which is made along with the key, at no cost of its own. */
  pem: string
}

const generate = promisify(generateKeyPair)

/** EC and Ed25519 keys take some 20 µs and are made on the spot, RSA on the thread pool. */
export async function newKey(type: KeyType, bits: number): Promise<NewKey> {
  const publicKeyEncoding = { type: 'spki', format: 'der' } as const
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
  if (type === 'ec') {
    const privateKeyEncoding = { type: 'sec1', format: 'pem' } as const
    const made = generateKeyPairSync('ec', { namedCurve: curves[bits]!, publicKeyEncoding, privateKeyEncoding })
    return { type, spki: made.publicKey, pem: made.privateKey }
  }
  if (type === 'ed25519') {
    const made = generateKeyPairSync('ed25519', { publicKeyEncoding, privateKeyEncoding: pkcs8 })
    return { type, spki: made.publicKey, pem: made.privateKey }
  }
  const privateKeyEncoding = { type: 'pkcs1', format: 'pem' } as const
  const made = await generate('rsa', { modulusLength: bits, publicKeyEncoding, privateKeyEncoding })
  return { type, spki: made.publicKey, pem: made.privateKey }
}

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
  /** Of a CSR, in DER, taken as they are: for signing verbatim. */
  extra?: readonly Buffer[]
}

export interface Made {
  der: Buffer
  /** Plain hex. */
  serial: string
}

export async function makeLeaf(order: LeafOrder): Promise<Made> {
  const { signer, subject, names, spki, validity, role } = order
  const serial = newSerial()
  const subjectName = encodeName(subject)
  const usageBits = keyUsageBits(role.key_usage)
  const extendedIds = extendedUsageIds(role)
  const extensions: Buffer[] = []
  if (usageBits.length > 0) extensions.push(keyUsage(usageBits))
  if (extendedIds.length > 0) extensions.push(extKeyUsage(extendedIds))
  if (role.basic_constraints_valid_for_non_ca) extensions.push(basicConstraints(false))
  extensions.push(subjectKeyId(keyIdentifier(spki)), authorityKeyId(issuerKeyId(signer)))
  extensions.push(...accessExtensions(order.urls))
  const altNames = subjectAltName(names, subjectName.length === 2)
  if (altNames) extensions.push(altNames)
  if (role.policy_identifiers.length > 0) extensions.push(policies(parsePolicies(role.policy_identifiers)))
  extensions.push(...(order.extra ?? []))
  const der = await makeCertificate(
    {
      serial,
      issuer: signer.certificate.subject,
      subject: subjectName,
      spki,
      notBefore: validity.notBefore,
      notAfter: validity.notAfter,
      extensions,
    },
    signingWith(signer.key, role.signature_bits, role.use_pss),
  )
  return { der, serial: serial.toString('hex') }
}

/** As its certificate says it; one without gets the usual hash. */
export function issuerKeyId({ certificate }: Pick<Signer, 'certificate'>): Buffer {
  return certificate.subjectKeyId ?? keyIdentifier(certificate.spki)
}
