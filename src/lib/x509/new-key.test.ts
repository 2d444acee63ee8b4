import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import test from 'node:test'
import type { KeyType } from './algorithms.ts'
import { newKey } from './new-key.ts'

const kinds: [KeyType, number, string][] = [
  ['ec', 224, 'EC PRIVATE KEY'],
  ['ec', 256, 'EC PRIVATE KEY'],
  ['ec', 384, 'EC PRIVATE KEY'],
  ['ec', 521, 'EC PRIVATE KEY'],
  ['ed25519', 0, 'PRIVATE KEY'],
  ['rsa', 2048, 'RSA PRIVATE KEY'],
]

for (const [type, bits, label] of kinds) {
  test(`${type} ${bits}: both halves are what OpenSSL itself would have written, many times over`, async () => {
    // Numbers that begin with zeros come once in 256 times.
    for (let count = 0; count < (type === 'rsa' || bits > 256 ? 3 : 600); count += 1) {
      const made = await newKey(type, bits)
      assert.match(made.pem, new RegExp(`^-----BEGIN ${label}-----\n`))
      const key = createPrivateKey(made.pem)
      const kind = label === 'PRIVATE KEY' ? 'pkcs8' : type === 'rsa' ? 'pkcs1' : 'sec1'
      assert.equal(key.export({ type: kind, format: 'pem' }), made.pem)
      assert.ok(createPublicKey(key).export({ type: 'spki', format: 'der' }).equals(made.spki))
    }
  })
}

test('what one half signs the other verifies', async () => {
  const made = await newKey('ec', 256)
  const key = createPublicKey({ key: made.spki, format: 'der', type: 'spki' })
  const text = Buffer.from('hello')
  assert.ok(verify('sha256', text, key, sign('sha256', text, made.pem)))
})
