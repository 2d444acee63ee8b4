/** Secret ids of AppRole: made, listed, looked at, destroyed, and removed when their time has come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engine } from '#auth/approle/engine.ts'
import { assertInvalid, logIn, makeRole, makeSecret, openEngine, startAppRole, UNKNOWN } from './support.ts'

const ROLE = 'auth/approle/role/web'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

test('a secret id is made, found by itself and by its accessor, and destroyed', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { secret_id_num_uses: 40, secret_id_ttl: '10m' })
  const made = await makeSecret(server, 'web', { metadata: '{"tag1":"production"}', cidr_list: '127.0.0.1/32' })
  assert.match(made.secret_id, uuid)
  assert.match(made.secret_id_accessor, uuid)
  assert.deepEqual([made.secret_id_num_uses, made.secret_id_ttl], [40, 600])
  const told = {
    cidr_list: ['127.0.0.1/32'],
    creation_time: '2026-01-01T00:00:00Z',
    expiration_time: '2026-01-01T00:10:00Z',
    last_updated_time: '2026-01-01T00:00:00Z',
    metadata: { tag1: 'production' },
    secret_id_accessor: made.secret_id_accessor,
    secret_id_num_uses: 40,
    secret_id_ttl: 600,
    token_bound_cidrs: [],
  }
  const bySecret = { secret_id: made.secret_id }
  const byAccessor = { secret_id_accessor: made.secret_id_accessor }
  assert.deepEqual((await server.write(`${ROLE}/secret-id/lookup`, bySecret)).body.data, told)
  assert.deepEqual((await server.write(`${ROLE}/secret-id-accessor/lookup`, byAccessor)).body.data, told)
  assert.deepEqual((await server.list(`${ROLE}/secret-id`)).body.data, { keys: [made.secret_id_accessor] })
  assert.equal((await server.write(`${ROLE}/secret-id/destroy`, bySecret)).status, 204)
  assertInvalid(await logIn(server, roleId, made.secret_id))
  assert.equal((await server.write(`${ROLE}/secret-id/destroy`, bySecret)).status, 204)
  assert.equal((await server.write(`${ROLE}/secret-id/lookup`, bySecret)).status, 204)
  assert.equal((await server.list(`${ROLE}/secret-id`)).status, 404)
})

test('both POST and DELETE destroy, by secret id and by accessor', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const ways: ((made: { secret_id: string; secret_id_accessor: string }) => ReturnType<typeof server.send>)[] = [
    ({ secret_id }) => server.write(`${ROLE}/secret-id/destroy`, { secret_id }),
    ({ secret_id }) => server.delete(`${ROLE}/secret-id/destroy?secret_id=${secret_id}`),
    ({ secret_id_accessor }) => server.write(`${ROLE}/secret-id-accessor/destroy`, { secret_id_accessor }),
    ({ secret_id_accessor }) =>
      server.delete(`${ROLE}/secret-id-accessor/destroy?secret_id_accessor=${secret_id_accessor}`),
  ]
  for (const destroy of ways) {
    const made = await makeSecret(server, 'web')
    const kept = await makeSecret(server, 'web')
    assert.equal((await destroy(made)).status, 204)
    assertInvalid(await logIn(server, roleId, made.secret_id))
    assert.equal((await logIn(server, roleId, kept.secret_id)).status, 200)
    await server.write(`${ROLE}/secret-id/destroy`, { secret_id: kept.secret_id })
  }
})

test('a wrapped secret id can be destroyed by the accessor beside its wrapping token, before anybody takes it out', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const wrapped = await server.send('POST', `${ROLE}/secret-id`, {}, { headers: { 'x-vault-wrap-ttl': '60' } })
  assert.equal(wrapped.body.data, null)
  const { token, wrapped_accessor: accessor } = wrapped.body.wrap_info
  assert.equal((await server.write(`${ROLE}/secret-id-accessor/destroy`, { secret_id_accessor: accessor })).status, 204)
  const { data } = (await server.write('sys/wrapping/unwrap', {}, token)).body
  assert.equal(data.secret_id_accessor, accessor)
  assertInvalid(await logIn(server, roleId, data.secret_id))
})

test('a secret id may be given, once for each role', async () => {
  await using server = await startAppRole()
  for (const name of ['web', 'other']) {
    const roleId = await makeRole(server, name)
    const where = `auth/approle/role/${name}/custom-secret-id`
    const given = { secret_id: 'chosen', metadata: { team: 'a', size: 3 }, num_uses: 2, ttl: '1h' }
    const { secret_id_accessor: accessor, ...rest } = (await server.write(where, given)).body.data
    assert.match(accessor, uuid)
    assert.deepEqual(rest, { secret_id: 'chosen', secret_id_num_uses: 2, secret_id_ttl: 3600 })
    const again = await server.write(where, { secret_id: 'chosen' })
    assert.deepEqual([again.status, again.body.errors], [400, ['SecretID is already registered']])
    const { body } = await logIn(server, roleId, 'chosen')
    assert.deepEqual(body.auth.metadata, { role_name: name, team: 'a', size: '3' })
  }
  const none = await server.write(`${ROLE}/custom-secret-id`, {})
  assert.deepEqual([none.status, none.body.errors], [400, ['missing secret_id']])
  assert.equal((await server.write(`${ROLE}/custom-secret-id`, { secret_id: 'x'.repeat(4097) })).status, 400)
})

test('an expired secret id may be given again, with its new time', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const give = (ttl: number) => server.write(`${ROLE}/custom-secret-id`, { secret_id: 'chosen', ttl })
  assert.equal((await give(60)).status, 200)
  server.tick(60)
  assert.equal((await give(120)).status, 200)
  assert.equal((await server.list(`${ROLE}/secret-id`)).body.data.keys.length, 1)
  await server.write('auth/approle/tidy/secret-id', {})
  server.tick(119)
  assert.equal((await logIn(server, roleId, 'chosen')).status, 200)
})

test('a secret id says no more than its role allows', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web', {
    secret_id_num_uses: 5,
    secret_id_ttl: 600,
    secret_id_bound_cidrs: ['127.0.0.0/8', 'fd00::/8'],
    token_bound_cidrs: '127.0.0.0/16',
  })
  const uses = "num_uses cannot be higher than the role's secret_id_num_uses"
  const ttl = "ttl cannot be longer than the role's secret_id_ttl"
  const subset = (inner: string, outer: string) =>
    `CIDR blocks on the secret ID "${inner}" should be a subset of CIDR blocks on the role "${outer}"`
  const cases: [Record<string, unknown>, string][] = [
    [{ num_uses: 6 }, uses],
    [{ num_uses: 0 }, uses],
    [{ num_uses: -1 }, 'num_uses cannot be negative'],
    [{ ttl: 601 }, ttl],
    [{ ttl: 0 }, ttl],
    [{ ttl: -1 }, 'ttl cannot be negative'],
    [{ cidr_list: '10.0.0.0/8' }, subset('10.0.0.0/8', '127.0.0.0/8,fd00::/8')],
    [{ cidr_list: '127.0.0.0/7' }, subset('127.0.0.0/7', '127.0.0.0/8,fd00::/8')],
    [{ token_bound_cidrs: '127.1.0.1' }, subset('127.1.0.1', '127.0.0.0/16')],
    [{ cidr_list: 'nowhere' }, 'invalid CIDR blocks'],
  ]
  for (const address of ['secret-id', 'custom-secret-id']) {
    for (const [given, message] of cases) {
      const { status, body } = await server.write(`${ROLE}/${address}`, { secret_id: 'chosen', ...given })
      assert.deepEqual([status, body.errors], [400, [message]])
    }
  }
  assert.equal((await server.list(`${ROLE}/secret-id`)).status, 404)
  const allowed = { num_uses: 5, ttl: 600, cidr_list: ['127.0.0.1/32', 'fd00::/9'], token_bound_cidrs: '127.0.3.0/24' }
  await makeSecret(server, 'web', allowed)
})

test('a secret id lives no longer than leases of the mount', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web')
  assert.equal((await server.write('sys/auth/approle/tune', { max_lease_ttl: '1h' })).status, 204)
  assert.equal((await makeSecret(server, 'web', { ttl: '2h' })).secret_id_ttl, 3600)
  assert.equal((await makeSecret(server, 'web', { ttl: 0 })).secret_id_ttl, 0)
})

test('metadata comes as JSON text, as an object or as pairs, within limits', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  for (const metadata of ['{"a":"1","b":"x y"}', { a: '1', b: 'x y' }, 'a=1,b=x y']) {
    const { secret_id: secretId } = await makeSecret(server, 'web', { metadata })
    assert.deepEqual((await logIn(server, roleId, secretId)).body.auth.metadata, { role_name: 'web', a: '1', b: 'x y' })
  }
  for (const metadata of ['', '{}', {}]) await makeSecret(server, 'web', { metadata })
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`n${n}`, '']))
  const wrong = ['{"a":', 'word', { a: {} }, many, { ['n'.repeat(129)]: '' }, { '': 'x' }, { a: 'x'.repeat(513) }]
  for (const metadata of wrong) assert.equal((await server.write(`${ROLE}/secret-id`, { metadata })).status, 400)
})

test('nothing is made, listed or found for a role that is not there', async () => {
  await using server = await startAppRole()
  const calls = [
    server.write(`${ROLE}/secret-id`, {}),
    server.list(`${ROLE}/secret-id`),
    server.write(`${ROLE}/custom-secret-id`, { secret_id: 's' }),
    server.write(`${ROLE}/secret-id/lookup`, { secret_id: 's' }),
    server.write(`${ROLE}/secret-id/destroy`, { secret_id: 's' }),
    server.write(`${ROLE}/secret-id-accessor/lookup`, { secret_id_accessor: UNKNOWN }),
    server.write(`${ROLE}/secret-id-accessor/destroy`, { secret_id_accessor: UNKNOWN }),
  ]
  for (const { status, body } of await Promise.all(calls)) {
    assert.deepEqual([status, body.errors], [400, ['role "web" does not exist']])
  }
})

test('an accessor reaches only secret ids of its own role', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  await makeRole(server, 'other')
  const { secret_id: secretId, secret_id_accessor: accessor } = await makeSecret(server, 'web')
  for (const given of [accessor, UNKNOWN, `../x/${accessor}`]) {
    for (const verb of ['lookup', 'destroy']) {
      const where = `auth/approle/role/other/secret-id-accessor/${verb}`
      const { status, body } = await server.write(where, { secret_id_accessor: given })
      const text = `failed to find accessor entry for secret_id_accessor: "${given}"`
      assert.deepEqual([status, body.errors], [404, [text]])
    }
  }
  assert.equal((await server.write('auth/approle/role/other/secret-id/lookup', { secret_id: secretId })).status, 204)
  assert.equal((await server.write('auth/approle/role/other/secret-id/destroy', { secret_id: secretId })).status, 204)
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
  for (const [where, name] of [
    ['secret-id', 'secret_id'],
    ['secret-id-accessor', 'secret_id_accessor'],
  ]) {
    const { status, body } = await server.write(`${ROLE}/${where}/lookup`, {})
    assert.deepEqual([status, body.errors], [400, [`missing ${name}`]])
  }
})

test('an expired secret id is found neither by itself nor by its accessor, before it is removed', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web')
  const { secret_id: secretId, secret_id_accessor: accessor } = await makeSecret(server, 'web', { ttl: 60 })
  server.tick(60)
  assert.equal((await server.write(`${ROLE}/secret-id/lookup`, { secret_id: secretId })).status, 204)
  for (const verb of ['lookup', 'destroy']) {
    const where = `${ROLE}/secret-id-accessor/${verb}`
    assert.equal((await server.write(where, { secret_id_accessor: accessor })).status, 404)
  }
})

test('tidying removes what has expired and nothing else', async () => {
  const approle = await openEngine()
  await approle.call('role/web', { role_id: 'r' })
  const before = await approle.keys()
  for (const ttl of [0, 60, 61, 3600]) await approle.call('role/web/custom-secret-id', { secret_id: `s${ttl}`, ttl })
  const all = await approle.keys()
  await engine.tidy!(approle.mount)
  assert.deepEqual(await approle.keys(), all)
  approle.pass(60)
  await engine.tidy!(approle.mount)
  assert.equal((await approle.keys()).length, all.length - 3)
  approle.pass(1)
  await engine.tidy!(approle.mount)
  assert.equal((await approle.keys()).length, all.length - 6)
  for (const secretId of ['s0', 's3600'])
    assert.ok((await approle.call('login', { role_id: 'r', secret_id: secretId })).grant)
  approle.pass(3600)
  await engine.tidy!(approle.mount)
  await approle.call('role/web/secret-id/destroy', { secret_id: 's0' })
  assert.deepEqual(await approle.keys(), before)
})

test('tidy/secret-id removes expired secret ids behind its answer', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web')
  await makeSecret(server, 'web', { ttl: 60 })
  const { secret_id_accessor: kept } = await makeSecret(server, 'web')
  server.tick(60)
  const { status, body } = await server.write('auth/approle/tidy/secret-id', {})
  assert.equal(status, 202)
  assert.equal(body.data, null)
  assert.match(body.warnings[0], /^Tidy operation successfully started\. /)
  const deadline = Date.now() + 5000
  let keys: string[] = []
  while (keys.length !== 1 && Date.now() < deadline) keys = (await server.list(`${ROLE}/secret-id`)).body.data.keys
  assert.deepEqual(keys, [kept])
})

test('a deleted role leaves nothing behind, however many secret ids it had, even if its deletion was cut off', async () => {
  let failing = false
  const approle = await openEngine((driver) => ({
    scan: (prefix, page) => driver.scan(prefix, page),
    transact: (change) =>
      driver.transact(async (transaction) => {
        const result = await change(transaction)
        if (failing && (await transaction.scan('data/mount/secret/', { limit: 600 })).length < 600)
          throw new Error('cut')
        return result
      }),
  }))
  await approle.call('role/kept', { role_id: 'kept' })
  await approle.call('role/kept/custom-secret-id', { secret_id: 's' })
  const before = await approle.keys()
  await approle.call('role/web', { role_id: 'r' })
  for (let n = 0; n < 700; n++) await approle.call('role/web/custom-secret-id', { secret_id: `s${n}`, ttl: n % 2 })
  failing = true
  const remove = engine.paths(approle.mount.settings()).find(({ pattern }) => pattern === 'role/:role_name')!
    .operations.delete!
  const call = { mount: approle.mount, data: { role_name: 'web' } } as unknown as Parameters<typeof remove.handle>[0]
  await assert.rejects(remove.handle(call), /cut/)
  failing = false
  assert.ok((await approle.keys()).length > 1000)
  await assert.rejects(approle.call('login', { role_id: 'r', secret_id: 's0' }), {
    message: 'invalid role or secret ID',
  })
  await engine.tidy!(approle.mount)
  assert.deepEqual(await approle.keys(), before)
})

test('a secret id that is made while its role is deleted is not left behind', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web')
  const making = Array.from({ length: 10 }, () => server.write(`${ROLE}/secret-id`, {}))
  const [, ...made] = await Promise.all([server.delete(ROLE), ...making])
  for (const { status } of made) assert.ok(status === 200 || status === 400)
  const roleId = await makeRole(server, 'web')
  for (const { body } of made) {
    if (body.data) assertInvalid(await logIn(server, roleId, body.data.secret_id))
  }
  assert.equal((await server.list(`${ROLE}/secret-id`)).status, 404)
})
