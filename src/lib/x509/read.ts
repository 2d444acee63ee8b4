/**
 * Reading untrusted certificates (RFC 5280) and requests for them (RFC 2986). What is read is only as true as its signature:
 * `signedBy` checks that. Pure.
 */
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import {
  bitsOf,
  isContext,
  Malformed,
  namedBitsOf,
  type Node,
  oidOf,
  readTree,
  tags,
  textOf,
  timeOf,
  universal,
} from './asn1.ts'
import { ED25519 } from './algorithms.ts'
import { type AltNames, oids } from './extensions.ts'
import { type Subject, subjectOf } from './name.ts'

export interface Extension {
  id: string
  critical: boolean
  value: Buffer
  raw: Buffer
}

export interface Signed {
  raw: Buffer
  toBeSigned: Buffer
  algorithm: Node
  signature: Buffer
}

export interface ReadCertificate extends Signed {
  /** Lower-case hex, two digits a byte, without a sign byte. */
  serial: string
  issuer: Buffer
  subject: Buffer
  subjectParts: Subject
  notBefore: Date
  notAfter: Date
  spki: Buffer
  key: KeyObject
  extensions: Extension[]
  isCa: boolean
  pathLength: number | undefined
  keyUsage: number[] | undefined
  subjectKeyId: Buffer | undefined
  names: AltNames
}

export interface ReadRequest extends Signed {
  subject: Buffer
  subjectParts: Subject
  spki: Buffer
  key: KeyObject
  extensions: Extension[]
  names: AltNames
}

export type Result<T> = { ok: true; value: T } | { ok: false; message: string }

export const readCertificate = (der: Buffer): Result<ReadCertificate> => reading(() => certificateOf(readTree(der)))

/** The signature is not checked here. */
export const readRequest = (der: Buffer): Result<ReadRequest> => reading(() => requestOf(readTree(der)))

function reading<T>(read: () => T): Result<T> {
  try {
    return { ok: true, value: read() }
  } catch (error) {
    // Whatever the parser or OpenSSL throws at bytes from outside means that they are not what they should be.
    return { ok: false, message: error instanceof Malformed ? error.message : 'malformed' }
  }
}

function certificateOf(tree: Node): ReadCertificate {
  const outer = signedOf(tree)
  const fields = [...universal(tree.children[0], tags.sequence).children]
  if (isContext(fields[0], 0)) fields.shift()
  const [serial, , issuer, validity, subject, spki, ...rest] = fields
  const extensions = extensionsOf(rest.find((node) => isContext(node, 3))?.children[0])
  const constraints = find(extensions, oids.basicConstraints)
  const isCa = constraints?.children[0]?.tag === tags.boolean && constraints.children[0].content[0] !== 0
  const length = constraints?.children.find((node) => node.tag === tags.integer)
  const usage = find(extensions, oids.keyUsage)
  const keyId = find(extensions, oids.subjectKeyId)
  const times = universal(validity, tags.sequence).children
  return {
    ...outer,
    serial: serialOf(universal(serial, tags.integer).content),
    issuer: universal(issuer, tags.sequence).raw,
    subject: universal(subject, tags.sequence).raw,
    subjectParts: nameOf(universal(subject, tags.sequence)),
    notBefore: timeOf(times[0]),
    notAfter: timeOf(times[1]),
    spki: universal(spki, tags.sequence).raw,
    key: publicKeyOf(spki!.raw),
    extensions,
    isCa,
    pathLength: isCa && length ? Number(`0x${length.content.toString('hex') || '0'}`) : undefined,
    keyUsage: usage && namedBitsOf(usage),
    subjectKeyId: keyId && universal(keyId, tags.octetString).content,
    names: altNamesOf(extensions),
  }
}

