/** Certificate revocation lists (RFC 5280 §5), built piece by piece: a list may have hundreds of thousands of entries. */
import { bits, explicit, integer, sequence, sequenceHead, smallInteger, time } from '#lib/der.ts'
import { type Signing, signed } from './algorithms.ts'

/** One revoked certificate, as it stands in the list. @param serial  hex */
export function crlItem(serial: string, at: Date): Buffer {
  return sequence(integer(Buffer.from(serial, 'hex')), time(at))
}

export interface CrlParts {
  /** Name in DER. */
  issuer: Uint8Array
  thisUpdate: Date
  nextUpdate: Date
  /** The items, one after the other. */
  items: Uint8Array
  extensions: readonly Uint8Array[]
}

/** @returns the list in DER, and where in it the items stand, so that a later list can go on from them */
export async function makeCrl(
  { issuer, thisUpdate, nextUpdate, items, extensions }: CrlParts,
  signing: Signing,
): Promise<{ der: Buffer; itemsFrom: number; itemsTo: number }> {
  const before = Buffer.concat([smallInteger(1), signing.identifier, issuer, time(thisUpdate), time(nextUpdate)])
  const itemsHead = items.length > 0 ? sequenceHead(items.length) : Buffer.alloc(0)
  const after = explicit(0, sequence(...extensions))
  const head = sequenceHead(before.length + itemsHead.length + items.length + after.length)
  const toBeSigned = Buffer.concat([head, before, itemsHead, items, after])
  const signature = Buffer.concat([signing.identifier, bits(await signed(signing, toBeSigned))])
  const outer = sequenceHead(toBeSigned.length + signature.length)
  const itemsFrom = outer.length + head.length + before.length + itemsHead.length
  return { der: Buffer.concat([outer, toBeSigned, signature]), itemsFrom, itemsTo: itemsFrom + items.length }
}
