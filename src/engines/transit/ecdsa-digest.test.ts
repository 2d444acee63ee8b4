import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { fromBytes, toBytes } from '#lib/bignum.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { fromRaw, toRaw } from './ecdsa-form.ts'
import { type EcdsaType, keyTypes } from './types.ts'

const orders: Record<string, bigint> = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  'P-384': 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  'P-521':
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
}

for (const name of ['ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521'] as const) {
  const type = keyTypes[name] as EcdsaType
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: type.nodeCurve })
  const ieee = { dsaEncoding: 'ieee-p1363' } as const

  test(`${name}: what is signed as a digest verifies as a message, and the other way round`, () => {
    for (const hash of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
      for (let round = 0; round < 10; round++) {
        const message = Buffer.from(`message ${round}`)
        const digest = createHash(hash).update(message).digest()
        const ours = signDigest(type, privateKey, digest)
        assert.ok(verify(hash, message, { key: publicKey, ...ieee }, ours))
        const theirs = sign(hash, message, { key: privateKey, ...ieee })
        assert.ok(verifyDigest(type, publicKey, digest, theirs))
        assert.deepEqual(toRaw(fromRaw(theirs), type.fieldBytes), theirs)
        assert.deepEqual(toRaw(sign(hash, message, privateKey), type.fieldBytes)!.length, 2 * type.fieldBytes)
      }
    }
  })

  test(`${name}: no other digest, key or signature verifies, nor the negative digest`, () => {
    const digest = createHash('sha256').update('message').digest()
    const signature = signDigest(type, privateKey, digest)
    for (let place = 0; place < signature.length; place++) {
      const changed = Buffer.from(signature)
      changed[place]! ^= 1
      assert.equal(verifyDigest(type, publicKey, digest, changed), false)
    }
    const other = generateKeyPairSync('ec', { namedCurve: type.nodeCurve }).publicKey
    assert.equal(verifyDigest(type, other, digest, signature), false)
    const n = orders[type.curve]!
    // As many bytes as the order has bits: what is signed is then the number itself.
    if (type.curve !== 'P-521') {
      const negative = toBytes(n - fromBytes(digest), type.fieldBytes)
      for (let round = 0; round < 8; round++) assert.equal(verifyDigest(type, publicKey, negative, signature), false)
    }
    const zero = Buffer.alloc(type.fieldBytes)
    const [r, s] = [signature.subarray(0, type.fieldBytes), signature.subarray(type.fieldBytes)]
    for (const wrong of [
      Buffer.concat([zero, s]),
      Buffer.concat([r, zero]),
      r,
      Buffer.alloc(0),
      Buffer.concat([r, s, s]),
    ]) {
      assert.equal(verifyDigest(type, publicKey, digest, wrong), false)
    }
    const tooBig = Buffer.concat([r, toBytes(n, type.fieldBytes)])
    assert.equal(verifyDigest(type, publicKey, digest, tooBig), false)
    // s + n is the same number modulo n, but a second signature of the same message must not be.
    const again = fromBytes(s) + n
    if (again < 1n << BigInt(type.fieldBytes * 8)) {
      assert.equal(verifyDigest(type, publicKey, digest, Buffer.concat([r, toBytes(again, type.fieldBytes)])), false)
    }
  })

  test(`${name}: a digest of zeros is a number like any other`, () => {
    for (const zeros of [Buffer.alloc(32), Buffer.alloc(type.fieldBytes)]) {
      assert.ok(verifyDigest(type, publicKey, zeros, signDigest(type, privateKey, zeros)))
    }
    assert.equal(verifyDigest(type, publicKey, Buffer.alloc(32), Buffer.alloc(2 * type.fieldBytes, 1)), false)
  })

  test(`${name}: no two signatures share a nonce`, () => {
    const digest = createHash('sha256').update('message').digest()
    const nonces = Array.from({ length: 50 }, () =>
      signDigest(type, privateKey, digest).subarray(0, 20).toString('hex'),
    )
    assert.equal(new Set(nonces).size, 50)
  })
}

test('the DER of a signature has one form only', () => {
  const raw = Buffer.concat([toBytes(128n, 32), toBytes(1n, 32)])
  const der = Buffer.from('300702020080020101', 'hex')
  assert.deepEqual(fromRaw(raw), der)
  assert.deepEqual(toRaw(der, 32), raw)
  const wrong = [
    '',
    '30',
    '3007020200800201',
    '30070202008002010100',
    '3008020200800201010',
    '30060201800201 01'.replace(' ', ''),
    '3008020300008002010 1'.replace(' ', ''),
    '300802020080020200 01'.replace(' ', ''),
    '3081070202 0080020101'.replace(' ', ''),
    '31070202008002010 1'.replace(' ', ''),
    '30070202008003010 1'.replace(' ', ''),
    `3026 0221${'01'.repeat(33)}020101`.replace(' ', ''),
    '3004020002 00'.replace(' ', ''),
  ]
  for (const hex of wrong) assert.equal(toRaw(Buffer.from(hex, 'hex'), 32), undefined, hex)
})
