/**
 * What a role says of the certificates that are issued under it.
 *
 * Storage below the mount: role/<name> → RoleEntry, in the names and values that a read of the role shows.
 */
import { isOid } from '#lib/der.ts'
import { isCidr } from '#lib/cidr.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { issuerRef, keyUsageFields, signatureFields, subjectFields } from './fields.ts'
import { checkedKind, refuse } from './key-store.ts'
import { parseOtherSan } from './other-sans.ts'
import { parsePolicies } from './policies.ts'

export const roleName = { type: 'string', about: 'Name of the role.', required: true } as const

export const roleFields = {
  name: roleName,
  backend: { type: 'string', about: 'Not used.', deprecated: true },
  ttl: {
    type: 'duration',
    about: 'How long certificates are valid unless the request says so; 0: as the mount has it.',
    min: 0,
  },
  max_ttl: { type: 'duration', about: 'How long at most; 0: as the mount has it.', min: 0 },
  allow_localhost: { type: 'boolean', about: 'localhost and localdomain are allowed.', default: true },
  allowed_domains: { type: 'strings', about: 'Domains that names may lie in; see the other flags for how.' },
  allowed_domains_template: { type: 'boolean', about: 'Domains may hold identity templates.', default: false },
  allow_bare_domains: { type: 'boolean', about: 'The domains themselves are allowed.', default: false },
  allow_subdomains: { type: 'boolean', about: 'Names below the domains are allowed.', default: false },
  allow_glob_domains: { type: 'boolean', about: 'A * in a domain stands for any text.', default: false },
  allow_any_name: { type: 'boolean', about: 'Any name is allowed.', default: false },
  allow_wildcard_certificates: { type: 'boolean', about: 'Names such as *.example.com are allowed.', default: true },
  enforce_hostnames: { type: 'boolean', about: 'Names must be host names.', default: true },
  allow_ip_sans: { type: 'boolean', about: 'IP addresses are allowed.', default: true },
  allowed_ip_sans_cidr: { type: 'strings', about: 'Ranges that IP addresses must lie in; none: anywhere.' },
  allowed_uri_sans: { type: 'strings', about: 'URIs that are allowed, with * for any text.' },
  allowed_uri_sans_template: { type: 'boolean', about: 'URIs may hold identity templates.', default: false },
  allowed_other_sans: { type: 'strings', about: 'Other names that are allowed, as `<oid>;UTF8:<text with *>`.' },
  allowed_serial_numbers: { type: 'strings', about: 'serialNumbers of the subject that are allowed, with *.' },
  allowed_user_ids: { type: 'strings', about: 'User ids that are allowed, with *.' },
  server_flag: { type: 'boolean', about: 'For servers.', default: true },
  client_flag: { type: 'boolean', about: 'For clients.', default: true },
  code_signing_flag: { type: 'boolean', about: 'For signing code.', default: false },
  email_protection_flag: { type: 'boolean', about: 'For mail.', default: false },
  key_type: { type: 'string', about: 'rsa, ec, ed25519, or any for requests that bring their key.', default: 'rsa' },
  key_bits: { type: 'integer', about: 'Bits of the key; 0: what the type usually has.', default: 0 },
  ...signatureFields,
  ...keyUsageFields,
  use_csr_common_name: {
    type: 'boolean',
    about: 'When signing, the common name is that of the request.',
    default: true,
  },
  use_csr_sans: {
    type: 'boolean',
    about: 'When signing, the alternative names are those of the request.',
    default: true,
  },
  ...subjectFields,
  generate_lease: { type: 'boolean', about: 'Certificates get a lease and are revoked when it ends.', default: false },
  no_store: { type: 'boolean', about: 'Certificates are not kept.', default: false },
  require_cn: { type: 'boolean', about: 'A common name must be given.', default: true },
  cn_validations: {
    type: 'strings',
    about: 'What a common name may be: email, hostname; or disabled.',
    default: ['email', 'hostname'],
  },
  policy_identifiers: { type: 'strings', about: 'Policies that certificates name.' },
  basic_constraints_valid_for_non_ca: {
    type: 'boolean',
    about: 'Certificates say that they are no CA.',
    default: false,
  },
  not_before_duration: { type: 'duration', about: 'How far in the past validity begins.', default: 30, min: 0 },
  not_before: { type: 'string', about: 'From when certificates are valid.', default: '' },
  not_before_bound: {
    type: 'string',
    about: 'permit, duration or forbid: whether a request may say it.',
    default: 'permit',
  },
  not_after: { type: 'string', about: 'Until when certificates are valid, as 2030-01-02T03:04:05Z.', default: '' },
  not_after_bound: {
    type: 'string',
    about: 'permit, ttl-limited, forbid or a time: whether a request may say it.',
    default: 'permit',
  },
  issuer_ref: issuerRef,
} as const satisfies Fields

