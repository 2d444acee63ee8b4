/** Making certificates of CAs: a root for itself, or what others sign; and the fields that all of that has. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { signingWith, keyIdentifier, spkiOf } from '#lib/x509/algorithms.ts'
import { makeCertificate } from '#lib/x509/certificate.ts'
import {
  type AccessUrls,
  accessExtensions,
  authorityKeyId,
  basicConstraints,
  extKeyUsage,
  keyUsage,
  permittedDomains,
  subjectAltName,
  subjectKeyId,
} from '#lib/x509/extensions.ts'
import { encodeName } from '#lib/x509/name.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { type AskedNames, askedNames, type NameRole } from './asked-names.ts'
import { formatFields, keyUsageFields, nameFields, signatureFields, subjectFields, timeFields } from './fields.ts'
import type { Made } from './leaf.ts'
import { newSerial } from './serials.ts'
import { extendedUsageIds, keyUsageBits } from './usages.ts'
import type { TimeRole, Validity } from './validity.ts'
import { isOid } from '#lib/der.ts'
import { refuse } from './key-store.ts'

export const keyFields = {
  key_type: { type: 'string', about: 'rsa, ec or ed25519.', default: 'rsa' },
  key_bits: { type: 'integer', about: 'Bits of the key; 0: what the type usually has.', default: 0 },
  key_name: { type: 'string', about: 'Name of the new key.', default: '' },
  key_ref: { type: 'string', about: 'The key, where an existing one is taken.', default: 'default' },
} as const satisfies Fields

/** Names and times of a CA's certificate or request. */
export const authorityFields = {
  ...nameFields,
  ...subjectFields,
  ...timeFields,
  ...formatFields,
  not_before_duration: { type: 'duration', about: 'How far in the past validity begins.', default: 30, min: 0 },
} as const satisfies Fields

/** What a CA signs for a CA, itself or another. */
export const issuerFields = {
  issuer_name: { type: 'string', about: 'Name of the new issuer.', default: '' },
  max_path_length: { type: 'integer', about: 'How many CAs may follow below; -1: any number.', default: -1 },
  permitted_dns_domains: { type: 'strings', about: 'Only names below these domains are good.' },
  ...signatureFields,
  ...keyUsageFields,
} as const satisfies Fields

export type AuthorityInput = Data<typeof authorityFields>
export type IssuerInput = Data<typeof issuerFields>

/** CAs are made by those who may make CAs: any name is allowed. */
export function anyName(input: AuthorityInput): NameRole {
  return {
    allow_any_name: true,
    allow_bare_domains: true,
    allow_glob_domains: true,
    allow_localhost: true,
    allow_subdomains: true,
    allow_wildcard_certificates: true,
    allowed_domains: [],
    cn_validations: ['disabled'],
    enforce_hostnames: false,
    require_cn: false,
    use_csr_common_name: false,
    use_csr_sans: false,
    allow_ip_sans: true,
    allowed_ip_sans_cidr: [],
    allowed_uri_sans: ['*'],
    allowed_other_sans: ['*'],
    allowed_serial_numbers: ['*'],
    allowed_user_ids: ['*'],
    ou: input.ou ?? [],
    organization: input.organization ?? [],
    country: input.country ?? [],
    locality: input.locality ?? [],
    province: input.province ?? [],
    street_address: input.street_address ?? [],
    postal_code: input.postal_code ?? [],
  }
}

export function anyTime({ not_before_duration }: AuthorityInput): TimeRole {
  return {
    ttl: 0,
    max_ttl: 0,
    not_after: '',
    not_after_bound: 'permit',
    not_before: '',
    not_before_bound: 'permit',
    not_before_duration,
  }
}

export const authorityNames = (input: AuthorityInput): AskedNames =>
  askedNames(anyName(input), { ...input, user_ids: [] }, undefined)

export interface AuthorityOrder {
  /** Name and names in DER and as asked; the issuer's own for a root. */
  subject: Buffer
  names: AskedNames['names']
  publicKey: KeyObject
  subjectKeyId?: Buffer
  validity: Validity
  urls: AccessUrls
  input: IssuerInput
  /** Whether `key_usage` was given: without it, only signing is allowed. */
  asksUsage: boolean
  /** Undefined for a root: it is signed by its own key. */
  issuer?: { subject: Buffer; keyId: Buffer; pathLength: number | undefined }
  signingKey: KeyObject
}

export async function makeAuthority(order: AuthorityOrder): Promise<Made> {
  const { input, issuer } = order
  const serial = newSerial()
  const spki = spkiOf(createPublicKeyOf(order.publicKey))
  const ownId = order.subjectKeyId ?? keyIdentifier(spki)
  const signingBits = [5, 6]
  const bits = order.asksUsage ? keyUsageBits(input.key_usage) : []
  const extended = extendedUsageIds({
    ...noFlags,
    ext_key_usage: input.ext_key_usage ?? [],
    ext_key_usage_oids: checkedOids(input),
  })
  const extensions = [
    keyUsage([...new Set([...bits, ...signingBits])]),
    ...(extended.length > 0 ? [extKeyUsage(extended)] : []),
    basicConstraints(true, checkedLength(input.max_path_length, issuer?.pathLength)),
    subjectKeyId(ownId),
    authorityKeyId(issuer?.keyId ?? ownId),
    ...accessExtensions(order.urls).map(({ raw }) => raw),
  ]
  const altNames = subjectAltName(order.names, order.subject.length === 2)
  if (altNames) extensions.push(altNames)
  const domains = input.permitted_dns_domains ?? []
  if (domains.length > MAX_VALUES) refuse(`"permitted_dns_domains" has more than ${MAX_VALUES} values`)
  if (domains.length > 0) extensions.push(permittedDomains(domains))
  const der = await makeCertificate(
    {
      serial,
      issuer: issuer?.subject ?? order.subject,
      subject: order.subject,
      spki,
      notBefore: order.validity.notBefore,
      notAfter: order.validity.notAfter,
      extensions,
    },
    signingWith(order.signingKey, input.signature_bits, input.use_pss),
  )
  return { der, serial: serial.toString('hex') }
}

/** Values of one list of a CA. */
const MAX_VALUES = 1000

const noFlags = { server_flag: false, client_flag: false, code_signing_flag: false, email_protection_flag: false }

function checkedOids({ ext_key_usage_oids: oids = [] }: IssuerInput): string[] {
  if (oids.length > MAX_VALUES) refuse(`"ext_key_usage_oids" has more than ${MAX_VALUES} values`)
  const bad = oids.find((each) => !isOid(each))
  return bad === undefined ? oids : refuse(`"${bad}" could not be parsed as a valid oid for an extended key usage`)
}

function createPublicKeyOf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key
}

/** Each CA below another has one less to give (RFC 5280 §6.1.4); what is not said is the most there is. */
function checkedLength(asked: number, above: number | undefined): number | undefined {
  if (above === 0) refuse('the issuer has a max path length of zero, so it cannot sign CAs')
  if (asked < -1) refuse('max_path_length must be -1 or more')
  if (asked === -1) return above === undefined ? undefined : above - 1
  if (above !== undefined && asked >= above) {
    refuse(`the max_path_length of ${asked} is not less than that of the issuer, ${above}`)
  }
  return asked
}

/** A subject of at least something in DER. */
export const subjectOfNames = (names: AskedNames): Buffer => encodeName(names.subject)
