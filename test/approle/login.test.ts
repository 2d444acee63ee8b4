/** Log-ins by AppRole: what they give, and everything that must not pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertInvalid, enable, logIn, makeRole, makeSecret, openEngine, startAppRole, UNKNOWN } from './support.ts'

test('a log-in gives a token with the policies, times and metadata of role and secret id', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', {
    token_policies: 'Reader,writer,reader',
    token_ttl: '20m',
    token_max_ttl: '30m',
    token_num_uses: 5,
  })
  const { secret_id: secretId } = await makeSecret(server, 'web', { metadata: '{"build":"42","role_name":"forged"}' })
  const { status, body } = await logIn(server, roleId, secretId)
  assert.equal(status, 200)
  const { client_token: token, accessor, entity_id: entityId, ...auth } = body.auth
  assert.deepEqual(auth, {
    policies: ['default', 'reader', 'writer'],
    token_policies: ['default', 'reader', 'writer'],
    metadata: { build: '42', role_name: 'web' },
    lease_duration: 1200,
    renewable: true,
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 5,
  })
  const { data } = (await server.read('auth/token/lookup-self', token)).body
  assert.deepEqual(
    [data.accessor, data.display_name, data.path, data.meta, data.entity_id, data.num_uses, data.ttl],
    [accessor, 'approle', 'auth/approle/login', { build: '42', role_name: 'web' }, entityId, 4, 1200],
  )
  const entity = (await server.read(`identity/entity/id/${entityId}`)).body.data
  assert.equal(entity.aliases[0].name, roleId)
  assert.deepEqual(entity.aliases[0].metadata, { build: '42', role_name: 'web' })
})

test('role id and secret id may come with the line break of their files', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web')
  assert.equal((await logIn(server, `${roleId}\n`, `${secretId}\r\n`)).status, 200)
})

test('a log-in with a secret id of unlimited uses changes nothing in the store of the method', async () => {
  let changes = 0
  const approle = await openEngine((driver) => ({
    transact: (change) => {
      changes++
      return driver.transact(change)
    },
  }))
  await approle.call('role/web', { role_id: 'r' })
  await approle.call('role/web/custom-secret-id', { secret_id: 's' })
  changes = 0
  const { grant } = await approle.call('login', { role_id: 'r', secret_id: 's' })
  assert.equal(grant?.metadata['role_name'], 'web')
  assert.equal(changes, 0)
})

test('the answer to a wrong log-in is the same whatever is wrong, and only the trail tells', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const otherId = await makeRole(server, 'other')
  const gone = await makeRole(server, 'gone')
  const { secret_id: own } = await makeSecret(server, 'web', { ttl: 60 })
  const { secret_id: others } = await makeSecret(server, 'other')
  const { secret_id: goneSecret } = await makeSecret(server, 'gone')
  assert.equal((await server.delete('auth/approle/role/gone')).status, 204)
  const attempts = [
    [UNKNOWN, own],
    [roleId, UNKNOWN],
    [roleId, others],
    [otherId, own],
    [gone, goneSecret],
    [own, roleId],
    [roleId, own.toUpperCase()],
  ] as const
  for (const [role, secret] of attempts) assertInvalid(await logIn(server, role, secret))
  assert.equal((await logIn(server, roleId, own)).status, 200)
  server.tick(60)
  assertInvalid(await logIn(server, roleId, own))

  const reasons = (await server.trail())
    .filter((line) => line.type === 'response' && line.error)
    .map((line) => line.reason)
  assert.deepEqual(
    new Set(reasons),
    new Set([
      'no role has this role id',
      'the secret id is none of the role "web"',
      'the secret id is none of the role "other"',
      'the secret id of the role "web" has expired',
    ]),
  )
})

test('a log-in without secret id is answered alike for role ids that are there and that are not', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const elsewhere = await makeRole(server, 'elsewhere', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  for (const each of [roleId, elsewhere, UNKNOWN]) {
    const { status, body } = await logIn(server, each)
    assert.deepEqual([status, body], [400, { errors: ['missing secret_id'] }])
    const blank = await logIn(server, each, ' ')
    assert.deepEqual([blank.status, blank.body], [400, { errors: ['missing secret_id'] }])
  }
  assertInvalid(await logIn(server, elsewhere, UNKNOWN))
  for (const each of [undefined, '', ' ']) {
    const { status, body } = await logIn(server, each, UNKNOWN)
    assert.deepEqual([status, body], [400, { errors: ['missing role_id'] }])
  }
})

test('known and unknown role ids cost the same reads of the store', async () => {
  const reads: string[] = []
  const approle = await openEngine((driver) => ({
    get: (key) => {
      reads.push(key)
      return driver.get(key)
    },
  }))
  await approle.call('role/web', { role_id: 'r' })
  const counts: number[] = []
  for (const roleId of ['r', 'none']) {
    reads.length = 0
    await assert.rejects(approle.call('login', { role_id: roleId, secret_id: 'wrong' }), { code: 'invalid_request' })
    counts.push(reads.length)
  }
  assert.equal(counts[0], counts[1])
})

test('a secret id of another mount is none, even with the same role name, role id and text', async () => {
  await using server = await startAppRole()
  await enable(server, 'second')
  for (const at of ['approle', 'second']) await makeRole(server, 'web', { role_id: 'same' }, at)
  const { secret_id: secretId } = await makeSecret(server, 'web')
  assertInvalid(await logIn(server, 'same', secretId, 'second'))
  assert.equal((await logIn(server, 'same', secretId)).status, 200)
})

test('a secret id of one use passes once', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { secret_id_num_uses: 1 })
  const { secret_id: secretId, secret_id_accessor: accessor } = await makeSecret(server, 'web')
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
  assertInvalid(await logIn(server, roleId, secretId))
  assert.equal((await server.write('auth/approle/role/web/secret-id/lookup', { secret_id: secretId })).status, 204)
  const byAccessor = { secret_id_accessor: accessor }
  assert.equal((await server.write('auth/approle/role/web/secret-id-accessor/lookup', byAccessor)).status, 404)
  assert.equal((await server.list('auth/approle/role/web/secret-id')).status, 404)
})

test('a secret id of three uses passes three times, and tells how many are left', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web', { num_uses: 3 })
  for (const left of [2, 1]) {
    server.tick(10)
    assert.equal((await logIn(server, roleId, secretId)).status, 200)
    const { data } = (await server.write('auth/approle/role/web/secret-id/lookup', { secret_id: secretId })).body
    assert.equal(data.secret_id_num_uses, left)
    assert.equal(data.creation_time, '2026-01-01T00:00:00Z')
    assert.equal(data.last_updated_time, left === 2 ? '2026-01-01T00:00:10Z' : '2026-01-01T00:00:20Z')
  }
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
  assertInvalid(await logIn(server, roleId, secretId))
})

test('of twenty log-ins that have all seen the one use left, one passes', async () => {
  const count = 20
  let begun = false
  const reading = meeting(count)
  const changing = meeting(count)
  const approle = await openEngine((driver) => ({
    async get(key) {
      const entry = await driver.get(key)
      if (begun && key.includes('/secret/')) await reading.arrive()
      return entry
    },
    transact: (change) =>
      driver.transact(async (transaction) => {
        const result = await change(transaction)
        if (begun) await changing.arrive()
        return result
      }),
  }))
  await approle.call('role/web', { role_id: 'r' })
  await approle.call('role/web/custom-secret-id', { secret_id: 's', num_uses: 1 })
  begun = true
  const tries = Array.from({ length: count }, () => approle.call('login', { role_id: 'r', secret_id: 's' }))
  const results = await Promise.allSettled(tries)
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
  for (const result of results) {
    if (result.status === 'rejected') assert.equal(result.reason.message, 'invalid role or secret ID')
  }
  assert.deepEqual(
    (await approle.keys()).filter((key) => /^(secret|accessor)/.test(key)),
    [],
  )
})

test('of twenty log-ins at once over HTTP to a durable store with a secret id of three uses, three pass', async () => {
  await using server = await startAppRole({ storage: 'sqlite' })
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web', { num_uses: 3 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => logIn(server, roleId, secretId)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 3)
  assert.equal(answers.filter(({ status }) => status === 400).length, 17)
})

test('a secret id is refused from the second on at which it expires', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { secret_id_ttl: '10m' })
  const { secret_id: secretId, secret_id_ttl: ttl } = await makeSecret(server, 'web')
  const { secret_id: short } = await makeSecret(server, 'web', { ttl: 60 })
  assert.equal(ttl, 600)
  server.tick(59)
  assert.equal((await logIn(server, roleId, short)).status, 200)
  server.tick(1)
  assertInvalid(await logIn(server, roleId, short))
  server.tick(539)
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
  server.tick(1)
  assertInvalid(await logIn(server, roleId, secretId))
})

test('addresses outside of the ranges of secret id, role or token are refused, and use nothing up', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { role_id: 'web' })
  const { secret_id: bySecret } = await makeSecret(server, 'web', {
    cidr_list: ['10.0.0.0/8', 'fd00::/8'],
    num_uses: 1,
  })
  const refused = await logIn(server, roleId, bySecret)
  const text = 'source address "127.0.0.1" unauthorized through CIDR restrictions on the secret ID'
  assert.deepEqual([refused.status, refused.body], [400, { errors: [text] }])

  const { secret_id: secretId } = await makeSecret(server, 'web', { num_uses: 1 })
  for (const property of ['secret-id-bound-cidrs', 'bound-cidr-list', 'token-bound-cidrs']) {
    const field = property.replaceAll('-', '_')
    assert.equal((await server.write(`auth/approle/role/web/${property}`, { [field]: '10.0.0.0/8' })).status, 204)
    const answer = await logIn(server, roleId, secretId)
    assert.equal(answer.status, 400)
    assert.match(
      answer.body.errors[0],
      /^source address "127.0.0.1" unauthorized by CIDR restrictions on the (role|token)$/,
    )
    assert.equal((await server.delete(`auth/approle/role/web/${property}`)).status, 204)
  }
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
})

test('a role may need no secret id where it bounds addresses', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { bind_secret_id: false, token_bound_cidrs: '127.0.0.0/8' })
  const { status, body } = await logIn(server, roleId)
  assert.equal(status, 200)
  assert.deepEqual(body.auth.metadata, { role_name: 'web' })
  assert.equal((await logIn(server, roleId, 'whatever')).status, 200)
  const { data } = (await server.write('auth/token/lookup', { token: body.auth.client_token })).body
  assert.deepEqual(data.bound_cidrs, ['127.0.0.0/8'])
  const secret = await server.write('auth/approle/role/web/secret-id', {})
  assert.deepEqual([secret.status, secret.body.errors], [400, ['bind_secret_id is not set on the role']])
})

test('the ranges of a secret id bind its tokens instead of those of the role', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web', { token_bound_cidrs: '127.0.0.0/8' })
  const { secret_id: secretId } = await makeSecret(server, 'web', { token_bound_cidrs: '127.0.0.1/32' })
  const token = (await logIn(server, roleId, secretId)).body.auth.client_token
  const { data } = (await server.write('auth/token/lookup', { token })).body
  assert.deepEqual(data.bound_cidrs, ['127.0.0.1/32'])
  const { secret_id: elsewhere } = await makeSecret(server, 'web', { token_bound_cidrs: '127.0.0.2/32' })
  assert.equal((await logIn(server, roleId, elsewhere)).status, 400)
})

test('a role may bind each token to the address that logged in', async () => {
  const approle = await openEngine()
  await approle.call('role/web', { role_id: 'r', token_strictly_bind_ip: true, token_bound_cidrs: '10.0.0.0/8' })
  await approle.call('role/web/custom-secret-id', { secret_id: 's' })
  const { grant } = await approle.call('login', { role_id: 'r', secret_id: 's' }, { remoteAddress: '10.1.2.3' })
  assert.deepEqual(grant?.boundCidrs, ['10.1.2.3'])
})

test('roles give batch tokens, periodic tokens and tokens without the default policy', async () => {
  await using server = await startAppRole()
  const cases = [
    [
      { token_type: 'batch', token_policies: 'p' },
      { token_type: 'batch', renewable: false, policies: ['default', 'p'] },
    ],
    [
      { token_period: '1h', token_policies: 'p' },
      { lease_duration: 3600, renewable: true, policies: ['default', 'p'] },
    ],
    [
      { token_no_default_policy: true, token_policies: 'p' },
      { policies: ['p'], token_type: 'service' },
    ],
    [{ token_explicit_max_ttl: '5m' }, { lease_duration: 300 }],
  ] as const
  for (const [index, [fields, wanted]] of cases.entries()) {
    const roleId = await makeRole(server, `role${index}`, fields)
    const { secret_id: secretId } = await makeSecret(server, `role${index}`)
    const { body } = await logIn(server, roleId, secretId)
    for (const [name, value] of Object.entries(wanted)) assert.deepEqual(body.auth[name], value, name)
  }
})

test('a role that is made again under the name of a deleted one takes none of its secret ids', async () => {
  await using server = await startAppRole()
  await makeRole(server, 'web', { role_id: 'web' })
  const { secret_id: secretId, secret_id_accessor: accessor } = await makeSecret(server, 'web')
  assert.equal((await server.delete('auth/approle/role/web')).status, 204)
  await makeRole(server, 'web', { role_id: 'web' })
  assertInvalid(await logIn(server, 'web', secretId))
  const lookup = await server.write('auth/approle/role/web/secret-id-accessor/lookup', { secret_id_accessor: accessor })
  assert.equal(lookup.status, 404)
  assert.equal((await server.list('auth/approle/role/web/secret-id')).status, 404)
})

test('a new role id replaces the old one, and secret ids stay', async () => {
  await using server = await startAppRole()
  const before = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web')
  assert.equal((await server.write('auth/approle/role/web/role-id', { role_id: 'host.example' })).status, 204)
  assertInvalid(await logIn(server, before, secretId))
  assert.equal((await logIn(server, 'host.example', secretId)).status, 200)
})

test('a role id that is replaced during a log-in with it lets nobody in', async () => {
  let between: (() => Promise<unknown>) | undefined
  const approle = await openEngine((driver) => ({
    async get(key) {
      const entry = await driver.get(key)
      if (!key.includes('/role-id/')) return entry
      const act = between
      between = undefined
      await act?.()
      return entry
    },
  }))
  await approle.call('role/web', { role_id: 'r', bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1' })
  assert.ok((await approle.call('login', { role_id: 'r' })).grant)
  between = () => approle.call('role/web/role-id', { role_id: 'new' })
  await assert.rejects(approle.call('login', { role_id: 'r' }), { message: 'missing secret_id' })
})

test('the same secret id given to two roles leaves no trace of being the same', async () => {
  const approle = await openEngine()
  for (const name of ['web', 'other']) {
    await approle.call(`role/${name}`, {})
    await approle.call(`role/${name}/custom-secret-id`, { secret_id: 'chosen' })
  }
  const hashes = (await approle.keys()).filter((key) => key.startsWith('secret/')).map((key) => key.split('/')[2])
  assert.equal(new Set(hashes).size, 2)
})

test('neither secret ids nor role ids are written to storage keys, nor secret ids to any value', async () => {
  const approle = await openEngine()
  await approle.call('role/web', { role_id: 'the-role-id' })
  await approle.call('role/web/custom-secret-id', { secret_id: 'the-secret-id', ttl: 60 })
  const keys = await approle.keys()
  assert.equal(keys.length, 6)
  for (const key of keys) {
    assert.doesNotMatch(key, /the-role-id|the-secret-id/)
    assert.doesNotMatch(JSON.stringify(await approle.mount.storage.get(key)), /the-secret-id/)
  }
})

test('secret ids go on after a restart, and the trail holds neither secret id nor role id', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web')
  assert.equal((await server.write('sys/seal', {})).status, 204)
  assert.equal((await logIn(server, roleId, secretId)).status, 503)
  assert.equal((await server.write('sys/unseal', { key: server.unsealKey }, null)).status, 200)
  assert.equal((await logIn(server, roleId, secretId)).status, 200)
  const trail = JSON.stringify(await server.trail())
  assert.ok(trail.includes('auth/approle/login'))
  assert.ok(!trail.includes(secretId) && !trail.includes(roleId))
})

test('a log-in can be neither read nor listed, and unknown fields are told', async () => {
  await using server = await startAppRole()
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web')
  assert.equal((await server.read('auth/approle/login')).status, 405)
  const answer = await server.write('auth/approle/login', { role_id: roleId, secret_id: secretId, x: 1 }, null)
  assert.deepEqual(answer.body.warnings, ['Endpoint ignored these unrecognized parameters: [x]'])
})

function meeting(count: number): { arrive: () => Promise<void> } {
  let waiting = 0
  let open: () => void
  const all = new Promise<void>((resolve) => (open = resolve))
  return {
    async arrive() {
      if (++waiting === count) open()
      if (waiting <= count) await all
    },
  }
}
