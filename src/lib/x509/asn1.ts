/** Untrusted DER as a tree: asn1js reads it, within bounds; this is the little of it that reading certificates needs. Pure. */
import { type AsnType, fromBER } from 'asn1js'

/** A certificate has some hundred elements, one with a thousand names a thousand more. Each takes some 10 µs to read. */
const MAX_NODES = 2500
const MAX_DEPTH = 32
export const MAX_DER_BYTES = 512 * 1024
/** The longest that are given out have some thirty; time to read one grows with the square. */
const MAX_OID_BYTES = 128

export interface Node {
  /** 0 universal, 2 context-specific. */
  tagClass: number
  tag: number
  constructed: boolean
  /** The whole element as it came. */
  raw: Buffer
  content: Buffer
  children: Node[]
}

/** What is wrong with the bytes. Caught where reading begins; never leaves this folder. */
export class Malformed extends Error {}

/** @throws Malformed */
export function readTree(bytes: Buffer, maxNodes = MAX_NODES): Node {
  if (bytes.length === 0 || bytes.length > MAX_DER_BYTES) throw new Malformed('empty or too long')
  const { offset, result } = fromBER(bytes, { maxDepth: MAX_DEPTH, maxNodes })
  if (offset < 0) throw new Malformed(result.error || 'not DER')
  if (offset !== bytes.length) throw new Malformed('bytes after the end')
  return nodeOf(result)
}

function nodeOf(block: AsnType): Node {
  if (block.lenBlock.isIndefiniteForm) throw new Malformed('a length is missing')
  const raw = view(block.valueBeforeDecodeView)
  const { tagClass, tagNumber, isConstructed } = block.idBlock
  const inner: unknown = (block.valueBlock as { value?: unknown }).value
  return {
    tagClass: tagClass - 1,
    tag: tagNumber,
    constructed: isConstructed,
    raw,
    content: raw.subarray(block.idBlock.blockLength + block.lenBlock.blockLength),
    children: isConstructed && Array.isArray(inner) ? inner.map(nodeOf) : [],
  }
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export const tags = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  utcTime: 23,
  generalizedTime: 24,
} as const

/** @throws Malformed when it is missing or something else */
export function universal(node: Node | undefined, tag: number): Node {
  if (!node || node.tagClass !== 0 || node.tag !== tag) throw new Malformed('an element is missing or of another kind')
  return node
}

export function isContext(node: Node | undefined, number: number): boolean {
  return node?.tagClass === 2 && node.tag === number
}

export function oidOf(node: Node | undefined): string {
  const { content } = universal(node, tags.oid)
  if (content.length > MAX_OID_BYTES) throw new Malformed('an object identifier is too long')
  const arcs: bigint[] = []
  let value = 0n
  for (const byte of content) {
    value = (value << 7n) | BigInt(byte & 0x7f)
    if (byte & 0x80) continue
    arcs.push(value)
    value = 0n
  }
  const joint = arcs.shift()
  if (joint === undefined) throw new Malformed('an empty object identifier')
  const first = joint < 40n ? 0n : joint < 80n ? 1n : 2n
  return [first, joint - first * 40n, ...arcs].join('.')
}

/** Content of a bit string, whole bytes. */
export function bitsOf(node: Node | undefined): Buffer {
  const { content } = universal(node, tags.bitString)
  if (content.length === 0 || content[0]! > 7) throw new Malformed('a broken bit string')
  return content.subarray(1)
}

/** Numbers of the bits that are set. */
export function namedBitsOf(node: Node): number[] {
  const bytes = bitsOf(node)
  return Array.from({ length: Math.min(bytes.length, 4) * 8 }, (_, bit) => bit).filter(
    (bit) => (bytes[bit >> 3]! & (0x80 >> (bit & 7))) !== 0,
  )
}

/** BMPString is two bytes a letter; all other kinds of text that names have are read as UTF-8 or Latin-1. */
export function textOf({ tag, content }: Node): string {
  if (tag === tags.utf8) return content.toString('utf8')
  return tag === 30 ? Buffer.from(content).swap16().toString('utf16le') : content.toString('latin1')
}

export function timeOf(node: Node | undefined): Date {
  if (!node || node.tagClass !== 0) throw new Malformed('a time is missing')
  const text = node.content.toString('latin1')
  const short = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  const long = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  const match = node.tag === tags.utcTime ? short : node.tag === tags.generalizedTime ? long : null
  if (!match) throw new Malformed('a broken time')
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number)
  const [day = 0, hour = 0, minute = 0, second = 0] = rest
  // Two digits of a year mean 1950 to 2049 (RFC 5280 §4.1.2.5.1).
  const whole = node.tag === tags.utcTime ? year + (year >= 50 ? 1900 : 2000) : year
  const at = new Date(Date.UTC(whole, month - 1, day, hour, minute, second))
  if (Number.isNaN(at.getTime())) throw new Malformed('a broken time')
  return at
}
