import assert from 'node:assert/strict'
import {
  constants,
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
} from 'node:crypto'
import { test } from 'node:test'
import { base64, startTransit } from './support.ts'

type Server = Awaited<ReturnType<typeof startTransit>>

/** As any client wraps a key: RFC 8017 OAEP around a fresh AES key, RFC 5649 around the material. */
async function wrap(server: Server, material: Buffer, oaepHash = 'sha256', mount = 'transit'): Promise<string> {
  const { public_key: key } = (await server.read(`${mount}/wrapping_key`)).body.data
  const fresh = randomBytes(32)
  const cipher = createCipheriv('id-aes256-wrap-pad', fresh, Buffer.from('a65959a6', 'hex'))
  const wrapped = Buffer.concat([cipher.update(material), cipher.final()])
  const head = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, fresh)
  return Buffer.concat([head, wrapped]).toString('base64')
}

const pkcs8 = (key: KeyObject) => key.export({ format: 'der', type: 'pkcs8' })
const spkiPem = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' }) as string

test('the wrapping key is made once, also when many ask first, and is an RSA key of 4096 bits', async () => {
  await using server = await startTransit()
  const answers = await Promise.all(Array.from({ length: 3 }, () => server.read('transit/wrapping_key')))
  const keys = new Set(answers.map(({ body }) => body.data.public_key))
  assert.equal(keys.size, 1)
  assert.equal(createPublicKey([...keys][0]).asymmetricKeyDetails?.modulusLength, 4096)
})

test('imported keys do what keys of their material do', async () => {
  await using server = await startTransit()
  const raw = randomBytes(32)
  const ed = generateKeyPairSync('ed25519')
  const ec = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const materials: [string, Buffer, string][] = [
    ['aes256-gcm96', raw, 'SHA256'],
    ['chacha20-poly1305', raw, 'SHA1'],
    ['xchacha20-poly1305', raw, 'SHA224'],
    ['aes128-gcm96', raw.subarray(16), 'SHA384'],
    ['hmac', randomBytes(77), 'SHA512'],
    ['ed25519', pkcs8(ed.privateKey), 'SHA256'],
    ['ecdsa-p384', pkcs8(ec.privateKey), 'SHA256'],
    ['rsa-2048', pkcs8(rsa.privateKey), 'SHA256'],
  ]
  for (const [type, material, hash] of materials) {
    const ciphertext = await wrap(server, Buffer.from(material), hash.toLowerCase())
    const body = { type, ciphertext, hash_function: hash, exportable: true }
    const answer = await server.write(`transit/keys/${type}/import`, body)
    assert.equal(answer.status, 204, `${type} ${answer.text}`)
    const shown = (await server.read(`transit/keys/${type}`)).body.data
    assert.deepEqual([shown.type, shown.imported_key, shown.imported_key_allow_rotation], [type, true, false])
  }
  const exported = (await server.read('transit/export/encryption-key/aes256-gcm96')).body.data.keys['1']
  assert.equal(exported, raw.toString('base64'))
  const hmac = await server.write('transit/hmac/hmac', { input: base64('x') })
  const again = await server.write('transit/verify/hmac', { input: base64('x'), hmac: hmac.body.data.hmac })
  assert.deepEqual(again.body.data, { valid: true })
  const verify = async (name: string, signature: Buffer) => {
    const body = {
      input: base64('x'),
      signature: `vault:v1:${signature.toString('base64')}`,
      hash_algorithm: 'sha2-384',
    }
    return (await server.write(`transit/verify/${name}`, body)).body.data.valid
  }
  assert.equal(await verify('ed25519', sign(null, Buffer.from('x'), ed.privateKey)), true)
  assert.equal(await verify('ecdsa-p384', sign('sha384', Buffer.from('x'), ec.privateKey)), true)
  const pss = { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING }
  assert.equal(await verify('rsa-2048', sign('sha384', Buffer.from('x'), pss)), true)
})

