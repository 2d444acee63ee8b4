/** Extensions of certificates and certificate lists, in DER (RFC 5280 §4.2, §5.2). Pure. */
import { isIP } from 'node:net'
import {
  boolean,
  explicit,
  ia5,
  implicit,
  integer,
  namedBits,
  octets,
  oid,
  sequence,
  smallInteger,
  utf8,
} from '#lib/der.ts'

export const oids = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reason: '2.5.29.21',
  deltaIndicator: '2.5.29.27',
  nameConstraints: '2.5.29.30',
  crlPoints: '2.5.29.31',
  policies: '2.5.29.32',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  authorityInfo: '1.3.6.1.5.5.7.1.1',
  ocsp: '1.3.6.1.5.5.7.48.1',
  caIssuers: '1.3.6.1.5.5.7.48.2',
} as const

export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return critical ? sequence(oid(id), boolean(true), octets(value)) : sequence(oid(id), octets(value))
}

/** Bit numbers of key usages (RFC 5280 §4.2.1.3). */
export const keyUsages: Record<string, number> = {
  digitalsignature: 0,
  contentcommitment: 1,
  keyencipherment: 2,
  dataencipherment: 3,
  keyagreement: 4,
  certsign: 5,
  crlsign: 6,
  encipheronly: 7,
  decipheronly: 8,
}

export const keyUsage = (numbers: readonly number[]): Buffer => extension(oids.keyUsage, namedBits(numbers), true)

export const extKeyUsage = (ids: readonly string[]): Buffer =>
  extension(oids.extKeyUsage, sequence(...ids.map((id) => oid(id))))

/** @param pathLength  how many CAs may follow; undefined: any number */
export function basicConstraints(isCa: boolean, pathLength?: number): Buffer {
  const parts = isCa ? [boolean(true)] : []
  if (isCa && pathLength !== undefined) parts.push(smallInteger(pathLength))
  return extension(oids.basicConstraints, sequence(...parts), true)
}

export const subjectKeyId = (id: Uint8Array): Buffer => extension(oids.subjectKeyId, octets(id))
export const authorityKeyId = (id: Uint8Array): Buffer => extension(oids.authorityKeyId, sequence(implicit(0, id)))

export interface AltNames {
  dns: readonly string[]
  emails: readonly string[]
  /** Texts that `net.isIP` knows. */
  ips: readonly string[]
  uris: readonly string[]
  others: readonly { oid: string; value: string }[]
}

/** @param critical  true when the subject is empty (RFC 5280 §4.1.2.6) */
export function subjectAltName({ dns, emails, ips, uris, others }: AltNames, critical: boolean): Buffer | undefined {
  const names = [
    ...others.map(({ oid: id, value }) => explicit(0, oid(id), explicit(0, utf8(value)))),
    ...dns.map((name) => implicit(2, Buffer.from(name))),
    ...emails.map((name) => implicit(1, Buffer.from(name))),
    ...ips.map((ip) => implicit(7, ipBytes(ip))),
    ...uris.map((uri) => implicit(6, Buffer.from(uri))),
  ]
  return names.length > 0 ? extension(oids.subjectAltName, sequence(...names), critical) : undefined
}

/** Four bytes of an IPv4 address, also of one written as IPv6; else sixteen. */
export function ipBytes(text: string): Buffer {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1] ?? text
  if (isIP(mapped) === 4) return Buffer.from(mapped.split('.').map(Number))
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(mapped)
  const hex = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16)
  const plain = dotted ? `${dotted[1]}${hex(dotted[2]!, dotted[3]!)}:${hex(dotted[4]!, dotted[5]!)}` : mapped
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)))
  const after = tail === undefined ? [] : groups(tail)
  const before = groups(head)
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

export interface AccessUrls {
  issuing: readonly string[]
  ocsp: readonly string[]
  crl: readonly string[]
  deltaCrl: readonly string[]
}

/** Where to find the issuer, its certificate lists and its OCSP responder; nothing for what is not configured. */
export function accessExtensions({ issuing, ocsp, crl, deltaCrl }: AccessUrls): { id: string; raw: Buffer }[] {
  const made: { id: string; raw: Buffer }[] = []
  const add = (id: string, value: Buffer) => made.push({ id, raw: extension(id, value) })
  const access = [
    ...ocsp.map((url) => sequence(oid(oids.ocsp), implicit(6, Buffer.from(url)))),
    ...issuing.map((url) => sequence(oid(oids.caIssuers), implicit(6, Buffer.from(url)))),
  ]
  if (access.length > 0) add(oids.authorityInfo, sequence(...access))
  if (crl.length > 0) add(oids.crlPoints, points(crl))
  if (deltaCrl.length > 0) add(oids.freshestCrl, points(deltaCrl))
  return made
}

function points(urls: readonly string[]): Buffer {
  return sequence(...urls.map((url) => sequence(explicit(0, explicit(0, implicit(6, Buffer.from(url)))))))
}

export const policies = (ids: readonly { oid: string; cps?: string; notice?: string }[]): Buffer =>
  extension(oids.policies, sequence(...ids.map(policyInformation)))

/** RFC 5280 §4.2.1.4. */
function policyInformation({ oid: id, cps, notice }: { oid: string; cps?: string; notice?: string }): Buffer {
  const qualifiers: Buffer[] = []
  if (cps !== undefined) qualifiers.push(sequence(oid('1.3.6.1.5.5.7.2.1'), ia5(cps)))
  if (notice !== undefined) qualifiers.push(sequence(oid('1.3.6.1.5.5.7.2.2'), sequence(utf8(notice))))
  return qualifiers.length > 0 ? sequence(oid(id), sequence(...qualifiers)) : sequence(oid(id))
}

/** Only names below these domains (RFC 5280 §4.2.1.10). */
export const permittedDomains = (domains: readonly string[]): Buffer =>
  extension(
    oids.nameConstraints,
    sequence(explicit(0, ...domains.map((domain) => sequence(implicit(2, Buffer.from(domain)))))),
    true,
  )

export const crlNumber = (number: number): Buffer => extension(oids.crlNumber, smallInteger(number))
export const deltaIndicator = (base: number): Buffer => extension(oids.deltaIndicator, smallInteger(base), true)

export const serialInteger = (hex: string): Buffer => integer(Buffer.from(hex, 'hex'))