function requestOf(tree: Node): ReadRequest {
  const outer = signedOf(tree)
  const [, subject, spki, attributes] = universal(tree.children[0], tags.sequence).children
  const extensionRequest = '1.2.840.113549.1.9.14'
  const asked = attributes?.children.find(({ children }) => oidOf(children[0]) === extensionRequest)
  const extensions = extensionsOf(asked?.children[1]?.children[0])
  return {
    ...outer,
    subject: universal(subject, tags.sequence).raw,
    subjectParts: nameOf(universal(subject, tags.sequence)),
    spki: universal(spki, tags.sequence).raw,
    key: publicKeyOf(spki!.raw),
    extensions,
    names: altNamesOf(extensions),
  }
}

function signedOf(tree: Node): Signed {
  const [toBeSigned, algorithm, signature, ...more] = universal(tree, tags.sequence).children
  if (more.length > 0) throw new Malformed('too many parts')
  return {
    raw: tree.raw,
    toBeSigned: universal(toBeSigned, tags.sequence).raw,
    algorithm: universal(algorithm, tags.sequence),
    signature: bitsOf(signature),
  }
}

function publicKeyOf(spki: Buffer): KeyObject {
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}

export function serialOf(content: Uint8Array): string {
  const hex = Buffer.from(content)
    .toString('hex')
    .replace(/^(00)+(?=..)/, '')
  return hex === '' ? '00' : hex
}

function nameOf(node: Node): Subject {
  const parts = node.children.flatMap((set) =>
    set.children.map(({ children }) => {
      if (!children[1]) throw new Malformed('a broken name')
      return { type: oidOf(children[0]), value: textOf(children[1]) }
    }),
  )
  return subjectOf(parts)
}

function extensionsOf(node: Node | undefined): Extension[] {
  return (node?.children ?? []).map(({ children, raw }) => ({
    id: oidOf(children[0]),
    critical: children[1]?.tag === tags.boolean && children[1].content[0] !== 0,
    value: universal(children.at(-1), tags.octetString).content,
    raw,
  }))
}

function find(extensions: readonly Extension[], id: string): Node | undefined {
  const found = extensions.find((each) => each.id === id)
  return found && readTree(found.value)
}

function altNamesOf(extensions: readonly Extension[]): AltNames {
  const dns: string[] = []
  const emails: string[] = []
  const ips: string[] = []
  const uris: string[] = []
  const others: { oid: string; value: string }[] = []
  for (const name of find(extensions, oids.subjectAltName)?.children ?? []) {
    if (isContext(name, 0)) {
      const value = name.children[1]?.children[0]
      if (value?.tag !== tags.utf8) throw new Malformed('an other name that is no UTF-8')
      others.push({ oid: oidOf(name.children[0]), value: textOf(value) })
    } else if (isContext(name, 1)) emails.push(name.content.toString('latin1'))
    else if (isContext(name, 2)) dns.push(name.content.toString('latin1'))
    else if (isContext(name, 6)) uris.push(name.content.toString('latin1'))
    else if (isContext(name, 7)) ips.push(ipText(name.content))
  }
  return { dns, emails, ips, uris, others }
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new Malformed('a broken address')
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}

/** Digests of the signature algorithms that are taken; SHA-1 and MD5 are not. */
const digests: Record<string, string | null> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  [ED25519]: null,
}

const pssHashes: Record<string, string> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

/** Whether `key` made the signature. False for algorithms that are not taken. */
export function signedBy({ algorithm, toBeSigned, signature }: Signed, key: KeyObject): boolean {
  try {
    const id = oidOf(algorithm.children[0])
    if (id === '1.2.840.113549.1.1.10') {
      const digest = pssHashes[oidOf(algorithm.children[1]?.children[0]?.children[0]?.children[0])]
      const padding = constants.RSA_PKCS1_PSS_PADDING
      const saltLength = constants.RSA_PSS_SALTLEN_AUTO
      return digest !== undefined && verify(digest, toBeSigned, { key, padding, saltLength }, signature)
    }
    const digest = digests[id]
    return digest !== undefined && verify(digest, toBeSigned, key, signature)
  } catch {
    // A key of another kind, or a signature that is not even one.
    return false
  }
}
