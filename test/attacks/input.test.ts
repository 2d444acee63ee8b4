/** Bad input gets a clear error and loses nothing. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

/** One secret that must be there, as it was, after whatever a test does. */
async function withSecret(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer({ secret: true, ...options })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  return server
}

async function assertKept(server: TestServer): Promise<void> {
  const { body } = await server.read('secret/data/app')
  assert.deepEqual([body.data.data, body.data.metadata.version], [{ password: 'opensesame' }, 1])
}

test('JSON that is broken, no object, too deep or not UTF-8 is refused with 400', async () => {
  await using server = await withSecret()
  const deep = `${'{"a":'.repeat(600)}1${'}'.repeat(600)}`
  for (const body of [
    '{"data":',
    '[1]',
    '"text"',
    '1',
    'null x',
    '{"data":{"a":1}} trailing',
    deep,
    '{"a":"\ud800"'.slice(0, 5),
  ]) {
    const answer = await server.send('POST', 'secret/data/app', body)
    assert.equal(answer.status, 400, body.slice(0, 40))
    assert.equal(typeof answer.body.errors[0], 'string')
  }
  await assertKept(server)
})

test('fields of the wrong kind are refused by name', async () => {
  await using server = await withSecret()
  const wrong: [string, string, unknown][] = [
    ['secret/data/app', 'data', { data: 'text' }],
    ['secret/metadata/app', 'max_versions', { max_versions: 'many' }],
    ['auth/token/create', 'policies', { policies: { a: 1 } }],
    ['auth/token/create', 'num_uses', { num_uses: 'x' }],
    ['sys/mounts/other', 'local', { type: 'kv', local: 'perhaps' }],
  ]
  for (const [where, field, body] of wrong) {
    const answer = await server.write(where, body)
    assert.equal(answer.status, 400, where)
    assert.match(answer.body.errors[0], new RegExp(`"${field}"`), where)
  }
  await assertKept(server)
})

test('what is not mounted or not a path is 404, and only for those who may know', async () => {
  await using server = await withSecret()
  const token = await server.login(['default'])
  assert.equal((await server.read('nowhere/at/all')).status, 404)
  assert.equal((await server.read('sys/nothing')).status, 404)
  assert.equal((await server.read('nowhere/at/all', token)).status, 403)
  assert.equal((await server.read('secret/data/app', token)).status, 403)
  assert.equal((await server.send('PATCH', 'sys/mounts', {})).status, 405)
})

test('paths that say the same in other words are not taken for it', async () => {
  await using server = await withSecret()
  await server.send('PUT', 'sys/policies/acl/mine', {
    policy: 'path "secret/data/mine/*" { capabilities = ["read", "update", "create"] }',
  })
  const token = await server.login(['mine'])
  for (const where of [
    '/v1/secret/data/mine/../app',
    '/v1/secret/data/mine/%2e%2e/app',
    '/v1/secret/data/mine/..%2fapp',
    '/v1/secret/data/mine//app',
    '/v1/secret//data/app',
    '/v1//secret/data/app',
    '/v1/./secret/data/app',
    '/v1/secret/data/mine/%00/../../app',
    '/v1/secret/data/app%00',
    '/v1/secret/data/mine/%ff',
    '/v1/secret%2fdata%2fapp',
  ]) {
    const answer = await server.read(where, token)
    assert.ok([400, 403, 404].includes(answer.status), `${where}: ${answer.status}`)
    assert.doesNotMatch(answer.text, /opensesame/, where)
    await server.write(where, { data: { password: 'stolen' } }, token)
  }
  await assertKept(server)
})

test('a body over the limit is refused before it is read whole', async () => {
  await using server = await withSecret({ limits: { maxRequestBytes: 4096 } })
  const answer = await server.write('secret/data/app', { data: { password: 'x'.repeat(10_000) } })
  assert.equal(answer.status, 413)
  await assertKept(server)
})

test('a value over the limit of the store is refused and the old one stays', async () => {
  await using server = await withSecret()
  const lots = Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`k${n}`, 'x'.repeat(1_000_000)]))
  const answer = await server.write('secret/data/app', { data: lots })
  assert.ok(answer.status === 413 || answer.status === 400, String(answer.status))
  await assertKept(server)
})

