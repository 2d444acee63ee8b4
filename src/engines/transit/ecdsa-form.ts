/** The two forms of an ECDSA signature: two numbers of fixed length behind each other, and a DER sequence of them. Pure. */
import { integer, sequence } from '#lib/der.ts'

export function fromRaw(raw: Buffer): Buffer {
  const half = raw.length / 2
  return sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)))
}

/** Undefined for what is not exactly the DER of two positive numbers of at most `fieldBytes` bytes (X.690 §8.3). */
export function toRaw(der: Buffer, fieldBytes: number): Buffer | undefined {
  const body = element(der, 0x30)
  if (!body || body.rest.length > 0) return undefined
  const r = element(body.value, 0x02)
  const s = r && element(r.rest, 0x02)
  if (!s || s.rest.length > 0) return undefined
  const [first, second] = [fixed(r.value, fieldBytes), fixed(s.value, fieldBytes)]
  return first && second && Buffer.concat([first, second])
}

function element(der: Buffer, tag: number): { value: Buffer; rest: Buffer } | undefined {
  if (der.length < 2 || der[0] !== tag) return undefined
  const long = der[1] === 0x81
  const length = long ? (der[2] ?? 0) : der[1]!
  const start = long ? 3 : 2
  // One length has one form, and no signature of these curves is longer than 255 bytes.
  if (length > 0xff || (long ? length < 0x80 : length >= 0x80) || der.length < start + length) return undefined
  return { value: der.subarray(start, start + length), rest: der.subarray(start + length) }
}

function fixed(value: Buffer, fieldBytes: number): Buffer | undefined {
  const [first, second = 0] = value
  if (first === undefined || first >= 0x80 || (first === 0 && value.length > 1 && second < 0x80)) return undefined
  const magnitude = first === 0 ? value.subarray(1) : value
  return magnitude.length > fieldBytes
    ? undefined
    : Buffer.concat([Buffer.alloc(fieldBytes - magnitude.length), magnitude])
}
