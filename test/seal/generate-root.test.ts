/** A root token by the shares of many: it is told encoded, to who has the one-time pad or the PGP key. */
import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'
import { startGpg } from './gpg.ts'

const gpg = startGpg({ ann: 'future-default' })
after(() => gpg[Symbol.dispose]())

const attempt = 'sys/generate-root/attempt'
const idle = {
  nonce: '',
  started: false,
  progress: 0,
  required: 2,
  complete: false,
  encoded_token: '',
  encoded_root_token: '',
  pgp_fingerprint: '',
  otp: '',
  otp_length: 28,
}

async function threeShares() {
  const server = await startServer({ ready: false })
  const { body } = await server.send('PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 })
  const keys: string[] = body.keys
  for (const key of keys.slice(0, 2)) await server.send('PUT', 'sys/unseal', { key })
  return { server, keys, token: body.root_token as string }
}

const put = (server: TestServer, where: string, body: object) => server.send('PUT', where, body, { token: null })

const xor = (encoded: string, otp: string) => {
  const pad = Buffer.from(otp)
  return Buffer.from(Buffer.from(encoded, 'base64').map((byte, at) => byte ^ pad[at]!)).toString()
}

async function policiesOf(server: TestServer, token: string) {
  return (await server.read('auth/token/lookup-self', token)).body.data
}

test('enough shares make a root token under the one-time pad that was told at the start', async () => {
  const { server, keys } = await threeShares()
  await using _ = server
  assert.deepEqual((await server.read(attempt, null)).body, idle)
  const { body: begun } = await put(server, attempt, {})
  assert.match(begun.otp, /^[0-9A-Za-z]{28}$/)
  assert.deepEqual(begun, { ...idle, nonce: begun.nonce, started: true, otp: begun.otp })
  assert.equal((await server.read(attempt, null)).body.otp, '')
  const { nonce } = begun
  const { body: first } = await put(server, 'sys/generate-root/update', { key: keys[2], nonce })
  assert.deepEqual(first, { ...idle, nonce, started: true, progress: 1, otp_length: 0 })
  const { body: done } = await put(server, 'sys/generate-root/update', { key: keys[0], nonce })
  const encoded = done.encoded_token
  assert.deepEqual(done, {
    ...first,
    progress: 2,
    complete: true,
    encoded_token: encoded,
    encoded_root_token: encoded,
  })
  assert.ok(!encoded.endsWith('='))
  const token = xor(encoded, begun.otp)
  const { policies, path, orphan, ttl } = await policiesOf(server, token)
  assert.deepEqual([policies, path, orphan, ttl], [['root'], 'auth/token/root', true, 0])
  assert.deepEqual((await server.read(attempt, null)).body, idle)
  const { body: decoded } = await put(server, 'sys/decode-token', { encoded_token: encoded, otp: begun.otp })
  assert.equal(decoded.data.token, token)
})

test('a pad of 28 or of 26 characters gives a token as long as it is', async () => {
  const { server, keys } = await threeShares()
  await using _ = server
  for (const [otp, shape] of [
    ['BMjzW3wAsEzINXCM05Wbas3u9zSl', /^hvs\.[0-9A-Za-z]{24}$/],
    ['ygs0vL8GIxu0AjRVEmJ5jLCVq8', /^s\.[0-9A-Za-z]{24}$/],
  ] as const) {
    const { nonce, otp: told } = (await put(server, attempt, { otp })).body
    assert.equal(told, '')
    await put(server, 'sys/generate-root/update', { key: keys[1], nonce })
    const { body } = await put(server, 'sys/generate-root/update', { key: keys[0], nonce })
    const token = xor(body.encoded_root_token, otp)
    assert.match(token, shape)
    assert.deepEqual((await policiesOf(server, token)).policies, ['root'])
  }
})

test('with a PGP key only its holder learns the token', async () => {
  const { server, keys } = await threeShares()
  await using _ = server
  const { body: begun } = await put(server, attempt, { pgp_key: gpg.publicKey('ann') })
  assert.deepEqual([begun.pgp_fingerprint, begun.otp], [gpg.fingerprint('ann'), ''])
  const { nonce } = begun
  await put(server, 'sys/generate-root/update', { key: keys[1], nonce })
  const { body } = await put(server, 'sys/generate-root/update', { key: keys[0], nonce })
  assert.equal(body.pgp_fingerprint, gpg.fingerprint('ann'))
  const token = gpg.decrypt(Buffer.from(body.encoded_token, 'base64'))
  assert.deepEqual((await policiesOf(server, token)).policies, ['root'])
})

test('every refusal has the text of the API, and no token comes of it', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const refused = async (where: string, body: object, message: RegExp) => {
    const answer = await put(server, where, body)
    assert.equal(answer.status, 400, JSON.stringify(answer.body))
    assert.match(answer.body.errors[0], message)
  }
  const update = 'sys/generate-root/update'
  const accessors = async () => (await server.list('auth/token/accessors', token)).body.data.keys.length
  await refused(update, { key: keys[0], nonce: 'x' }, /^no root generation in progress$/)
  await refused(attempt, { otp: 'short' }, /^OTP string is wrong length$/)
  await refused(attempt, { pgp_key: 'AAAA' }, /^error parsing given PGP key/)
  const { nonce } = (await put(server, attempt, {})).body
  await refused(attempt, {}, /^root generation already in progress$/)
  await refused(update, { nonce }, /^'key' must be specified in request body as JSON$/)
  await refused(update, { key: 'ab', nonce }, /^invalid key: key is shorter than minimum 16 bytes$/)
  await refused(update, { key: keys[0], nonce: 'x' }, new RegExp(`^incorrect nonce .*"${nonce}"$`))
  await put(server, update, { key: keys[0], nonce })
  await refused(update, { key: keys[0], nonce }, /^given key has already been provided/)
  // A share ends in its x, and two of one x make no key at all.
  const wrong = '00'.repeat(32) + (keys[0]!.endsWith('07') ? '08' : '07')
  await refused(update, { key: wrong, nonce }, /^root generation aborted: unable to retrieve/)
  assert.equal((await server.read(attempt, null)).body.progress, 0)
  await put(server, update, { key: keys[0], nonce })
  assert.equal((await server.delete(attempt, null)).status, 204)
  await refused(update, { key: keys[1], nonce }, /^no root generation in progress$/)
  await refused('sys/decode-token', { encoded_token: 'AAAA', otp: 'ab' }, /^error xoring token/)
  await refused('sys/decode-token', { otp: 'ab' }, /^missing encoded token$/)
  assert.equal(await accessors(), 1)
})

