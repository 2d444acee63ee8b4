import assert from 'node:assert/strict'
import { constants, createHash, generateKeyPairSync, privateEncrypt, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { signatureHash } from './hashes.ts'
import { type SaltLength, signPkcs1, signPss, verifyPkcs1, verifyPss } from './rsa-digest.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const names = ['sha1', 'sha2-224', 'sha2-256', 'sha2-384', 'sha2-512', 'sha3-224', 'sha3-256', 'sha3-384', 'sha3-512']
const message = Buffer.from('message')

for (const name of names) {
  const hash = signatureHash(name)!
  const digest = createHash(hash.node).update(message).digest()
  const other = createHash(hash.node).update('other').digest()

  test(`${name}: PKCS #1 v1.5 of a digest is that of the message`, () => {
    const signature = signPkcs1(privateKey, digest, hash)
    assert.deepEqual(signature, sign(hash.node, message, privateKey))
    assert.ok(verifyPkcs1(publicKey, digest, hash, signature))
    assert.ok(!verifyPkcs1(publicKey, other, hash, signature))
  })

  test(`${name}: PSS of a digest is known to OpenSSL, and that of OpenSSL here`, () => {
    const lengths: [SaltLength, number][] = [
      ['auto', constants.RSA_PSS_SALTLEN_MAX_SIGN],
      ['hash', constants.RSA_PSS_SALTLEN_DIGEST],
      [1, 1],
      [17, 17],
    ]
    for (const [ours, theirs] of lengths) {
      const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: theirs }
      const signature = signPss(privateKey, digest, hash, ours)
      assert.ok(verify(hash.node, message, { key: publicKey, ...padding }, signature))
      const foreign = sign(hash.node, message, { key: privateKey, ...padding })
      for (const each of [signature, foreign]) {
        assert.ok(verifyPss(publicKey, digest, hash, ours, each))
        assert.ok(verifyPss(publicKey, digest, hash, 'auto', each))
        assert.ok(!verifyPss(publicKey, other, hash, 'auto', each))
        assert.ok(!verifyPss(publicKey, digest, hash, 3, each))
      }
    }
  })
}

test('no other signature verifies', () => {
  const hash = signatureHash('sha2-256')!
  const digest = createHash('sha256').update(message).digest()
  for (const [signature, check] of [
    [signPkcs1(privateKey, digest, hash), (bytes: Buffer) => verifyPkcs1(publicKey, digest, hash, bytes)],
    [signPss(privateKey, digest, hash, 'auto'), (bytes: Buffer) => verifyPss(publicKey, digest, hash, 'auto', bytes)],
  ] as const) {
    assert.ok(check(signature))
    for (let place = 0; place < signature.length; place++) {
      const changed = Buffer.from(signature)
      changed[place]! ^= 1
      assert.ok(!check(changed))
    }
    for (const wrong of [Buffer.alloc(0), signature.subarray(1), Buffer.alloc(256), Buffer.alloc(256, 0xff)]) {
      assert.ok(!check(wrong))
    }
  }
})

test('a PSS block with anything wrong in it does not verify', () => {
  const hash = signatureHash('sha2-256')!
  const digest = createHash('sha256').update(message).digest()
  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  const blockOf = ({ padding = 0, separator = 1, end = 0xbc, high = 0, salt = Buffer.alloc(32, 5) }) => {
    const sum = sha256(Buffer.alloc(8), digest, salt)
    const zeros = Buffer.alloc(256 - 34 - salt.length)
    zeros[10] = padding
    const block = Buffer.concat([zeros, Buffer.from([separator]), salt])
    const counts = Array.from({ length: 7 }, (_, count) => sha256(sum, Buffer.from([0, 0, 0, count])))
    const mask = Buffer.concat(counts)
    const masked = Buffer.from(block.map((byte, index) => byte ^ mask[index]!))
    masked[0] = (masked[0]! & 0x7f) | high
    return Buffer.concat([masked, sum, Buffer.from([end])])
  }
  const check = (block: Buffer) => {
    const signature = privateEncrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, block)
    return verifyPss(publicKey, digest, hash, 'auto', signature)
  }
  assert.ok(check(blockOf({})))
  for (const wrong of [{ padding: 7 }, { separator: 2 }, { separator: 0 }, { end: 0xbb }]) {
    assert.ok(!check(blockOf(wrong)), JSON.stringify(wrong))
  }
  assert.ok(!check(Buffer.alloc(256)))
})

test('a salt that has no room in the key is refused', () => {
  const hash = signatureHash('sha2-256')!
  const digest = createHash('sha256').update(message).digest()
  assert.throws(() => signPss(privateKey, digest, hash, 256 - 32 - 1), RangeError)
  const longest = signPss(privateKey, digest, hash, 256 - 32 - 2)
  assert.ok(verifyPss(publicKey, digest, hash, 'auto', longest))
})