type RoleData = Data<typeof roleFields>

/** As stored and shown. */
export type RoleEntry = { -readonly [K in Exclude<keyof RoleData, 'name' | 'backend'>]-?: NonNullable<RoleData[K]> } & {
  allow_token_displayname: boolean
}

/** Names that a role may have become storage keys. */
export function isRoleName(name: string): boolean {
  return /^\w(?:[\w.-]*\w)?$/.test(name) && name.length <= 256
}

/** @throws ApiError for values that no certificate could have */
export function roleEntry(data: RoleData): RoleEntry {
  const { name: _, backend: __, ...rest } = data
  const { keyBits } = rest.key_type === 'any' ? { keyBits: rest.key_bits } : checkedKind(rest.key_type, rest.key_bits)
  const filled = Object.fromEntries(Object.keys(rest).map((field) => [field, rest[field as keyof typeof rest] ?? []]))
  const entry = {
    ...(filled as unknown as RoleEntry),
    ...Object.fromEntries(lists.map((field) => [field, rest[field] ?? []])),
    ttl: rest.ttl ?? 0,
    max_ttl: rest.max_ttl ?? 0,
    key_bits: keyBits,
    signature_bits: checkedHash(rest.key_type, rest.signature_bits),
    issuer_ref: rest.issuer_ref || 'default',
    allow_token_displayname: false,
  }
  if (entry.max_ttl > 0 && entry.ttl > entry.max_ttl) refuse('"ttl" value must be less than "max_ttl" value')
  checkLists(entry)
  checkTimes(entry)
  return entry
}

const lists = Object.entries(roleFields)
  .filter(([, field]) => field.type === 'strings')
  .map(([name]) => name) as (keyof RoleData & ListField)[]

type ListField = {
  [K in keyof typeof roleFields]: (typeof roleFields)[K]['type'] extends 'strings' ? K : never
}[keyof typeof roleFields]

/** @returns 256 for RSA that does not say, else what was given */
export function checkedHash(keyType: string, hashBits: number): number {
  if (keyType !== 'rsa' && keyType !== 'ec') return 0
  if (![0, 256, 384, 512].includes(hashBits)) refuse(`unsupported hash signature algorithm: ${hashBits}`)
  return keyType === 'rsa' && hashBits === 0 ? 256 : hashBits
}

/** Values of one list of a role. */
const MAX_VALUES = 10_000

function checkLists(entry: RoleEntry): void {
  const long = lists.find((name) => entry[name].length > MAX_VALUES)
  if (long !== undefined) refuse(`"${long}" has more than ${MAX_VALUES} values`)
  for (const other of entry.allowed_other_sans) {
    if (other === '*' && entry.allowed_other_sans.length === 1) break
    const parsed = parseOtherSan(other)
    if (!parsed.ok) refuse(`error parsing allowed_other_sans: ${parsed.message}`)
  }
  const oid = entry.ext_key_usage_oids.find((each) => !isOid(each))
  if (oid !== undefined) refuse(`"${oid}" could not be parsed as a valid oid for an extended key usage`)
  const range = entry.allowed_ip_sans_cidr.find((each) => !isCidr(each))
  if (range !== undefined) refuse(`invalid CIDR address: ${range}`)
  parsePolicies(entry.policy_identifiers)
  const validation = entry.cn_validations.find((each) => !['email', 'hostname', 'disabled'].includes(each))
  if (validation !== undefined) refuse(`unknown value for cn_validations: ${validation}`)
  if (entry.cn_validations.length > 1 && entry.cn_validations.includes('disabled')) {
    refuse('cn_validations: disabled excludes all other values')
  }
}

function checkTimes(entry: RoleEntry): void {
  if (!['permit', 'duration', 'forbid'].includes(entry.not_before_bound)) {
    refuse(`invalid not_before_bound: ${entry.not_before_bound}`)
  }
  if (!['permit', 'ttl-limited', 'forbid'].includes(entry.not_after_bound) && !isTimestamp(entry.not_after_bound)) {
    refuse(`invalid not_after_bound: ${entry.not_after_bound}`)
  }
  for (const name of ['not_before', 'not_after'] as const) {
    if (entry[name] !== '' && !isTimestamp(entry[name])) refuse(`invalid ${name}: ${entry[name]}`)
  }
}

/** RFC 3339. */
export function isTimestamp(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))
}
