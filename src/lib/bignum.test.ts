import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBytes, inverse, toBytes } from './bignum.ts'

test('bytes and numbers are the same, with zeros before them', () => {
  assert.equal(fromBytes(Buffer.from('0100', 'hex')), 256n)
  assert.equal(fromBytes(new Uint8Array([9, 1, 0]).subarray(1)), 256n)
  assert.equal(fromBytes(Buffer.alloc(0)), 0n)
  assert.equal(toBytes(256n, 4).toString('hex'), '00000100')
  assert.equal(toBytes(0n, 1).toString('hex'), '00')
  for (const [value, length] of [
    [256n, 1],
    [1n, 0],
    [-1n, 4],
  ] as const) {
    assert.throws(() => toBytes(value, length), RangeError)
  }
})

test('a number times its inverse is one', () => {
  const modulus = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  for (const value of [1n, 2n, 12345678901234567890n, modulus - 1n, -5n]) {
    assert.equal((((value * inverse(value, modulus)) % modulus) + modulus) % modulus, 1n)
  }
})
