/** Writing DER, the encoding of ASN.1 that certificates are made of (X.690). Only what our structures need. Pure. */

function element(tag: number, ...parts: Uint8Array[]): Buffer {
  let bytes = 0
  for (const part of parts) bytes += part.length
  const digits = lengthBytes(bytes)
  const whole = Buffer.allocUnsafe(2 + digits + bytes)
  whole[0] = tag
  // Short form below 128, else the number of length bytes first (X.690 §8.1.3).
  if (digits === 0) whole[1] = bytes
  else {
    whole[1] = 0x80 | digits
    whole.writeUIntBE(bytes, 2, digits)
  }
  let at = 2 + digits
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function lengthBytes(bytes: number): number {
  if (bytes < 0x80) return 0
  if (bytes < 0x100) return 1
  if (bytes < 0x1_0000) return 2
  return bytes < 0x100_0000 ? 3 : 4
}

/** What stands before the content of a sequence of so many bytes, for one that is too large to be copied together. */
export function sequenceHead(bytes: number): Buffer {
  const digits = lengthBytes(bytes)
  const head = Buffer.alloc(2 + digits)
  head[0] = 0x30
  head[1] = digits === 0 ? bytes : 0x80 | digits
  if (digits > 0) head.writeUIntBE(bytes, 2, digits)
  return head
}

export const sequence = (...parts: Uint8Array[]): Buffer => element(0x30, ...parts)
/** In DER the elements of a set stand in the order of their bytes (X.690 §11.6). */
export const set = (...parts: Uint8Array[]): Buffer =>
  element(0x31, ...parts.toSorted((one, other) => Buffer.compare(one, other)))
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text))
export const printable = (text: string): Buffer => element(0x13, Buffer.from(text, 'latin1'))
export const ia5 = (text: string): Buffer => element(0x16, Buffer.from(text, 'latin1'))
export const octets = (content: Uint8Array): Buffer => element(0x04, content)
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]))
export const enumerated = (value: number): Buffer => element(0x0a, Buffer.from([value]))
export const nothing: Buffer = element(0x05)
/** `[number]` around whole elements, or in place of the tag of a constructed one when given its content. */
export const explicit = (number: number, ...parts: Uint8Array[]): Buffer => element(0xa0 | number, ...parts)
/** `[number]` in place of a primitive element's own tag. */
export const implicit = (number: number, content: Uint8Array): Buffer => element(0x80 | number, content)

/** @param unused  bits of the last byte that do not count */
export function bits(content: Uint8Array, unused = 0): Buffer {
  return element(0x03, Buffer.from([unused]), content)
}

/** Bits by their number, without zeros at the end, as DER has named bits (X.690 §11.2.2). */
export function namedBits(numbers: readonly number[]): Buffer {
  if (numbers.length === 0) return bits(Buffer.alloc(0))
  const last = Math.max(...numbers)
  const bytes = Buffer.alloc((last >> 3) + 1)
  for (const number of numbers) bytes[number >> 3]! |= 0x80 >> (number & 7)
  return bits(bytes, 7 - (last & 7))
}

/** A number of two's complement that is not negative, from its big-endian bytes. */
export function integer(magnitude: Uint8Array): Buffer {
  let at = 0
  while (at < magnitude.length - 1 && magnitude[at] === 0) at += 1
  const short = magnitude.subarray(at)
  return short[0]! >= 0x80 ? element(0x02, Buffer.from([0]), short) : element(0x02, short)
}

/** @param value  whole, from 0 to 2^53 - 1 */
export function smallInteger(value: number): Buffer {
  const hex = value.toString(16)
  return integer(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

const oids = new Map<string, Buffer>()
/** Those that certificates name stay; a caller's own ones come and go. */
const MAX_OIDS = 256

/** `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const known = oids.get(dotted)
  if (known) return known
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  const made = element(0x06, Buffer.from([first * 40n + second, ...rest].flatMap(base128)))
  if (oids.size < MAX_OIDS) oids.set(dotted, made)
  return made
}

/** Arcs of at least two, digits only, the first two as X.660 bounds them. */
export function isOid(dotted: string): boolean {
  if (dotted.length > 200 || !/^[0-2](\.(0|[1-9]\d{0,38}))+$/.test(dotted)) return false
  const [first, second] = dotted.split('.').map(Number)
  return first === 2 || second! < 40
}

function base128(value: bigint): number[] {
  const groups = [Number(value & 0x7fn)]
  for (let left = value >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80)
  return groups
}

/** UTCTime from 1950 to 2049, GeneralizedTime for all else (RFC 5280 §4.1.2.5). Years 0 to 9999. */
export function time(at: Date): Buffer {
  const year = at.getUTCFullYear()
  return year >= 1950 && year < 2050 ? element(0x17, Buffer.from(digits(at).slice(2))) : generalizedTime(at)
}

export function generalizedTime(at: Date): Buffer {
  return element(0x18, Buffer.from(digits(at)))
}

function digits(at: Date): string {
  const iso = at.toISOString()
  const part = (from: number, to: number) => iso.slice(from, to)
  return `${part(0, 4)}${part(5, 7)}${part(8, 10)}${part(11, 13)}${part(14, 16)}${part(17, 19)}Z`
}
