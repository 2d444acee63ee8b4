/** Response wrapping: one look, by whoever holds the token, and nothing else that the token is good for. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'
import { meeting } from '#test/request/stage.ts'

const invalid = { errors: ['wrapping token is not valid or does not exist'] }
const wrapFor = (ttl: string, token?: string) => ({ headers: { 'x-vault-wrap-ttl': ttl }, ...(token && { token }) })

async function wrapped(server: TestServer, data: unknown = { password: 'opensesame' }, ttl = '60'): Promise<any> {
  const answer = await server.send('POST', 'sys/wrapping/wrap', data, wrapFor(ttl))
  assert.equal(answer.status, 200, answer.text)
  return answer.body.wrap_info
}

test('what was wrapped comes out once, by header or by body', async () => {
  await using server = await startServer()
  for (const open of [
    (token: string) => server.write('sys/wrapping/unwrap', {}, token),
    (token: string) => server.write('sys/wrapping/unwrap', { token }),
    (token: string) => server.write('sys/wrapping/unwrap', { token }, null),
  ]) {
    const { token, ttl, creation_path } = await wrapped(server)
    assert.deepEqual([ttl, creation_path], [60, 'sys/wrapping/wrap'])
    assert.deepEqual((await open(token)).body.data, { password: 'opensesame' })
    const again = await open(token)
    assert.deepEqual([again.status, again.body], [400, invalid])
  }
})

test('of twenty who open it at once, one gets it', async () => {
  await using server = await startServer()
  const { token } = await wrapped(server)
  const { tokens } = server.node.core
  const lookup = tokens.lookup.bind(tokens)
  const meet = meeting(20)
  tokens.lookup = async (...given) => {
    const found = await lookup(...given)
    if (given[0] === token) await meet()
    return found
  }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      server.write(`sys/wrapping/unwrap`, n % 2 ? {} : { token }, n % 2 ? token : null),
    ),
  )
  assert.equal(answers.filter(({ text }) => text.includes('opensesame')).length, 1)
  assert.equal(answers.filter(({ status }) => status === 400).length, 19)
})

test('it can be looked at without being opened, by anybody who holds it', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z' })
  const { token } = await wrapped(server)
  const expected = { creation_path: 'sys/wrapping/wrap', creation_time: '2026-01-01T00:00:00Z', creation_ttl: 60 }
  assert.deepEqual((await server.write('sys/wrapping/lookup', { token }, null)).body.data, expected)
  assert.deepEqual((await server.read('sys/wrapping/lookup', token)).body.data, expected)
  assert.equal((await server.write('sys/wrapping/unwrap', { token })).status, 200)
  assert.deepEqual((await server.write('sys/wrapping/lookup', { token }, null)).body, invalid)
})

test('it ends with its time', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z' })
  const { token } = await wrapped(server)
  server.tick(60)
  for (const where of ['sys/wrapping/unwrap', 'sys/wrapping/lookup', 'sys/wrapping/rewrap']) {
    assert.deepEqual((await server.write(where, { token })).body, invalid, where)
  }
})

test('rewrapped, only the new token is good, for as long as the old one was, and only for those who may', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z' })
  const first = await wrapped(server)
  for (const token of [await server.login(['default']), null, first.token]) {
    const other = token === first.token ? (await wrapped(server)).token : token
    assert.equal((await server.write('sys/wrapping/rewrap', { token: first.token }, other)).status, 403)
  }
  server.tick(30)
  const { wrap_info: second } = (await server.write('sys/wrapping/rewrap', { token: first.token })).body
  assert.deepEqual([second.ttl, second.creation_path], [60, 'sys/wrapping/wrap'])
  assert.deepEqual((await server.write('sys/wrapping/unwrap', { token: first.token })).body, invalid)
  server.tick(59)
  assert.deepEqual((await server.write('sys/wrapping/unwrap', {}, second.token)).body.data, { password: 'opensesame' })
})

test('other tokens are not wrapping tokens, and live on after the attempt', async () => {
  await using server = await startServer()
  const service = await server.login(['default'])
  const batch = await server.login(['default'], { type: 'batch' })
  for (const where of ['sys/wrapping/unwrap', 'sys/wrapping/lookup', 'sys/wrapping/rewrap']) {
    for (const token of [server.root, service, batch, 'hvs.nonsense', 'x'.repeat(10_000)]) {
      const answer = await server.write(where, { token })
      assert.deepEqual([answer.status, answer.body], [400, invalid], `${where} ${token.slice(0, 8)}`)
    }
  }
  assert.equal((await server.write('sys/wrapping/unwrap', {}, null)).status, 400)
  for (const token of [server.root, service, batch]) {
    assert.equal((await server.read('auth/token/lookup-self', token)).status, 200)
  }
  await server.write('sys/auth/approle', { type: 'approle' })
  const role = { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1/32', token_policies: 'response-wrapping' }
  for (const token_type of ['service', 'batch']) {
    await server.write('auth/approle/role/x', { ...role, token_type, token_no_default_policy: true })
    const { role_id } = (await server.read('auth/approle/role/x/role-id')).body.data
    const { client_token: token, policies } = (await server.write('auth/approle/login', { role_id }, null)).body.auth
    assert.deepEqual(policies, ['response-wrapping'])
    for (const where of ['sys/wrapping/unwrap', 'sys/wrapping/lookup']) {
      assert.deepEqual((await server.write(where, { token })).body, invalid, token_type)
    }
  }
  for (const policies of [['response-wrapping'], ['Response-Wrapping', 'default']]) {
    assert.equal((await server.write('auth/token/create', { policies })).status, 400)
  }
})

test('a wrapping token used as a token can do nothing, and is gone after that', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { v: 1 } })
  for (const [method, where] of [
    ['GET', 'secret/data/app'],
    ['GET', 'auth/token/lookup-self'],
    ['POST', 'auth/token/create'],
    ['POST', 'auth/token/renew-self'],
    ['GET', 'cubbyhole/x'],
    ['GET', 'sys/mounts'],
    ['POST', 'sys/wrapping/wrap'],
  ] as const) {
    const { token } = await wrapped(server)
    const answer = await server.send(method, where, method === 'POST' ? {} : undefined, { token })
    assert.equal(answer.status, 403, where)
    assert.doesNotMatch(answer.text, /opensesame/)
    assert.deepEqual((await server.write('sys/wrapping/unwrap', { token })).body, invalid, where)
  }
})

test('revoked, it takes with it what it held', async () => {
  await using server = await startServer()
  const info = await wrapped(server)
  const storage = server.node.seal.barrier!.storage('core/wrapping/')
  assert.equal((await storage.keys('')).length, 1)
  assert.equal((await server.write('auth/token/revoke-accessor', { accessor: info.accessor })).status, 204)
  assert.deepEqual(await storage.keys(''), [])
  assert.deepEqual((await server.write('sys/wrapping/unwrap', { token: info.token })).body, invalid)
})

test('a new token and a log-in can be wrapped, and are told of by their accessor only', async () => {
  await using server = await startServer()
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1/32' })
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  for (const [where, body] of [
    ['auth/token/create', { policies: ['default'] }],
    ['auth/approle/login', { role_id }],
  ] as const) {
    const answer = await server.send('POST', where, body, wrapFor('5m'))
    assert.deepEqual([answer.body.auth, answer.body.data, answer.body.wrap_info.ttl], [null, null, 300])
    const { auth } = (await server.write('sys/wrapping/unwrap', {}, answer.body.wrap_info.token)).body
    assert.equal(auth.accessor, answer.body.wrap_info.wrapped_accessor)
    assert.doesNotMatch(answer.text, new RegExp(auth.client_token))
    assert.equal((await server.read('auth/token/lookup-self', auth.client_token)).status, 200)
  }
})

test('a policy can ask for wrapping, within bounds', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  await server.send('PUT', 'sys/policies/acl/wrapped', {
    policy: `path "secret/data/*" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "5m" }`,
  })
  const token = await server.login(['wrapped'])
  for (const [ttl, status] of [
    ['59s', 403],
    ['60s', 200],
    ['5m', 200],
    ['301', 403],
    ['0', 403],
    ['-60', 400],
    ['soon', 400],
  ] as const) {
    const answer = await server.send('GET', 'secret/data/app', undefined, wrapFor(ttl, token))
    assert.equal(answer.status, status, ttl)
    assert.doesNotMatch(answer.text, /opensesame/, ttl)
  }
  assert.equal((await server.read('secret/data/app', token)).status, 403)
})

test('a very long time is a time, and a longer one is refused', async () => {
  await using server = await startServer()
  const { token, ttl } = await wrapped(server, { a: 1 }, '9223372036')
  assert.equal(ttl, 9_223_372_036)
  assert.equal((await server.write('sys/wrapping/unwrap', { token })).status, 200)
  assert.equal((await server.send('POST', 'sys/wrapping/wrap', {}, wrapFor('9223372037'))).status, 400)
})

test('nothing is wrapped where nobody asked, nor where there is nothing to say', async () => {
  await using server = await startServer({ secret: true })
  const plain = await server.write('sys/wrapping/wrap', { a: 1 })
  assert.deepEqual([plain.status, plain.body.errors], [400, ['endpoint requires response wrapping to be used']])
  const missing = await server.send('GET', 'secret/data/none', undefined, wrapFor('60'))
  assert.deepEqual([missing.status, missing.body], [404, { errors: [] }])
  assert.equal((await server.send('POST', 'sys/mounts/x', { type: 'kv' }, wrapFor('60'))).status, 204)
  const listing = await server.send('LIST', 'secret/metadata', undefined, wrapFor('60'))
  assert.equal(listing.status, 404)
})

test('neither the token nor what it holds stands in clear in the ledger', async () => {
  await using server = await startServer()
  const { token } = await wrapped(server)
  await server.write('sys/wrapping/lookup', { token }, null)
  await server.write('sys/wrapping/unwrap', { token }, null)
  const text = JSON.stringify(await server.trail())
  assert.ok(text.includes('sys/wrapping/unwrap'))
  assert.ok(!text.includes('opensesame') && !text.includes(token))
})