test('tokens that are missing, unknown, expired, revoked or from another server are refused alike', async () => {
  await using server = await withSecret({ at: '2026-01-01T00:00:00Z' })
  await using other = await startServer({ secret: true })
  const expired = await server.login(['root'], { ttl: '1m' })
  const revoked = await server.login(['root'])
  await server.write('auth/token/revoke', { token: revoked })
  const foreign = await other.login(['root'])
  server.tick(60)
  const refusals = new Set<string>()
  for (const token of [null, 'nonsense', 'hvs.', `hvs.${'a'.repeat(9000)}`, 'hvb.AAAA', expired, revoked, foreign]) {
    const answer = await server.read('secret/data/app', token)
    assert.equal(answer.status, 403)
    refusals.add(answer.text)
  }
  assert.deepEqual([...refusals], ['{"errors":["permission denied"]}\n'])
  await assertKept(server)
})

test('a child ends with its parent, at once', async () => {
  await using server = await withSecret()
  const parent = await server.login(['root'])
  const child = (await server.write('auth/token/create', { policies: ['root'] }, parent)).body.auth.client_token
  assert.equal((await server.read('secret/data/app', child)).status, 200)
  await server.write('auth/token/revoke', { token: parent })
  assert.equal((await server.read('secret/data/app', child)).status, 403)
})

test('a sealed server answers nothing but its state, and goes on when unsealed', async () => {
  await using server = await withSecret()
  assert.equal((await server.write('sys/seal', {})).status, 204)
  for (const [method, where] of [
    ['GET', 'secret/data/app'],
    ['POST', 'auth/token/create'],
    ['GET', 'sys/mounts'],
    ['LIST', 'secret/metadata'],
  ] as const) {
    const answer = await server.send(method, where, method === 'POST' ? {} : undefined)
    assert.equal(answer.status, 503)
    assert.deepEqual(answer.body, { errors: ['Vault is sealed'] })
  }
  assert.equal((await server.read('sys/health', null)).status, 503)
  assert.equal((await server.read('sys/seal-status', null)).body.sealed, true)
  assert.equal((await server.send('PUT', 'sys/unseal', { key: server.unsealKey })).body.sealed, false)
  await assertKept(server)
})

test('names that mean something to JavaScript are only names', async () => {
  await using server = await withSecret()
  const body = '{"data":{"__proto__":{"polluted":true},"constructor":"c","toString":"t","hasOwnProperty":"h"}}'
  assert.equal((await server.send('POST', 'secret/data/odd', body)).status, 200)
  const { text } = await server.read('secret/data/odd')
  assert.match(text, /"__proto__":\{"polluted":true\}/)
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.equal((await server.read(`secret/data/${name}`)).status, 404)
    assert.equal((await server.read(`sys/mounts/${name}`)).status, 400)
    assert.equal((await server.read(`sys/policies/acl/${name}`)).status, 404)
    assert.equal((await server.write(`sys/auth/${name}`, { type: name })).status, 400)
  }
})

test('a request for another namespace is not answered from this one', async () => {
  await using server = await withSecret()
  const answer = await server.send('GET', 'secret/data/app', undefined, { headers: { 'x-vault-namespace': 'team-a' } })
  assert.equal(answer.status, 404)
  assert.doesNotMatch(answer.text, /opensesame/)
})

test('slashes without end, from anybody and in any place, keep nobody waiting', async () => {
  await using server = await withSecret()
  const slashes = (count: number) => `a${'/'.repeat(count)}a`
  const startedMs = performance.now()
  const socket = connect(server.port, '127.0.0.1')
  socket.end(`GET /v1/sys/health HTTP/1.1\r\nHost: a\r\nX-Vault-Namespace: ${slashes(60_000)}\r\n\r\n`)
  assert.match(Buffer.concat(await socket.toArray()).toString(), /^HTTP\/1\.1 400 /)
  const long = slashes(20_000)
  assert.equal((await server.write('sys/remount', { from: long, to: 'b' })).status, 400)
  assert.equal((await server.write('sys/remount', { from: 'secret', to: long })).status, 400)
  assert.equal((await server.write('sys/plugins/reload/backend', { mounts: [long] })).status, 400)
  assert.equal((await server.write('sys/quotas/rate-limit/x', { rate: 1, path: long })).status, 400)
  assert.ok(performance.now() - startedMs < 2000)
  await assertKept(server)
})