test('what is not wrapped under this key, or is no key of the type, imports nothing', async () => {
  await using server = await startTransit()
  await server.write('sys/mounts/other', { type: 'transit' })
  const raw = randomBytes(32)
  const good = await wrap(server, raw)
  const broken = Buffer.from(good, 'base64')
  broken[600 > broken.length ? broken.length - 1 : 600]! ^= 1
  const unwrap = 'failed to unwrap the key: it is not wrapped under the wrapping key of this mount'
  const kind = 'invalid key type: expected a key of the type of this transit key'
  const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  // Ends in its public part, which here is that of another key.
  const claimed = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const claiming = Buffer.concat([pkcs8(p256.privateKey).subarray(0, -65), pkcs8(claimed.privateKey).subarray(-65)])
  const one = 'one of the following fields, ciphertext and public_key, must be set'
  const refused: [object, string][] = [
    [{}, one],
    [{ ciphertext: good, public_key: 'x' }, `only ${one.replace('must', 'can')}`],
    [{ ciphertext: 'x' }, 'illegal base64 data at input byte 0'],
    [{ ciphertext: randomBytes(512).toString('base64') }, 'ciphertext too short: expected more than 512 bytes'],
    [{ ciphertext: randomBytes(600).toString('base64') }, unwrap],
    [{ ciphertext: broken.toString('base64') }, unwrap],
    [{ ciphertext: await wrap(server, raw, 'sha256', 'other') }, unwrap],
    [{ ciphertext: await wrap(server, raw, 'sha1') }, unwrap],
    [{ ciphertext: good, hash_function: 'MD5' }, 'unsupported hash function: MD5'],
    [{ ciphertext: good, type: 'x' }, 'unknown key type x'],
    [{ ciphertext: good, type: 'aes128-gcm96' }, 'invalid key size 32 bytes for this key type'],
    [{ ciphertext: await wrap(server, raw.subarray(1)) }, 'invalid key size 31 bytes for this key type'],
    [{ ciphertext: good, type: 'rsa-2048' }, 'error parsing asymmetric key'],
    [{ ciphertext: await wrap(server, pkcs8(p256.privateKey)), type: 'ecdsa-p384' }, kind],
    [{ ciphertext: await wrap(server, pkcs8(p256.privateKey)), type: 'ed25519' }, kind],
    [
      { ciphertext: await wrap(server, claiming), type: 'ecdsa-p256' },
      'the parts of the private key do not belong together',
    ],
    [{ public_key: spkiPem(p256.publicKey), type: 'rsa-2048' }, kind],
    [{ public_key: 'x', type: 'ecdsa-p256' }, 'error parsing asymmetric key'],
    [{ ciphertext: good, auto_rotate_period: '2h' }, 'allow_rotation must be set to true if auto-rotation is enabled'],
  ]
  for (const [body, message] of refused) {
    const answer = await server.write('transit/keys/bad/import', body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [message]], message)
  }
  const clear = p256.privateKey.export({ format: 'pem', type: 'pkcs8' })
  const leaked = await server.write('transit/keys/bad/import', { public_key: clear, type: 'ecdsa-p256' })
  assert.equal(leaked.status, 400)
  assert.equal((await server.read('transit/keys/bad')).status, 404)
  await server.write('transit/keys/there', {})
  const taken = await server.write('transit/keys/there/import', { ciphertext: good })
  assert.equal(taken.status, 500)
  assert.match(taken.body.errors[0], /the import path cannot be used with an existing key/)
})

test('an imported key is rotated only if that was allowed, and then takes no more imports', async () => {
  await using server = await startTransit()
  const raw = () => randomBytes(32)
  await server.write('transit/keys/fixed/import', { ciphertext: await wrap(server, raw()) })
  const refused = await server.write('transit/keys/fixed/rotate', {})
  assert.deepEqual(refused.body.errors, [
    '1 error occurred:\n\t* imported key fixed does not allow rotation within Vault\n\n',
  ])
  const { ciphertext: first } = (await server.write('transit/encrypt/fixed', { plaintext: 'b25l' })).body.data
  assert.equal(
    (await server.write('transit/keys/fixed/import_version', { ciphertext: await wrap(server, raw()) })).status,
    204,
  )
  assert.equal((await server.read('transit/keys/fixed')).body.data.latest_version, 2)
  assert.equal((await server.write('transit/encrypt/fixed', { plaintext: 'b25l' })).body.data.key_version, 2)
  assert.equal((await server.write('transit/decrypt/fixed', { ciphertext: first })).body.data.plaintext, 'b25l')

  await server.write('transit/keys/free/import', { ciphertext: await wrap(server, raw()), allow_rotation: true })
  assert.equal((await server.write('transit/keys/free/rotate', {})).status, 200)
  await server.write('transit/keys/made', {})
  for (const name of ['free', 'made']) {
    const answer = await server.write(`transit/keys/${name}/import_version`, { ciphertext: await wrap(server, raw()) })
    assert.deepEqual(answer.body.errors, ['the import_version endpoint can only be used with an imported key'])
  }
  const none = await server.write('transit/keys/none/import_version', { ciphertext: await wrap(server, raw()) })
  assert.deepEqual(none.body.errors, ['no key found with name none; to import a new key, use the import/ endpoint'])
})

