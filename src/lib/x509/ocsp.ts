/** The Online Certificate Status Protocol (RFC 6960): reading requests, which are untrusted, and signing answers. */
import { bits, enumerated, explicit, generalizedTime, implicit, octets, oid, sequence } from '#lib/der.ts'
import { type Signing, signed } from './algorithms.ts'
import { isContext, Malformed, type Node, oidOf, readTree, tags, universal } from './asn1.ts'
import { extension } from './extensions.ts'
import { serialOf } from './read.ts'

export interface OcspQuestion {
  /** CertID in DER, repeated in the answer. */
  raw: Buffer
  /** Of the hash that names the issuer. */
  hash: 'sha1' | 'sha256' | 'sha384' | 'sha512'
  issuerNameHash: Buffer
  issuerKeyHash: Buffer
  /** Hex. */
  serial: string
}

export interface OcspRequest {
  questions: OcspQuestion[]
  nonce: Buffer | undefined
}

export interface OcspAnswer {
  question: OcspQuestion
  /** Undefined: not revoked. */
  revokedAt: Date | undefined
}

/** Certificates asked about in one request. Clients ask about one, some about a chain. */
export const MAX_QUESTIONS = 20
export const MAX_REQUEST_BYTES = 16 * 1024
/** Anybody may ask: no more is read than twenty questions need, a signer's chain included. */
const MAX_NODES = 500
/** RFC 9654 §2.1 */
const MAX_NONCE_BYTES = 128
const NONCE = '1.3.6.1.5.5.7.48.1.2'

const hashes: Record<string, OcspQuestion['hash']> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

/** Undefined for what is no request, or asks about too many. A request's own signature is not looked at. */
export function readOcspRequest(der: Buffer): OcspRequest | undefined {
  if (der.length > MAX_REQUEST_BYTES) return undefined
  try {
    const parts = universal(universal(readTree(der, MAX_NODES), tags.sequence).children[0], tags.sequence).children
    const list = parts.find((part) => part.tagClass === 0)
    const questions = universal(list, tags.sequence).children.map(questionOf)
    if (questions.length === 0 || questions.length > MAX_QUESTIONS) return undefined
    return { questions, nonce: nonceOf(parts.find((part) => isContext(part, 2))?.children[0]) }
  } catch {
    // Whatever the parser throws at bytes from outside means that they are no request.
    return undefined
  }
}

function questionOf(node: Node): OcspQuestion {
  const id = universal(node.children[0], tags.sequence)
  const [algorithm, name, key, serial] = id.children
  const hash = hashes[oidOf(universal(algorithm, tags.sequence).children[0])]
  if (!hash) throw new Malformed('an unknown hash')
  return {
    raw: id.raw,
    hash,
    issuerNameHash: universal(name, tags.octetString).content,
    issuerKeyHash: universal(key, tags.octetString).content,
    serial: serialOf(universal(serial, tags.integer).content),
  }
}

function nonceOf(extensions: Node | undefined): Buffer | undefined {
  const found = extensions?.children.find(({ children }) => oidOf(children[0]) === NONCE)
  const value = found && universal(found.children.at(-1), tags.octetString).content
  return value && value.length <= MAX_NONCE_BYTES ? value : undefined
}

export type OcspFailure = 'malformed' | 'internal' | 'unauthorized'
const failures: Record<OcspFailure, number> = { malformed: 1, internal: 2, unauthorized: 6 }

export const ocspFailure = (failure: OcspFailure): Buffer => sequence(enumerated(failures[failure]))

export interface OcspParts {
  answers: readonly OcspAnswer[]
  nonce: Buffer | undefined
  /** SHA-1 of the bits of the responder's key (RFC 6960 §4.2.1). */
  responderKeyHash: Buffer
  /** In DER, so that clients need not have it. */
  responder: Buffer
  producedAt: Date
  /** Undefined: newer information is always there. */
  nextUpdate: Date | undefined
}

export async function makeOcspResponse(parts: OcspParts, signing: Signing): Promise<Buffer> {
  const { producedAt, nextUpdate } = parts
  const singles = parts.answers.map(({ question, revokedAt }) =>
    sequence(
      question.raw,
      revokedAt ? explicit(1, generalizedTime(revokedAt)) : implicit(0, Buffer.alloc(0)),
      generalizedTime(producedAt),
      ...(nextUpdate ? [explicit(0, generalizedTime(nextUpdate))] : []),
    ),
  )
  const data = sequence(
    explicit(2, octets(parts.responderKeyHash)),
    generalizedTime(producedAt),
    sequence(...singles),
    ...(parts.nonce ? [explicit(1, sequence(extension(NONCE, parts.nonce)))] : []),
  )
  const signature = bits(await signed(signing, data))
  const basic = sequence(data, signing.identifier, signature, explicit(0, sequence(parts.responder)))
  return sequence(enumerated(0), explicit(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octets(basic))))
}
