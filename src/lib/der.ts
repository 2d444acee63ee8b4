/** Writing DER, the encoding of ASN.1 that certificates are made of (X.690). Only what our structures need. Pure. */

function element(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([tag]), length(content.length), content])
}

/** Short form below 128, else the number of length bytes first (X.690 §8.1.3). */
function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes])
  const hex = bytes.toString(16)
  const digits = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits])
}

export const sequence = (...parts: Uint8Array[]): Buffer => element(0x30, Buffer.concat(parts))
export const set = (...parts: Uint8Array[]): Buffer => element(0x31, Buffer.concat(parts))
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text))
export const octets = (content: Uint8Array): Buffer => element(0x04, content)
export const bits = (content: Uint8Array): Buffer => element(0x03, Buffer.concat([Buffer.from([0]), content]))
export const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]))
/** `[number]` around whole elements. */
export const explicit = (number: number, content: Uint8Array): Buffer => element(0xa0 | number, content)
/** `[number]` in place of a primitive element's own tag. */
export const implicit = (number: number, content: Uint8Array): Buffer => element(0x80 | number, content)

/** A number of two's complement that is not negative, from its big-endian bytes. */
export function integer(magnitude: Uint8Array): Buffer {
  let at = 0
  while (at < magnitude.length - 1 && magnitude[at] === 0) at += 1
  const short = magnitude.subarray(at)
  return element(0x02, short[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short)
}

/** `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const groups = [value & 0x7f]
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 0x7f) | 0x80)
  return groups
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, '')
  return at.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits))
}
