/** The names that a request asks for, in the body or in a CSR, judged by its role. Pure. */
import { isIP } from 'node:net'
import { cidrsAllow } from '#lib/cidr.ts'
import { globMatches } from '#lib/glob.ts'
import type { AltNames } from '#lib/x509/extensions.ts'
import type { Subject } from '#lib/x509/name.ts'
import type { ReadRequest } from '#lib/x509/read.ts'
import type { Data } from '#sdk/schema.ts'
import type { leafFields } from './fields.ts'
import { isHostname, toAscii } from './hostnames.ts'
import { refuse } from './key-store.ts'
import { allowsCommonName, allowsName, type NameRules } from './name-rules.ts'
import { type OtherSan, otherSanProblem, parseOtherSan } from './other-sans.ts'
import type { RoleEntry } from './role.ts'

export type NameInput = Pick<
  Data<typeof leafFields>,
  | 'common_name'
  | 'alt_names'
  | 'ip_sans'
  | 'uri_sans'
  | 'other_sans'
  | 'serial_number'
  | 'exclude_cn_from_sans'
  | 'user_ids'
>

/** What of a role judges and fills in names: CAs are made with one that allows everything. */
export type NameRole = NameRules &
  Pick<
    RoleEntry,
    | 'require_cn'
    | 'use_csr_common_name'
    | 'use_csr_sans'
    | 'allow_ip_sans'
    | 'allowed_ip_sans_cidr'
    | 'allowed_uri_sans'
    | 'allowed_other_sans'
    | 'allowed_serial_numbers'
    | 'allowed_user_ids'
    | 'ou'
    | 'organization'
    | 'country'
    | 'locality'
    | 'province'
    | 'street_address'
    | 'postal_code'
  >

export interface AskedNames {
  subject: Subject
  names: AltNames
}

/** Names of one certificate, of all kinds. */
const MAX_NAMES = 1000

/** @throws ApiError `invalid_request` for the first name that the role does not allow */
export function askedNames(role: NameRole, input: NameInput, csr: ReadRequest | undefined): AskedNames {
  const commonName = (role.use_csr_common_name && csr?.subjectParts.commonName) || input.common_name
  if (commonName === '' && role.require_cn) {
    refuse(
      'the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false',
    )
  }
  const serialNumber = input.serial_number || (csr?.subjectParts.serialNumber ?? '')
  const ofCsr = csr && role.use_csr_sans ? csr.names : undefined
  const { dns, emails } = hostsAndMails(commonName, input, ofCsr)
  checkHosts(role, commonName, serialNumber, dns, emails)
  const others = otherNames(role, input, ofCsr)
  const ips = ipNames(role, input, ofCsr)
  const uris = uriNames(role, input, ofCsr)
  const userIds = userIdsOf(role, input, csr)
  const names = { dns: unique(dns), emails: unique(emails), ips, uris, others }
  if (Object.values(names).reduce((sum, list) => sum + list.length, 0) > MAX_NAMES) refuse('too many names')
  const { country, organization, ou, locality, province, street_address, postal_code } = role
  const subject: Subject = {
    commonName,
    serialNumber,
    country: unique(country),
    organization: unique(organization),
    ou: unique(ou),
    locality: unique(locality),
    province: unique(province),
    streetAddress: unique(street_address),
    postalCode: unique(postal_code),
    userIds,
  }
  return { subject, names }
}

const unique = (list: readonly string[]): string[] => [...new Set(list)]

function hostsAndMails(
  commonName: string,
  input: NameInput,
  ofCsr: AltNames | undefined,
): { dns: string[]; emails: string[] } {
  const dns = ofCsr ? [...ofCsr.dns] : []
  const emails = ofCsr ? [...ofCsr.emails] : []
  const names = commonName !== '' && !input.exclude_cn_from_sans ? [commonName] : []
  if (!ofCsr) names.push(...unique(input.alt_names ?? []).filter((name) => name !== ''))
  for (const name of names) {
    if (name.includes('@')) {
      emails.push(name)
      continue
    }
    const ascii = toAscii(name)
    if (ascii === undefined) refuse(`idna: invalid label ${JSON.stringify(name)}`)
    // What is no host name may be a common name, but no alternative one.
    if (isHostname(ascii)) dns.push(ascii)
  }
  return { dns, emails }
}

