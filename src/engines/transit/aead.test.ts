import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decrypt, encrypt, freshNonce, hchacha20 } from './aead.ts'
import { type AeadType, keyTypes } from './types.ts'

const none = Buffer.alloc(0)
const types = Object.entries(keyTypes).filter((each): each is [string, AeadType] => each[1].family === 'aead')

test('HChaCha20 gives the key of the published example (draft-irtf-cfrg-xchacha §2.2.1)', () => {
  const key = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex')
  const nonce = Buffer.from('000000090000004a0000000031415927', 'hex')
  assert.equal(
    hchacha20(key, nonce).toString('hex'),
    '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc',
  )
})

test('XChaCha20-Poly1305 gives the published example (draft-irtf-cfrg-xchacha §A.3.1)', () => {
  const key = Buffer.from('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f', 'hex')
  const nonce = Buffer.from('404142434445464748494a4b4c4d4e4f5051525354555657', 'hex')
  const text =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
  const associated = Buffer.from('50515253c0c1c2c3c4c5c6c7', 'hex')
  const type = keyTypes['xchacha20-poly1305'] as AeadType
  const sealed = encrypt(type, key, nonce, Buffer.from(text), associated)
  assert.equal(sealed.subarray(-16).toString('hex'), 'c0875924c1c7987947deafd8780acf49')
  assert.equal(sealed.subarray(24, 40).toString('hex'), 'bd6d179d3e83d43b9576579493c0e939')
  assert.equal(decrypt(type, key, sealed, associated)?.toString(), text)
})

for (const [name, type] of types) {
  test(`${name}: no bit of a message may change, nor its associated data`, () => {
    const key = Buffer.alloc(type.keyBytes, 7)
    const sealed = encrypt(type, key, freshNonce(type.nonceBytes), Buffer.from('message'), Buffer.from('data'))
    assert.equal(decrypt(type, key, sealed, Buffer.from('data'))?.toString(), 'message')
    for (let place = 0; place < sealed.length; place++) {
      const changed = Buffer.from(sealed)
      changed[place]! ^= 1
      assert.equal(decrypt(type, key, changed, Buffer.from('data')), undefined)
    }
    assert.equal(decrypt(type, key, sealed, none), undefined)
    assert.equal(decrypt(type, Buffer.alloc(type.keyBytes, 8), sealed, Buffer.from('data')), undefined)
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(decrypt(type, key, sealed.subarray(0, length), Buffer.from('data')), undefined)
    }
  })
}

test('no two nonces are alike, also where the stock of random bytes is renewed', () => {
  const nonces = Array.from({ length: 5000 }, (_, index) => freshNonce(index % 2 === 0 ? 12 : 24).toString('hex'))
  assert.equal(new Set(nonces).size, nonces.length)
  assert.equal(new Set(nonces.map((nonce) => nonce.slice(0, 24))).size, nonces.length)
})