test('sealing ends a generation, and sealed nothing is told', async () => {
  const { server, keys } = await threeShares()
  await using _ = server
  const { nonce } = (await put(server, attempt, {})).body
  await put(server, 'sys/generate-root/update', { key: keys[0], nonce })
  await server.node.sealNow()
  assert.deepEqual((await server.read(attempt, null)).body, { errors: ['Vault is sealed'] })
  assert.equal((await put(server, 'sys/generate-root/update', { key: keys[1], nonce })).status, 503)
  for (const key of keys.slice(0, 2)) await server.send('PUT', 'sys/unseal', { key })
  assert.deepEqual((await server.read(attempt, null)).body, idle)
})

test('sys/generate-root-token is the same for who wants to be asked for a token', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const where = 'sys/generate-root-token'
  assert.equal((await server.write(`${where}/attempt`, {}, null)).status, 403)
  const { otp, nonce } = (await server.write(`${where}/attempt`, {}, token)).body
  assert.equal((await server.write(`${where}/update`, { key: keys[0], nonce }, null)).status, 403)
  await server.write(`${where}/update`, { key: keys[0], nonce }, token)
  const { body } = await server.write(`${where}/update`, { key: keys[1], nonce }, token)
  assert.deepEqual((await policiesOf(server, xor(body.encoded_token, otp))).policies, ['root'])
})

test('sys/ha-status tells of the one server there is', async () => {
  const { server, token } = await threeShares()
  await using _ = server
  assert.equal((await server.read('sys/ha-status', null)).status, 403)
  const { body } = await server.read('sys/ha-status', token)
  assert.equal(body.nodes.length, 1)
  assert.deepEqual([body.nodes[0].active_node, body.nodes[0].last_echo], [true, null])
  assert.deepEqual(body.data.nodes, body.nodes)
})
