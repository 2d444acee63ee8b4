/** What a server answers without its barrier: init, unseal, seal-status, health, leader. */
import assert from 'node:assert/strict'
import { rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import test from 'node:test'
import { sendTo, startServer, type TestServer } from '#test/server.ts'
import { before, eventually, hold, meeting } from '#test/request/stage.ts'

const health = (server: TestServer, query = '') => server.read(`sys/health${query}`, null)

test('health tells the state by its status, and every query can change it', async () => {
  await using server = await startServer({ ready: false })
  assert.equal((await health(server)).status, 501)
  assert.equal((await health(server, '?uninitcode=299')).status, 299)
  const { body: made } = await server.send(
    'PUT',
    'sys/init',
    { secret_shares: 1, secret_threshold: 1 },
    { token: null },
  )
  assert.equal((await health(server)).status, 503)
  assert.equal((await health(server, '?sealedcode=204&uninitcode=299')).status, 204)
  await server.write('sys/unseal', { key: made.keys_base64[0] }, null)
  const { status, body } = await health(server)
  assert.equal(status, 200)
  assert.deepEqual([body.initialized, body.sealed, body.standby], [true, false, false])
  assert.match(body.version, /^\d+\.\d+\.\d+/)
  assert.equal((await health(server, '?activecode=202&standbycode=299&sealedcode=299')).status, 202)
  for (const query of [
    'standbyok',
    'standbyok=true',
    'standbyok=whatever',
    'perfstandbyok=1',
    'drsecondarycode=299',
    'performancestandbycode=299',
    'removedcode=299',
    'haunhealthycode=299',
    'unknown=1',
  ]) {
    assert.equal((await health(server, `?${query}`)).status, 200, query)
  }
  for (const query of ['activecode=99', 'activecode=600', 'activecode=x', 'sealedcode=-1', 'uninitcode=1e9']) {
    assert.equal((await health(server, `?${query}`)).status, 400, query)
  }
})

test('nobody can have an answer by which a proxy takes the connection for something else', async () => {
  await using server = await startServer()
  for (const code of [100, 101, 103, 199]) {
    const socket = connect(server.port, '127.0.0.1')
    // A proxy that sees 101 to a request of this kind passes on all that follows, unread and as its own.
    socket.end(
      `GET /v1/sys/health?activecode=${code} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    const text = Buffer.concat(await socket.toArray()).toString()
    assert.match(text, /^HTTP\/1\.1 400 /, String(code))
  }
})

test('HEAD answers as GET does, without a body', async () => {
  await using server = await startServer({ ready: false })
  for (const [where, status] of [
    ['sys/health', 501],
    ['sys/health?uninitcode=200', 200],
    ['sys/seal-status', 200],
    ['sys/init', 200],
    ['sys/leader', 200],
    ['sys/mounts', 503],
  ] as const) {
    const answer = await server.send('HEAD', where)
    assert.deepEqual([answer.status, answer.text], [status, ''], where)
  }
})

test('methods that a bare path does not have are refused, and so is everything else while sealed', async () => {
  await using server = await startServer({ ready: false })
  for (const [method, where] of [
    ['POST', 'sys/health'],
    ['DELETE', 'sys/init'],
    ['GET', 'sys/unseal'],
    ['PUT', 'sys/leader'],
  ] as const) {
    assert.equal(
      (await server.send(method, where, method === 'PUT' ? {} : undefined)).status,
      405,
      `${method} ${where}`,
    )
  }
  for (const where of ['sys/mounts', 'sys/healthy', 'sys/init/x', 'sys/seal', 'secret/x', 'sys/wrapping/unwrap']) {
    const answer = await server.read(where)
    assert.deepEqual([answer.status, answer.body], [503, { errors: ['Vault is sealed'] }], where)
  }
})

test('of ten that initialise at once, one gets the keys', async () => {
  await using server = await startServer({ ready: false })
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => server.send('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })),
  )
  assert.equal(answers.filter(({ body }) => body.root_token !== undefined).length, 1)
  assert.equal(answers.filter(({ status }) => status === 400).length, 9)
})

test('init takes empty lists of PGP keys as none, and refuses what it cannot do', async () => {
  await using server = await startServer({ ready: false })
  const init = (body: unknown) => server.send('PUT', 'sys/init', body, { token: null })
  const share = { secret_shares: 1, secret_threshold: 1 }
  assert.equal((await init({ ...share, pgp_keys: ['mQEN'] })).status, 400)
  assert.equal((await init({ ...share, root_token_pgp_key: 'mQEN' })).status, 400)
  assert.equal((await init({ secret_shares: 2, secret_threshold: 3 })).status, 400)
  assert.equal((await server.read('sys/init', null)).body.initialized, false)
  assert.equal((await init({ ...share, pgp_keys: [], root_token_pgp_key: '' })).status, 200)
  assert.equal((await init(share)).status, 400)
})

test('shares are counted, forgotten when asked, and wrong ones refused', async () => {
  await using server = await startServer({ ready: false })
  const made = (await server.send('PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 })).body
  const unseal = async (body: unknown) => await server.write('sys/unseal', body, null)
  assert.equal((await unseal({ key: made.keys[0] })).body.progress, 1)
  assert.equal((await unseal({ key: made.keys[0] })).body.progress, 1)
  assert.equal((await unseal({ reset: true })).body.progress, 0)
  assert.equal((await unseal({ key: made.keys_base64[1] })).body.progress, 1)
  for (const body of [{}, { key: '' }, { key: 'not a key' }]) {
    assert.equal((await unseal(body)).status, 400, JSON.stringify(body))
  }
  const migrating = await unseal({ key: made.keys[0], migrate: true })
  assert.deepEqual(
    [migrating.status, migrating.body.errors],
    [500, ["can't perform a seal migration, no migration seal found"]],
  )
  assert.equal((await server.read('sys/seal-status', null)).body.progress, 1)
  assert.equal((await unseal({ key: `${'0'.repeat(66)}` })).status, 400)
  for (const key of made.keys.slice(1)) await unseal({ key })
  const { sealed, cluster_name } = (await server.read('sys/seal-status', null)).body
  assert.equal(sealed, false)
  assert.equal(typeof cluster_name, 'string')
})

test('requests under way when the server is sealed end, and none of them answers with what it may no longer read', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  const held = await hold(server, 'secret/data/app', 'read')
  const reading = server.read('secret/data/app')
  await held.reached
  assert.equal((await server.write('sys/seal', {})).status, 204)
  assert.equal((await server.read('secret/data/app')).status, 503)
  held.release()
  const late = await reading
  assert.equal(late.status, 503)
  assert.doesNotMatch(late.text, /opensesame/)
  await eventually(async () => server.logged.at(-1) === 'sealed')
  assert.equal((await server.write('sys/unseal', { key: server.unsealKey }, null)).body.sealed, false)
  assert.equal((await server.read('secret/data/app')).status, 200)
})

test('a token good for one request can seal the server, and is spent', async () => {
  await using server = await startServer()
  await server.send('PUT', 'sys/policies/acl/sealer', {
    policy: 'path "sys/seal" { capabilities = ["update", "sudo"] }',
  })
  const token = await server.login(['sealer'], { num_uses: 1 })
  assert.equal((await server.write('sys/seal', {}, token)).status, 204)
  await eventually(async () => server.logged.at(-1) === 'sealed')
  await server.write('sys/unseal', { key: server.unsealKey }, null)
  assert.equal((await server.write('sys/seal', {}, token)).status, 403)
})

test('sealed and unsealed by many at once, the server ends in a state that it tells truly', async () => {
  await using server = await startServer({ secret: true })
  for (let round = 0; round < 5; round += 1) {
    await before(server, 'sys/seal', 'update', meeting(3))
    await Promise.all(Array.from({ length: 3 }, () => server.write('sys/seal', {})))
    await Promise.all(Array.from({ length: 3 }, () => server.write('sys/unseal', { key: server.unsealKey }, null)))
    assert.equal((await health(server)).status, 200)
    assert.equal((await server.read('sys/mounts')).status, 200)
  }
})

test('an unseal that cannot open the ledger leaves the server sealed, and the next one works', async () => {
  await using server = await startServer()
  await server.write('sys/seal', {})
  await eventually(async () => server.logged.at(-1) === 'sealed')
  const kept = `${server.ledgerFolder}-kept`
  await rename(server.ledgerFolder, kept)
  await writeFile(server.ledgerFolder, 'in the way')
  const failed = await server.write('sys/unseal', { key: server.unsealKey }, null)
  assert.equal(failed.status, 500)
  assert.equal((await health(server)).status, 503)
  assert.equal((await server.read('sys/mounts')).status, 503)
  await rm(server.ledgerFolder)
  await rename(kept, server.ledgerFolder)
  assert.equal((await server.write('sys/unseal', { key: server.unsealKey }, null)).body.sealed, false)
  assert.equal((await server.read('sys/mounts')).status, 200)
})

test('help of bare paths needs no token', async () => {
  await using server = await startServer({ ready: false })
  for (const where of ['sys/health', 'sys/init', 'sys/unseal', 'sys/seal-status', 'sys/leader']) {
    const answer = await sendTo(server.port, 'GET', `${where}?help=1`, undefined, {})
    assert.equal(answer.status, 200, where)
    assert.match(answer.body.help, new RegExp(`^${where}\n`))
  }
})

test('a new term of the key is made when asked, by those who may', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { v: 1 } })
  const term = async () => (await server.read('sys/key-status')).body.data.term
  const first = await term()
  assert.equal((await server.send('PUT', 'sys/rotate', {})).status, 204)
  assert.equal((await server.send('PUT', 'sys/rotate/keyring', {})).status, 204)
  assert.equal(await term(), first + 2)
  assert.equal((await server.read('secret/data/app')).status, 200)
  await server.send('PUT', 'sys/policies/acl/no-sudo', { policy: 'path "sys/*" { capabilities = ["read", "update"] }' })
  const token = await server.login(['no-sudo'])
  assert.equal((await server.write('sys/rotate', {}, token)).status, 403)
  assert.equal((await server.write('sys/seal', {}, token)).status, 403)
  const config = (await server.read('sys/rotate/config')).body.data
  assert.equal((await server.write('sys/rotate/config', { interval: '48h' })).status, 204)
  assert.deepEqual((await server.read('sys/rotate/keyring/config')).body.data, { ...config, interval: 172_800 })
  assert.equal((await server.write('sys/rotate/config', { interval: '1h' })).status, 400)
  assert.equal((await server.write('sys/rotate/config', { max_operations: 5 })).status, 400)
})
