/** Long numbers as bytes, and their inverses. Not in constant time: for what is public, or random each time. Pure. */

/** Big-endian. */
export function fromBytes(bytes: Uint8Array): bigint {
  return bytes.length === 0
    ? 0n
    : BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`)
}

/** Big-endian, with zeros before it. @throws RangeError if it has more than `length` bytes */
export function toBytes(value: bigint, length: number): Buffer {
  const hex = value.toString(16)
  if (value < 0n || hex.length > length * 2) throw new RangeError('the number does not fit')
  return Buffer.from(hex.padStart(length * 2, '0'), 'hex')
}

/** The number that times `value` is 1 modulo `modulus`, where there is one: Euclid's algorithm. */
export function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [((value % modulus) + modulus) % modulus, modulus, 1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b, x, y] = [b, a - quotient * b, y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}
