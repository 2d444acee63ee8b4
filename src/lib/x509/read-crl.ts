/** Reading untrusted certificate revocation lists (RFC 5280 §5). Only as true as their signature: see `signedBy`. Pure. */
import { bitsOf, type Node, readTree, tags, timeOf, universal } from './asn1.ts'
import { type Result, type Signed, serialOf } from './read.ts'

export interface ReadCrl extends Signed {
  issuer: Buffer
  /** Serial in hex, and the whole item in DER. */
  items: { serial: string; raw: Buffer }[]
}

/** Some 3,000 items; each is three elements. */
const MAX_NODES = 10_000

export function readCrl(der: Buffer): Result<ReadCrl> {
  try {
    return { ok: true, value: crlOf(readTree(der, MAX_NODES)) }
  } catch {
    // Whatever the parser throws at bytes from outside means that they are no list.
    return { ok: false, message: 'malformed' }
  }
}

function crlOf(tree: Node): ReadCrl {
  const [toBeSigned, algorithm, signature] = universal(tree, tags.sequence).children
  const parts = [...universal(toBeSigned, tags.sequence).children]
  if (parts[0]?.tag === tags.integer) parts.shift()
  const [, issuer, thisUpdate, ...rest] = parts
  timeOf(thisUpdate)
  const items = rest.find((part) => part.tagClass === 0 && part.tag === tags.sequence)
  return {
    raw: tree.raw,
    toBeSigned: toBeSigned!.raw,
    algorithm: universal(algorithm, tags.sequence),
    signature: bitsOf(signature),
    issuer: universal(issuer, tags.sequence).raw,
    items: (items?.children ?? []).map((item) => {
      const [serial, at] = universal(item, tags.sequence).children
      timeOf(at)
      return { serial: serialOf(universal(serial, tags.integer).content), raw: item.raw }
    }),
  }
}