function checkHosts(
  role: NameRole,
  commonName: string,
  serialNumber: string,
  dns: readonly string[],
  emails: readonly string[],
): void {
  if (commonName !== '' && !allowsCommonName(role, commonName)) {
    refuse(`common name ${commonName} not allowed by this role`)
  }
  if (serialNumber !== '' && !role.allowed_serial_numbers.some((pattern) => globMatches(pattern, serialNumber))) {
    refuse(`serial_number ${serialNumber} not allowed by this role`)
  }
  const host = dns.find((name) => !allowsName(role, name))
  if (host !== undefined) refuse(`subject alternate name ${host} not allowed by this role`)
  const mail = emails.find((name) => !allowsName(role, name))
  if (mail !== undefined) refuse(`email address ${mail} not allowed by this role`)
  // RFC 5280 §4.2.1.6: others refuse to read a certificate with such a name.
  const wide = [...dns, ...emails].find((name) => !/^\p{ASCII}*$/u.test(name))
  if (wide !== undefined) refuse(`x509: ${JSON.stringify(wide)} cannot be encoded as an IA5String`)
}

function otherNames(role: NameRole, input: NameInput, ofCsr: AltNames | undefined): OtherSan[] {
  const asked = [...(ofCsr?.others ?? [])]
  for (const text of input.other_sans ?? []) {
    const parsed = parseOtherSan(text)
    if (!parsed.ok) refuse(`could not parse requested other SAN: ${parsed.message}`)
    asked.push(parsed.value)
  }
  for (const other of asked) {
    const problem = otherSanProblem(role.allowed_other_sans, other)
    if (problem !== undefined) refuse(problem)
  }
  return asked
}

function ipNames(role: NameRole, input: NameInput, ofCsr: AltNames | undefined): string[] {
  const asked = ofCsr ? ofCsr.ips : (input.ip_sans ?? [])
  if (asked.length === 0) return []
  if (!role.allow_ip_sans) {
    const told = ofCsr ? 'some via CSR' : `[${asked.join(' ')}]`
    refuse(`IP Subject Alternative Names are not allowed in this role, but was provided ${told}`)
  }
  for (const ip of asked) {
    if (isIP(ip) === 0) refuse(`the value ${JSON.stringify(ip)} is not a valid IP address`)
    if (!cidrsAllow(role.allowed_ip_sans_cidr, ip)) {
      refuse(`IP Subject Alternative Name ${ip} is not in a range that this role allows`)
    }
  }
  return [...asked]
}

function uriNames(role: NameRole, input: NameInput, ofCsr: AltNames | undefined): string[] {
  const asked = ofCsr ? ofCsr.uris : (input.uri_sans ?? [])
  if (asked.length === 0) return []
  const source = ofCsr ? 'CSR' : 'the API'
  if (role.allowed_uri_sans.length === 0) {
    refuse(`URI Subject Alternative Names are not allowed in this role, but were provided via ${source}`)
  }
  for (const uri of asked) {
    if (!role.allowed_uri_sans.some((pattern) => globMatches(pattern, uri))) {
      refuse(`URI Subject Alternative Names were provided via ${source} which are not valid for this role`)
    }
    if (!isUri(uri)) refuse(`the provided URI Subject Alternative Name ${JSON.stringify(uri)} is not a valid URI`)
  }
  return asked.map(escaped)
}

function isUri(text: string): boolean {
  if (/\p{Cc}/u.test(text) || /%(?![0-9a-fA-F]{2})/.test(text)) return false
  const host = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text)?.[1] ?? ''
  return !/[\s"<>\\^`{|}]/.test(host)
}

/** A certificate holds only ASCII (RFC 5280 §4.2.1.6): what a URI cannot hold as it is stands there in per cents. */
const escaped = (uri: string): string =>
  uri.replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]/gu, (letter) => encodeURIComponent(letter))

function userIdsOf(role: NameRole, input: NameInput, csr: ReadRequest | undefined): string[] {
  const given = input.user_ids ?? []
  const asked = given.length > 0 ? given : (csr?.subjectParts.userIds ?? [])
  for (const id of asked) {
    if (!role.allowed_user_ids.some((pattern) => globMatches(pattern, id))) {
      refuse(`user_id ${id} is not allowed by this role`)
    }
  }
  return unique(asked)
}
