/** The transit engine by way of hvac, the Python client, and of node-vault. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import createClient from 'node-vault'
import { startDev } from '#test/config/program.ts'
import { install, runPython } from './installed.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

let seen: any

before(async () => {
  await install()
  await using server = await startDev()
  seen = await runPython('transit.py', [server.address, server.root])
})

test('hvac encrypts, decrypts and rewraps, one message and many, and old versions are withdrawn', () => {
  assert.deepEqual(seen.keys, ['app'])
  assert.equal(seen.opened, base64('card number'))
  assert.deepEqual(seen.many, ['0', '1', '2', '3', '4'])
  assert.equal(seen.rewrapped, 'vault:v2:')
  assert.deepEqual(seen.too_old, {
    kind: 'InvalidRequest',
    errors: ['ciphertext or signature version is disallowed by policy (too old)'],
  })
  assert.equal(seen.trimmed, 2)
  assert.deepEqual(seen.unknown, { kind: 'InvalidRequest', errors: ['illegal base64 data at input byte 2'] })
})

test('hvac signs and verifies with each kind of key, and makes keyed hashes, hashes and random bytes', () => {
  assert.deepEqual(seen.valid, {
    ed25519: [true, false],
    'ecdsa-p256': [true, false],
    'rsa-2048': [true, false],
  })
  assert.equal(seen.hmac, true)
  assert.equal(seen.hash, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.equal(seen.random, 17)
})

test('hvac gets data keys, exports, backs up, restores and deletes', () => {
  assert.equal(seen.data_key, true)
  assert.deepEqual(seen.exported, ['2', '3'])
  assert.equal(seen.restored, base64('card number'))
  assert.deepEqual(seen.restored_twice, {
    kind: 'InternalServerError',
    errors: ['1 error occurred:\n\t* key "copy" already exists\n\n'],
  })
  assert.deepEqual(seen.deleted, { kind: 'InvalidPath', errors: [] })
})

test('node-vault makes a key, encrypts and decrypts', async () => {
  await using server = await startDev()
  // Its declarations know only some of the calls that it makes from its table of commands.
  const client = createClient({ endpoint: server.address, token: server.root }) as unknown as Record<
    string,
    (args?: object) => Promise<any>
  >
  await client['mount']!({ mount_point: 'transit', type: 'transit' })
  await client['transitCreateKey']!({ name: 'app', type: 'chacha20-poly1305' })
  const sealed = (await client['encryptData']!({ name: 'app', plaintext: base64('message') })).data.ciphertext
  const opened = await client['decryptData']!({ name: 'app', ciphertext: sealed })
  assert.equal(opened.data.plaintext, base64('message'))
  assert.equal((await client['transitReadKey']!({ name: 'app' })).data.type, 'chacha20-poly1305')
  const list = await client['transitListKeys']!()
  assert.deepEqual(list.data.keys, ['app'])
})