test('a public key alone verifies and encrypts, and its private part may come later, if it is its own', async () => {
  await using server = await startTransit()
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await server.write('transit/keys/rsa/import', { type: 'rsa-2048', public_key: spkiPem(own.publicKey) })
  const pss = { key: own.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING }
  const signature = `vault:v1:${sign('sha256', Buffer.from('x'), pss).toString('base64')}`
  assert.deepEqual((await server.write('transit/verify/rsa', { input: base64('x'), signature })).body.data, {
    valid: true,
  })
  const { ciphertext } = (await server.write('transit/encrypt/rsa', { plaintext: 'b25l' })).body.data
  assert.equal((await server.write('transit/decrypt/rsa', { ciphertext })).status, 400)
  assert.equal((await server.write('transit/sign/rsa', { input: base64('x') })).status, 400)
  const give = async (key: KeyObject, more: object = {}) =>
    server.write('transit/keys/rsa/import_version', { ciphertext: await wrap(server, pkcs8(key)), ...more })
  assert.deepEqual((await give(other.privateKey)).body.errors, [
    'the private key does not belong to the public key of this version',
  ])
  assert.equal((await give(own.privateKey, { version: 2 })).status, 400)
  assert.equal((await give(own.privateKey)).status, 204)
  assert.equal((await server.read('transit/keys/rsa')).body.data.latest_version, 1)
  assert.equal((await server.write('transit/decrypt/rsa', { ciphertext })).body.data.plaintext, 'b25l')
  assert.equal((await give(own.privateKey, { version: 1 })).status, 400)
  assert.equal((await give(other.privateKey)).status, 204)
  assert.equal((await server.read('transit/keys/rsa')).body.data.latest_version, 2)
})

test('a key goes from one mount to another without being shown, and only if it may', async () => {
  await using server = await startTransit()
  await server.write('sys/mounts/other', { type: 'transit' })
  const { public_key: key } = (await server.read('other/wrapping_key')).body.data
  await server.write('transit/keys/road/import', { type: 'rsa-4096', public_key: key })
  for (const type of ['aes256-gcm96', 'ed25519', 'ecdsa-p521', 'rsa-2048', 'hmac']) {
    await server.write(`transit/keys/${type}`, { type, exportable: true })
    await server.write(`transit/keys/${type}/rotate`, {})
    const { keys, type: told } = (await server.read(`transit/byok-export/road/${type}`)).body.data
    assert.deepEqual([Object.keys(keys), told], [['1', '2'], type])
    const one = (await server.read(`transit/byok-export/road/${type}/latest`)).body.data.keys
    assert.deepEqual(Object.keys(one), ['2'])
    const first = { type, ciphertext: keys['1'], exportable: true }
    assert.equal((await server.write(`other/keys/${type}/import`, first)).status, 204)
    await server.write(`other/keys/${type}/import_version`, { ciphertext: one['2'] })
    const kind = { 'aes256-gcm96': 'encryption-key', hmac: 'hmac-key' }[type] ?? 'signing-key'
    const [here, there] = [
      await server.read(`transit/export/${kind}/${type}`),
      await server.read(`other/export/${kind}/${type}`),
    ]
    assert.deepEqual(there.body.data, here.body.data)
  }
  await server.write('transit/keys/fixed', {})
  for (const [path, message] of [
    ['road/fixed', 'key is not exportable'],
    ['fixed/ed25519', 'destination key type must be RSA, got aes256-gcm96'],
    ['none/ed25519', 'no such destination key to export to'],
    ['road/none', 'no such source key for export'],
    ['road/ed25519/9', 'version does not exist or cannot be found'],
  ] as const) {
    assert.deepEqual((await server.read(`transit/byok-export/${path}`)).body.errors, [message])
  }
})

test('two servers make the same key of their own EC key and the public key of the other', async () => {
  await using server = await startTransit()
  await server.write('sys/mounts/other', { type: 'transit' })
  for (const mount of ['transit', 'other']) await server.write(`${mount}/keys/base`, { type: 'ecdsa-p384' })
  const publicOf = async (mount: string) => (await server.read(`${mount}/keys/base`)).body.data.keys['1'].public_key
  const derive = (mount: string, peer: string, more: object = {}) =>
    server.write(`${mount}/derive-key/shared`, { base_key_name: 'base', peer_public_key: peer, ...more })
  const [ours, theirs] = [await publicOf('transit'), await publicOf('other')]
  const eve = spkiPem(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey)
  const wrong: [object, RegExp][] = [
    [{ peer_public_key: 'x' }, /^invalid peer_public_key/],
    [{ peer_public_key: eve }, /^invalid peer_public_key/],
    [{ key_derivation_algorithm: 'x' }, /^unsupported key derivation algorithm x/],
    [{ derived_key_type: 'rsa-2048' }, /^unsupported derived key type rsa-2048/],
    [{ base_key_name: 'none' }, /^base key not found/],
    [{ base_key_version: 2 }, /^key version 2 cannot be used/],
  ]
  for (const [body, message] of wrong) {
    const answer = await derive('transit', theirs, body)
    assert.ok(answer.status === 400 && message.test(answer.body.errors[0]), answer.text)
  }
  assert.equal((await derive('transit', theirs)).status, 200)
  assert.equal((await derive('other', ours)).status, 200)
  const { ciphertext } = (await server.write('transit/encrypt/shared', { plaintext: 'b25l' })).body.data
  assert.equal((await server.write('other/decrypt/shared', { ciphertext })).body.data.plaintext, 'b25l')
  assert.equal((await derive('transit', theirs)).status, 500)
})
