/** Rate quotas on a real server, with a clock that the test moves. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

const at = '2026-01-01T00:00:00Z'
const start = () => startServer({ at, secret: true })
const statuses = async (count: number, ask: () => Promise<{ status: number }>) => {
  const found: number[] = []
  for (let n = 0; n < count; n += 1) found.push((await ask()).status)
  return found
}

test('a quota is written, read, listed and deleted as the Vault API does it', async () => {
  await using server = await start()
  assert.equal((await server.list('sys/quotas/rate-limit')).status, 404)
  assert.equal(
    (await server.write('sys/quotas/rate-limit/all', { rate: 897.3, interval: '2m', block_interval: '5m' })).status,
    204,
  )
  assert.deepEqual((await server.read('sys/quotas/rate-limit/all')).body.data, {
    block_interval: 300,
    group_by: 'ip',
    inheritable: true,
    interval: 120,
    name: 'all',
    path: '',
    rate: 897.3,
    role: '',
    secondary_rate: 0,
    type: 'rate-limit',
  })
  assert.equal((await server.write('sys/quotas/rate-limit/kv', { rate: '500', path: 'secret' })).status, 204)
  assert.equal(
    (await server.write('sys/quotas/rate-limit/some', { rate: 500, path: '/secret/data/app/*' })).status,
    204,
  )
  const paths = await Promise.all(['kv', 'some'].map((name) => server.read(`sys/quotas/rate-limit/${name}`)))
  assert.deepEqual(
    paths.map(({ body }) => body.data.path),
    ['secret/', 'secret/data/app/*'],
  )
  assert.deepEqual(
    paths.map(({ body }) => [body.data.inheritable, body.data.interval]),
    [
      [false, 1],
      [false, 1],
    ],
  )
  assert.deepEqual((await server.list('sys/quotas/rate-limit')).body.data.keys, ['all', 'kv', 'some'])
  assert.equal((await server.delete('sys/quotas/rate-limit/kv')).status, 204)
  assert.equal((await server.delete('sys/quotas/rate-limit/kv')).status, 204)
  assert.equal((await server.read('sys/quotas/rate-limit/kv')).status, 404)
})

test('what makes no sense is refused in the words of the Vault API', async () => {
  await using server = await start()
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('sys/quotas/rate-limit/kv', { rate: 5000, path: 'secret/' })
  const refused: [Record<string, unknown>, string][] = [
    [{}, "'rate' is invalid"],
    [{ rate: -1 }, "'rate' is invalid"],
    [{ rate: 1, block_interval: -1 }, "'block' is invalid"],
    [{ rate: 1, path: 'nothing/here' }, 'invalid mount path "nothing/here/"'],
    [{ rate: 1, path: 'secret' }, 'quota rule with similar properties exists under the name "kv"'],
    [
      { rate: 1, path: 'secret', role: 'x' },
      'Mount path "secret/" is not a valid auth method and therefore unsuitable for use with role-based quotas',
    ],
    [
      { rate: 1, path: 'auth/token', role: 'x' },
      'Mount path "auth/token/" does not support use with role-based quotas',
    ],
    [
      { rate: 1, path: 'auth/approle/login', role: 'x' },
      'Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth mount with a concept of roles',
    ],
    [{ rate: 1, group_by: 'invalid' }, 'invalid grouping mode "invalid"'],
    [{ rate: 1, secondary_rate: 1 }, 'secondary rate is only valid when using entity-based grouping'],
    [{ rate: 1, group_by: 'entity_then_ip', secondary_rate: -1 }, 'secondary rate must be greater than or equal to 0'],
  ]
  for (const [body, message] of refused) {
    const answer = await server.write('sys/quotas/rate-limit/new', body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [message]])
  }
  assert.equal((await server.write('sys/quotas/rate-limit/new', { rate: 'fast' })).status, 400)
  assert.equal(
    (await server.write('sys/quotas/rate-limit/new', { rate: 5000, group_by: 'entity_then_none' })).status,
    204,
  )
  assert.equal((await server.read('sys/quotas/rate-limit/new')).body.data.secondary_rate, 5000)
  const weak = await server.login(['default'])
  assert.equal((await server.write('sys/quotas/rate-limit/mine', { rate: 1 }, weak)).status, 403)
  assert.equal((await server.delete('sys/quotas/rate-limit/kv', weak)).status, 403)
})

test('after the rate comes 429 until the next window, and a right token helps as little as a wrong one', async () => {
  await using server = await start()
  await server.write('sys/quotas/rate-limit/kv', { rate: 3, interval: '10s', path: 'secret' })
  const ask = () => server.read('secret/data/app')
  assert.deepEqual(await statuses(5, ask), [404, 404, 404, 429, 429])
  const refused = await ask()
  assert.deepEqual(refused.body, { errors: ['request path "secret/data/app": rate limit quota exceeded'] })
  assert.equal(refused.headers['retry-after'], undefined)
  assert.equal((await server.read('secret/data/app', 'hvs.nonsense')).status, 429)
  assert.equal((await server.read('sys/mounts')).status, 200)
  // Whatever else is changed: who was refused stays so.
  await server.write('sys/quotas/rate-limit/all', { rate: 1000 })
  await server.write('sys/quotas/config', { enable_rate_limit_audit_logging: true })
  assert.equal((await ask()).status, 429)
  server.tick(10)
  assert.deepEqual(await statuses(4, ask), [404, 404, 404, 429])
})

test('requests for a namespace that is not there count too, since each of them is recorded', async () => {
  await using server = await start()
  await server.write('sys/quotas/rate-limit/all', { rate: 2, interval: '10s' })
  const headers = { 'x-vault-namespace': 'elsewhere' }
  const ask = () => server.send('GET', 'secret/data/app', undefined, { headers })
  assert.deepEqual(await statuses(4, ask), [404, 404, 429, 429])
})

test('of many at once exactly as many pass as the rate says', async () => {
  await using server = await start()
  await server.write('sys/quotas/rate-limit/kv', { rate: 7, interval: 60, path: 'secret' })
  const answers = await Promise.all(Array.from({ length: 40 }, () => server.read('secret/data/app')))
  assert.equal(answers.filter(({ status }) => status === 404).length, 7)
  assert.equal(answers.filter(({ status }) => status === 429).length, 33)
})

test('the most specific quota alone counts', async () => {
  await using server = await start()
  await server.write('sys/quotas/rate-limit/all', { rate: 1000, interval: 60 })
  await server.write('sys/quotas/rate-limit/kv', { rate: 1, interval: 60, path: 'secret' })
  await server.write('sys/quotas/rate-limit/app', { rate: 2, interval: 60, path: 'secret/data/app' })
  assert.deepEqual(await statuses(3, () => server.read('secret/data/app')), [404, 404, 429])
  assert.deepEqual(await statuses(2, () => server.read('secret/data/other')), [404, 429])
  assert.equal((await server.read('sys/mounts')).status, 200)
})

test('a role has a quota of its own for its log-ins, right or wrong', async () => {
  await using server = await start()
  await server.write('sys/auth/approle', { type: 'approle' })
  for (const role of ['web', 'db']) await server.write(`auth/approle/role/${role}`, { role_id: role })
  await server.write('sys/quotas/rate-limit/web', { rate: 2, interval: 60, path: 'auth/approle', role: 'web' })
  const login = (role_id: string) => () => server.write('auth/approle/login', { role_id, secret_id: 'x' }, null)
  assert.deepEqual(await statuses(3, login('web')), [400, 400, 429])
  assert.deepEqual(await statuses(3, login('db')), [400, 400, 400])
  assert.deepEqual(await statuses(3, login('nobody')), [400, 400, 400])
})

test('headers tell how much is left, on refusals too, and never ask for another attempt at once', async () => {
  await using server = await start()
  await server.write('sys/quotas/config', { enable_rate_limit_response_headers: true })
  await server.write('sys/quotas/rate-limit/kv', { rate: 2, interval: 10, block_interval: 60, path: 'secret' })
  const ask = async (token?: string) => {
    const { headers, status } = await server.read('secret/data/app', token)
    return [
      status,
      ...['limit', 'remaining', 'reset'].map((name) => headers[`x-ratelimit-${name}`]),
      headers['retry-after'],
    ]
  }
  assert.deepEqual(await ask('hvs.wrong'), [403, '2', '1', '10', undefined])
  server.tick(0.5)
  assert.deepEqual(await ask(), [404, '2', '0', '10', undefined])
  assert.deepEqual(await ask(), [429, '2', '0', '10', '60'])
  server.tick(59.9)
  assert.deepEqual((await ask()).at(-1), '1')
  assert.equal((await server.read('sys/mounts')).headers['x-ratelimit-limit'], undefined)
})

test('refusals are not recorded unless that is asked for, and then with the reason', async () => {
  await using server = await start()
  await server.write('sys/quotas/rate-limit/kv', { rate: 1, interval: 60, path: 'secret' })
  const about = async () => (await server.trail()).filter((line) => line.request.path === 'secret/data/app')
  await statuses(5, () => server.read('secret/data/app'))
  assert.equal((await about()).length, 2)
  await server.write('sys/quotas/config', { enable_rate_limit_audit_logging: true })
  await statuses(2, () => server.read('secret/data/app'))
  const lines = await about()
  assert.equal(lines.length, 6)
  assert.match(lines.at(-1).error, /rate limit quota exceeded/)
})

test('exempt paths have no limit; by default those that open the server', async () => {
  await using server = await start()
  assert.deepEqual((await server.read('sys/quotas/config')).body.data.rate_limit_exempt_paths, [
    'sys/generate-recovery-token/attempt',
    'sys/generate-recovery-token/update',
    'sys/generate-root/attempt',
    'sys/generate-root/update',
    'sys/health',
    'sys/seal-status',
    'sys/unseal',
  ])
  await server.write('sys/quotas/config', { rate_limit_exempt_paths: ['secret/open', 'sys/quotas'] })
  await server.write('sys/quotas/config', { enable_rate_limit_audit_logging: false })
  assert.deepEqual((await server.read('sys/quotas/config')).body.data, {
    absolute_rate_limit_exempt_paths: [],
    enable_rate_limit_audit_logging: false,
    enable_rate_limit_response_headers: false,
    rate_limit_exempt_paths: ['secret/open', 'sys/quotas'],
  })
  await server.write('sys/quotas/rate-limit/all', { rate: 1, interval: 60 })
  assert.deepEqual(await statuses(3, () => server.read('secret/open/x')), [404, 404, 404])
  assert.deepEqual(await statuses(3, () => server.read('sys/health', null)), [200, 429, 429])
  await server.write('sys/quotas/config', { rate_limit_exempt_paths: ['sys/health', 'sys/quotas'] })
  assert.deepEqual(await statuses(3, () => server.read('sys/health', null)), [200, 200, 200])
  assert.deepEqual(await statuses(3, () => server.read('sys/healthy', null)), [429, 429, 429])
  await server.write('sys/quotas/config', { absolute_rate_limit_exempt_paths: ['secret/data'] })
  assert.deepEqual(await statuses(2, () => server.read('secret/data/x')), [404, 404])
})

test('clients are told apart by address, or not at all, or by their entity', async () => {
  await using server = await start()
  await server.write('sys/auth/approle', { type: 'approle' })
  const tokenOf = async (role: string) => {
    await server.write(`auth/approle/role/${role}`, {
      role_id: role,
      bind_secret_id: false,
      secret_id_bound_cidrs: '127.0.0.0/8',
    })
    return (await server.write('auth/approle/login', { role_id: role }, null)).body.auth.client_token as string
  }
  const [web, db] = [await tokenOf('web'), await tokenOf('db')]
  const rule = { rate: 2, secondary_rate: 1, interval: 60, path: 'auth/token/lookup-self' }
  const ask = (token: string) => () => server.read('auth/token/lookup-self', token)
  await server.write('sys/quotas/rate-limit/x', { ...rule, group_by: 'entity_then_none' })
  assert.deepEqual(await statuses(3, ask(web)), [200, 200, 429])
  assert.deepEqual(await statuses(3, ask(db)), [200, 200, 429])
  assert.deepEqual(await statuses(2, ask('hvs.nonsense')), [403, 429])
  assert.deepEqual(await statuses(1, ask(server.root)), [429])
  await server.write('sys/quotas/rate-limit/x', { ...rule, group_by: 'none', secondary_rate: 0 })
  assert.deepEqual([...(await statuses(1, ask(web))), ...(await statuses(2, ask(db)))], [200, 200, 429])
})

test('a quota moves with its mount, is gone with it, and a new mount at its place has none', async () => {
  await using server = await start()
  await server.write('sys/mounts/kv', { type: 'kv' })
  await server.write('sys/quotas/rate-limit/kv', { rate: 1, interval: 3600, path: 'kv/app' })
  await statuses(1, () => server.read('kv/app'))
  await server.write('sys/remount', { from: 'kv', to: 'moved' })
  await untilMounted(server, 'moved/')
  assert.deepEqual(await statuses(1, () => server.read('moved/app')), [429])
  await server.node.core.quotas.followMounts()
  assert.equal((await server.read('sys/quotas/rate-limit/kv')).body.data.path, 'moved/app')
  assert.deepEqual(await statuses(1, () => server.read('moved/app')), [404])
  await server.delete('sys/mounts/moved')
  await server.write('sys/mounts/moved', { type: 'kv' })
  assert.deepEqual(await statuses(3, () => server.read('moved/app')), [404, 404, 404])
  await server.node.core.quotas.followMounts()
  assert.equal((await server.list('sys/quotas/rate-limit')).status, 404)
})

async function untilMounted(server: TestServer, path: string): Promise<void> {
  for (let n = 0; n < 100 && !(await server.node.core.mounts.find(path)); n += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('quotas outlive the server; windows do not', async () => {
  const first = await startServer({ storage: 'sqlite' })
  await first.write('sys/quotas/rate-limit/sys', { rate: 1, interval: 3600, path: 'sys/mounts' })
  assert.deepEqual(await statuses(2, () => first.read('sys/mounts')), [200, 429])
  await first.stop({ keep: true })
  await using second = await startServer({ folder: first.folder! })
  await second.node.unsealWith([Buffer.from(first.unsealKey, 'base64')])
  assert.deepEqual(await statuses(2, () => second.read('sys/mounts')), [200, 429])
})
