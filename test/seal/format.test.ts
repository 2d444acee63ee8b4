/** Bytes that other versions of this program, and other programs, have to agree on. */
import assert from 'node:assert/strict'
import { createDecipheriv, createSecretKey } from 'node:crypto'
import test from 'node:test'
import { decrypt, encrypt, OVERHEAD_BYTES, termOf } from '#seal/envelope.ts'
import { packRing, unpackRing } from '#seal/ring-data.ts'
import { joinShares, splitKey } from '#seal/shamir/shares.ts'

const rawKey = Buffer.alloc(32, 7)
const key = createSecretKey(rawKey)
const storageKey = 'secret/data/äpp'
const version = 2 ** 40 + 5

test('an entry written by the first release opens', () => {
  const bytes = Buffer.from('0101020304d278a4d6e18d4dd2e2ac36fcc4c07f74b023373de85d46caf21d540d07e9f4893a6fea', 'hex')
  assert.equal(termOf(bytes), 0x01020304)
  assert.equal(decrypt(key, storageKey, version, bytes)!.toString(), '{"a":1}')
})

test('an entry is what its description says, byte for byte', () => {
  const made = encrypt(key, 0xfedcba98, storageKey, version, '{"a":"ü"}')
  const bytes = Buffer.from(made)
  assert.equal(made.buffer.byteLength, bytes.length, 'nothing else lies in the same memory')
  assert.equal(bytes.length, Buffer.byteLength('{"a":"ü"}') + OVERHEAD_BYTES)
  assert.deepEqual([bytes[0], bytes.readUInt32BE(1), termOf(bytes)], [1, 0xfedcba98, 0xfedcba98])
  const context = Buffer.concat([bytes.subarray(0, 5), Buffer.alloc(8), Buffer.from(storageKey)])
  context.writeBigUInt64BE(BigInt(version), 5)
  const decipher = createDecipheriv('aes-256-gcm', rawKey, bytes.subarray(5, 17), { authTagLength: 16 })
  decipher.setAAD(context)
  decipher.setAuthTag(bytes.subarray(-16))
  assert.equal(decipher.update(bytes.subarray(17, -16), undefined, 'utf8') + decipher.final('utf8'), '{"a":"ü"}')
})

test('every single bit of an entry matters', () => {
  const bytes = encrypt(key, 1, 'k', 1, '{"a":1}')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const copy = Uint8Array.from(bytes)
    copy[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(decrypt(key, 'k', 1, copy), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decrypt(key, 'k', 1, bytes.subarray(0, length)), undefined, `${length} bytes`)
  }
})

test('storage keys as long as they may be are bound in full; longer ones are refused', () => {
  const long = 'ä'.repeat(511)
  const bytes = encrypt(key, 1, `${long}ab`, 1, 'x')
  assert.equal(decrypt(key, `${long}ab`, 1, bytes)!.toString(), 'x')
  assert.equal(decrypt(key, `${long}ac`, 1, bytes), undefined)
  for (const tooLong of [`${long}abc`, `${long}aä`, 'x'.repeat(1025), '🔐'.repeat(400)]) {
    assert.throws(() => encrypt(key, 1, tooLong, 1, 'x'), { code: 'invalid_request' })
  }
})

test('a key ring written by the first release is read', () => {
  const term = (hex: string, count: number) => hex + Buffer.alloc(32, count).toString('hex')
  const text =
    '010141ecccccccc0000040f518000000000000000002' +
    term('000000014279b76daa80000040f0000000000000', 1) +
    term('000000024279b76db92600000000000000000000', 2)
  const bytes = Buffer.from(text, 'hex')
  const ring = unpackRing(bytes)!
  assert.deepEqual(ring.rotation, { enabled: true, maxOperations: 3_865_470_566, intervalSeconds: 86_400 })
  assert.deepEqual(
    ring.terms.map(({ term: number, installedAt, reserved, key: each }) => [
      number,
      installedAt.toISOString(),
      reserved,
      each[31],
    ]),
    [
      [1, '2026-01-01T00:00:00.000Z', 65_536, 1],
      [2, '2026-01-01T00:01:00.000Z', 0, 2],
    ],
  )
  assert.equal(packRing(ring).toString('hex'), text)
  assert.equal(unpackRing(bytes.subarray(0, -1)), undefined)
  assert.equal(unpackRing(Buffer.alloc(0)), undefined)
  assert.equal(unpackRing(Buffer.from(`02${text.slice(2)}`, 'hex')), undefined)
})

test('shares made by another server of this API join to the same key, whichever three they are', async () => {
  const shares = [
    'a8a6c98f1b3a706b122dd034c1aa99fb213256d3bccb0638b7eb92fc0dd29a9c51',
    'c4a3a448215a98fcb58873b417c66d54e36b6e76f765bbec6085a037e16bfa6dd6',
    '1900de5088586946c03e13abbb7876e03b33ed0e024b5a5022b0f74d6fb0f07b20',
    'ee4e555e087c7411f7d4d73981a47b53509ac09662e39132f2ae9d8107aef0e1fa',
    'e1657d4536c00b2039e5fd3c3b2ca0c8e7eaaa065cbf07d097ba3b7c3462f881b1',
  ].map((hex) => Buffer.from(hex, 'hex'))
  const join = async (...which: number[]) => {
    const joined = await joinShares(which.map((index) => shares[index]!))
    return joined.ok ? Buffer.from(joined.key).toString('hex') : joined.message
  }
  const expected = await join(0, 1, 2)
  assert.match(expected, /^[0-9a-f]{64}$/)
  for (const which of [
    [0, 1, 3],
    [4, 1, 0],
    [2, 3, 0],
    [0, 4, 2],
    [3, 0, 4],
    [1, 2, 3],
    [2, 4, 1],
    [4, 3, 1],
    [2, 3, 4],
    [0, 1, 2, 3, 4],
  ]) {
    assert.equal(await join(...which), expected)
  }
  assert.notEqual(await join(0, 1), expected)
})

test('splitting leaves the key as it is, and copies nothing of it into a share', async () => {
  const secret = Buffer.alloc(32, 9)
  const shares = await splitKey(secret, 5, 3)
  assert.equal(secret.toString('hex'), '09'.repeat(32))
  assert.equal(new Set(shares.map((share) => share.at(-1))).size, 5)
  assert.ok(shares.every((share) => share.at(-1) !== 0 && !Buffer.from(share).includes(secret)))
})
