/** Roles of AppRole: their fields, the addresses of single fields, what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logIn, makeRole, makeSecret, startAppRole } from './support.ts'

const ROLE = 'auth/approle/role/web'

const fresh = {
  bind_secret_id: true,
  local_secret_ids: false,
  secret_id_bound_cidrs: null,
  secret_id_num_uses: 0,
  secret_id_ttl: 0,
  token_bound_cidrs: [],
  token_explicit_max_ttl: 0,
  token_max_ttl: 0,
  token_no_default_policy: false,
  token_num_uses: 0,
  token_period: 0,
  token_policies: [],
  token_strictly_bind_ip: false,
  token_ttl: 0,
  token_type: 'default',
}

test('a role is made, read, changed field by field, listed and deleted', async () => {
  await using server = await startAppRole()
  assert.deepEqual([(await server.read(ROLE)).status, (await server.read(ROLE)).body], [404, { errors: [] }])
  assert.equal((await server.list('auth/approle/role')).status, 404)
  await makeRole(server, 'web')
  assert.deepEqual((await server.read(ROLE)).body.data, fresh)

  const given = {
    secret_id_bound_cidrs: ['127.0.0.1/32', '10.0.0.0/8'],
    secret_id_num_uses: '40',
    secret_id_ttl: '10m',
    local_secret_ids: true,
    token_bound_cidrs: ['127.0.0.1/32', '10.0.0.0/8', 'fd00::1/128'],
    token_explicit_max_ttl: '2h',
    token_max_ttl: 1800,
    token_no_default_policy: true,
    token_num_uses: 10,
    token_period: '5m',
    token_policies: 'B, a,b',
    token_strictly_bind_ip: 'true',
    token_ttl: '20m',
    token_type: 'service',
  }
  await makeRole(server, 'db.primary', given)
  const shown = {
    ...fresh,
    ...given,
    secret_id_num_uses: 40,
    secret_id_ttl: 600,
    token_bound_cidrs: ['127.0.0.1', '10.0.0.0/8', 'fd00::1'],
    token_explicit_max_ttl: 7200,
    token_period: 300,
    token_policies: ['a', 'b'],
    token_strictly_bind_ip: true,
    token_ttl: 1200,
  }
  assert.deepEqual((await server.read('auth/approle/role/db.primary')).body.data, shown)
  assert.equal((await server.write('auth/approle/role/db.primary', { token_ttl: 60 })).status, 204)
  assert.deepEqual((await server.read('auth/approle/role/db.primary')).body.data, { ...shown, token_ttl: 60 })

  await makeRole(server, 'x_1')
  assert.deepEqual((await server.list('auth/approle/role')).body.data, { keys: ['db.primary', 'web', 'x_1'] })
  assert.deepEqual((await server.read('auth/approle/role?list=true&after=db.primary&limit=1')).body.data, {
    keys: ['web'],
  })

  assert.equal((await server.delete(ROLE)).status, 204)
  assert.equal((await server.delete(ROLE)).status, 204)
  assert.equal((await server.read(ROLE)).status, 404)
  assert.equal((await server.read(`${ROLE}/role-id`)).status, 404)
})

test('names of roles are the same whatever their case', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'Web', { role_id: 'r' })
  assert.deepEqual((await server.list('auth/approle/role')).body.data, { keys: ['web'] })
  assert.equal((await server.read('auth/approle/role/WEB')).status, 200)
  const { secret_id: secretId } = await makeSecret(server, 'wEb')
  assert.equal((await logIn(server, 'r', secretId)).body.auth.metadata.role_name, 'web')
})

test('what can be no name of a role is no address', async () => {
  await using server = await startAppRole()
  for (const name of ['-a', 'a-', 'a%2Cb', '.', 'ä', 'a'.repeat(513)]) {
    const answer = await server.write(`auth/approle/role/${encodeURI(decodeURI(name))}`, {})
    assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`)
  }
  assert.equal((await server.list('auth/approle/role')).status, 404)
  for (const name of ['a', 'A b', 'a-b_c.d', '0']) {
    assert.equal((await server.write(`auth/approle/role/${encodeURIComponent(name)}`, {})).status, 204, name)
  }
})

test('old names of policies and period set the new ones, and are shown until a new name is used', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web', { policies: ['b', 'a'], period: '1m', bound_cidr_list: '127.0.0.0/8' })
  const old = { policies: ['a', 'b'], period: 60, secret_id_bound_cidrs: ['127.0.0.0/8'] }
  assert.deepEqual((await server.read(ROLE)).body.data, {
    ...fresh,
    ...old,
    token_policies: ['a', 'b'],
    token_period: 60,
  })
  assert.deepEqual((await server.read(`${ROLE}/policies`)).body.data, {
    policies: ['a', 'b'],
    token_policies: ['a', 'b'],
  })
  assert.deepEqual((await server.read(`${ROLE}/period`)).body.data, { period: 60, token_period: 60 })
  assert.deepEqual((await server.read(`${ROLE}/bound-cidr-list`)).body.data, { bound_cidr_list: ['127.0.0.0/8'] })
  assert.equal((await server.write(`${ROLE}/policies`, { token_policies: 'c' })).status, 204)
  assert.equal((await server.write(ROLE, { token_period: '2m', bound_cidr_list: [] })).status, 204)
  assert.deepEqual((await server.read(ROLE)).body.data, {
    ...fresh,
    secret_id_bound_cidrs: [],
    token_policies: ['c'],
    token_period: 120,
  })
})

test('each field with an address of its own is read, set and set back there', async () => {
  await using server = await startAppRole()
  const properties: [address: string, given: unknown, shown: unknown, reset: unknown, field?: string][] = [
    ['policies', 'b,a', ['a', 'b'], [], 'token_policies'],
    ['period', '1h', 3600, 0, 'token_period'],
    ['secret-id-num-uses', 3, 3, 0],
    ['secret-id-ttl', '1h', 3600, 0],
    ['token-ttl', '90s', 90, 0],
    ['token-max-ttl', '2h', 7200, 0],
    ['token-num-uses', 7, 7, 0],
    ['secret-id-bound-cidrs', '127.0.0.1/32', ['127.0.0.1/32'], null],
    ['bound-cidr-list', '127.0.0.1/32', ['127.0.0.1/32'], null],
    ['token-bound-cidrs', '127.0.0.1/32,::1', ['127.0.0.1', '::1'], []],
  ]
  for (const [address, given, shown, reset, field = address.replaceAll('-', '_')] of properties) {
    const where = `${ROLE}/${address}`
    await server.delete(ROLE)
    assert.equal((await server.read(where)).status, 404, address)
    const none = await server.write(where, { [field]: given })
    assert.deepEqual([none.status, none.body.errors], [404, ['1 error occurred:\n\t* unsupported path\n\n']], address)
    assert.equal((await server.delete(where)).status, 204, address)
    assert.equal((await server.read(ROLE)).status, 404, address)

    await makeRole(server, 'web')
    assert.deepEqual((await server.read(where)).body.data, { [field]: reset }, address)
    const missing = await server.write(where, {})
    assert.deepEqual([missing.status, missing.body.errors], [400, [`missing ${field}`]], address)
    assert.equal((await server.write(where, { [field]: given })).status, 204, address)
    assert.deepEqual((await server.read(where)).body.data, { [field]: shown }, address)
    const inRole = field === 'bound_cidr_list' ? 'secret_id_bound_cidrs' : field
    assert.deepEqual((await server.read(ROLE)).body.data, { ...fresh, [inRole]: shown }, address)
    assert.equal((await server.delete(where)).status, 204, address)
    assert.deepEqual((await server.read(ROLE)).body.data, fresh, address)
  }
})

test('bind-secret-id is set at its own address, but never so that nothing is left to bind', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web')
  const where = `${ROLE}/bind-secret-id`
  const loose = [400, ['at least one constraint should be enabled on the role']]
  const tried = await server.write(where, { bind_secret_id: false })
  assert.deepEqual([tried.status, tried.body.errors], loose)
  assert.equal((await server.write(ROLE, { secret_id_bound_cidrs: '127.0.0.0/8' })).status, 204)
  assert.equal((await server.write(where, { bind_secret_id: false })).status, 204)
  assert.deepEqual((await server.read(where)).body.data, { bind_secret_id: false })
  const loosened = await server.delete(`${ROLE}/secret-id-bound-cidrs`)
  assert.deepEqual([loosened.status, loosened.body.errors], loose)
  assert.equal((await server.delete(where)).status, 204)
  assert.deepEqual((await server.read(where)).body.data, { bind_secret_id: true })
  assert.deepEqual((await server.read(`${ROLE}/local-secret-ids`)).body.data, { local_secret_ids: false })
  assert.equal((await server.write(`${ROLE}/local-secret-ids`, { local_secret_ids: true })).status, 405)
})

test('roles that contradict themselves are refused, and a refused change changes nothing', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web', { token_ttl: 60 })
  const before = (await server.read(ROLE)).body.data
  const cases: [Record<string, unknown>, string][] = [
    [{ bind_secret_id: false }, 'at least one constraint should be enabled on the role'],
    [{ token_max_ttl: 59 }, "'token_ttl' cannot be greater than 'token_max_ttl'"],
    [{ token_ttl: -1 }, "'token_ttl' cannot be negative"],
    [{ token_period: '-1s' }, "'token_period' cannot be negative"],
    [{ token_num_uses: -1 }, "'token_num_uses' cannot be negative"],
    [{ secret_id_num_uses: -1 }, 'secret_id_num_uses cannot be negative'],
    [{ secret_id_ttl: -1 }, 'secret_id_ttl cannot be negative'],
    [{ secret_id_bound_cidrs: '10.0.0.0/33' }, 'invalid CIDR blocks'],
    [{ token_type: 'root' }, `invalid 'token_type' value "root"`],
    [{ role_id: '' }, 'invalid role_id supplied, or failed to generate a role_id'],
    [{ role_id: 'x'.repeat(4097) }, 'role_id may have at most 4096 bytes'],
    [{ local_secret_ids: true }, 'local_secret_ids can only be modified during role creation'],
    [
      { token_type: 'batch', token_num_uses: 1 },
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
    ],
    [
      { token_type: 'default-batch', token_period: 1 },
      "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens",
    ],
  ]
  for (const [given, message] of cases) {
    const { status, body } = await server.write(ROLE, given)
    assert.deepEqual([status, body.errors], [400, [message]])
  }
  const range = await server.write(ROLE, { token_bound_cidrs: 'nowhere' })
  assert.equal(range.status, 400)
  assert.match(range.body.errors[0], /^error parsing token_bound_cidrs: "nowhere"/)
  assert.deepEqual((await server.read(ROLE)).body.data, before)
})

test('no two roles share a role id, even when both ask at once', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web', { role_id: 'same' })
  for (const [where, body] of [
    ['auth/approle/role/other', { role_id: 'same' }],
    ['auth/approle/role/third/role-id', { role_id: 'same' }],
  ] as const) {
    if (where.includes('third')) await makeRole(server, 'third')
    const taken = await server.write(where, body)
    assert.deepEqual([taken.status, taken.body.errors], [400, ['role_id already in use']])
  }
  assert.equal((await server.write(ROLE, { role_id: 'same' })).status, 204)
  const missing = await server.write(`${ROLE}/role-id`, {})
  assert.deepEqual([missing.status, missing.body.errors], [400, ['missing role_id']])
  assert.equal((await server.write('auth/approle/role/none/role-id', { role_id: 'n' })).status, 404)

  const asked = Array.from({ length: 10 }, (_, n) => server.write(`auth/approle/role/r${n}`, { role_id: 'wanted' }))
  assert.equal((await Promise.all(asked)).filter(({ status }) => status === 204).length, 1)
  assert.equal((await server.write(`${ROLE}/role-id`, { role_id: 'free' })).status, 204)
  assert.equal((await server.write('auth/approle/role/other', { role_id: 'same' })).status, 204)
})

test('a max TTL beyond that of the mount is taken with a warning', async () => {
  await using server = await startAppRole()
  const answer = await server.write(ROLE, { token_max_ttl: 768 * 3600 + 1 })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.body.warnings, [
    "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated",
  ])
  assert.equal((await server.read(ROLE)).body.data.token_max_ttl, 768 * 3600 + 1)
})

test('policies tell making a role from changing it, and one field from the others', async () => {
  await using server = await startAppRole()
  await server.write('sys/policies/acl/maker', {
    policy: `path "auth/approle/role/*" { capabilities = ["create"] }
      path "auth/approle/role/+/secret-id-ttl" { capabilities = ["update"] }`,
  })
  const token = await server.login(['maker'])
  assert.equal((await server.write(ROLE, {}, token)).status, 204)
  assert.equal((await server.write(ROLE, { token_ttl: 1 }, token)).status, 403)
  assert.equal((await server.write(`${ROLE}/secret-id-ttl`, { secret_id_ttl: 1 }, token)).status, 204)
  assert.equal((await server.write(`${ROLE}/token-ttl`, { token_ttl: 1 }, token)).status, 403)
  assert.equal((await server.write(`${ROLE}/secret-id`, {}, token)).status, 403)
  assert.equal((await server.read(`${ROLE}/role-id`, null)).status, 403)
})
