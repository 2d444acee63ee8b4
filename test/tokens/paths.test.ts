/** `auth/token/` as clients see it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, startServer, type TestServer } from '#test/server.ts'

const at = '2026-03-01T10:00:00.250Z'

async function made(server: TestServer, body: Record<string, unknown>, token?: string, where = 'create'): Promise<any> {
  const answer = await server.write(`auth/token/${where}`, body, token)
  assert.equal(answer.status, 200, answer.text)
  return answer.body.auth
}

function errorsOf(answer: Answer): [number, ...string[]] {
  return [answer.status, ...answer.body.errors]
}

async function refused(server: TestServer, body: Record<string, unknown>, token?: string, where = 'create') {
  return errorsOf(await server.write(`auth/token/${where}`, body, token))
}

async function policy(server: TestServer, name: string, text: string): Promise<void> {
  const answer = await server.write(`sys/policies/acl/${name}`, { policy: text })
  assert.equal(answer.status, 204, answer.text)
}

const mayCreate = `
path "auth/token/create" { capabilities = ["update"] }
path "auth/token/create-orphan" { capabilities = ["update"] }
path "auth/token/create/*" { capabilities = ["update"] }
path "auth/token/revoke-orphan" { capabilities = ["update"] }
path "auth/token/renew" { capabilities = ["update"] }
path "auth/token/lookup*" { capabilities = ["update", "read"] }`

test('a new token is answered and looked up with every field', async () => {
  await using server = await startServer({ at })
  const answer = await server.write('auth/token/create', {
    policies: ['Web', 'default', 'web'],
    meta: { user: 'mara' },
    ttl: '1h',
    display_name: 'my app!',
    explicit_max_ttl: '2h',
  })
  const { auth } = answer.body
  assert.match(auth.client_token, /^hvs\./)
  assert.deepEqual(auth, {
    client_token: auth.client_token,
    accessor: auth.accessor,
    policies: ['default', 'web'],
    token_policies: ['default', 'web'],
    metadata: { user: 'mara' },
    lease_duration: 3600,
    renewable: true,
    entity_id: '',
    token_type: 'service',
    orphan: false,
    mfa_requirement: null,
    num_uses: 0,
  })
  assert.deepEqual(answer.body.warnings, ['Policy "web" does not exist'])
  server.tick(10)
  const expected = {
    accessor: auth.accessor,
    creation_time: 1772359200,
    creation_ttl: 3600,
    display_name: 'token-my-app',
    entity_id: '',
    expire_time: '2026-03-01T11:00:00.25Z',
    explicit_max_ttl: 7200,
    id: auth.client_token,
    issue_time: '2026-03-01T10:00:00.25Z',
    meta: { user: 'mara' },
    num_uses: 0,
    orphan: false,
    path: 'auth/token/create',
    policies: ['default', 'web'],
    renewable: true,
    ttl: 3590,
    type: 'service',
  }
  assert.deepEqual((await server.read('auth/token/lookup-self', auth.client_token)).body.data, expected)
  assert.deepEqual((await server.write('auth/token/lookup', { token: auth.client_token })).body.data, expected)
  assert.deepEqual((await server.write('auth/token/lookup-accessor', { accessor: auth.accessor })).body.data, {
    ...expected,
    id: '',
  })
  await server.write('auth/token/renew-self', {}, auth.client_token)
  const renewed = (await server.read('auth/token/lookup-self', auth.client_token)).body.data
  assert.deepEqual(renewed, {
    ...expected,
    expire_time: '2026-03-01T11:00:10.25Z',
    ttl: 3600,
    last_renewal: '2026-03-01T10:00:10.25Z',
    last_renewal_time: 1772359210,
  })
})

test('the first root token has no lease, one made by it without a ttl never ends, neither is renewed', async () => {
  await using server = await startServer({ at })
  const { data: first } = (await server.read('auth/token/lookup-self')).body
  assert.deepEqual(
    [first.path, first.display_name, first.expire_time, first.orphan, first.ttl],
    ['auth/token/root', 'root', null, true, 0],
  )
  for (const absent of ['issue_time', 'renewable', 'period', 'role', 'bound_cidrs', 'last_renewal'])
    assert.ok(!(absent in first), absent)
  const child = await made(server, { no_default_policy: false })
  assert.deepEqual([child.policies, child.lease_duration, child.renewable], [['root'], 0, false])
  const { data } = (await server.read('auth/token/lookup-self', child.client_token)).body
  assert.deepEqual([data.expire_time, data.renewable, data.issue_time], [null, false, '2026-03-01T10:00:00.25Z'])
  assert.deepEqual(errorsOf(await server.write('auth/token/renew-self', {})), [400, 'invalid lease ID'])
  assert.deepEqual(errorsOf(await server.write('auth/token/renew-self', {}, child.client_token)), [
    400,
    'lease is not renewable',
  ])
  const ending = await made(server, { ttl: '1h' })
  assert.deepEqual(await refused(server, {}, ending.client_token), [
    400,
    'expiring root tokens cannot create non-expiring root tokens',
  ])
  assert.equal((await made(server, { explicit_max_ttl: '30m' })).lease_duration, 1800)
})

test('ttl, period and explicit max as asked for, capped with a warning', async () => {
  await using server = await startServer({ at })
  const capped = await server.write('auth/token/create', { ttl: '30m', explicit_max_ttl: '5m' })
  assert.deepEqual(capped.body.warnings, [
    'TTL of "30m" exceeded the effective max_ttl of "5m"; TTL value is capped accordingly',
  ])
  assert.equal(capped.body.auth.lease_duration, 300)
  const long = await server.write('auth/token/create', { policies: ['default'], ttl: '9000h' })
  assert.deepEqual(long.body.warnings, [
    'TTL of "9000h" exceeded the effective max_ttl of "768h"; TTL value is capped accordingly',
  ])
  const usual = await made(server, { policies: ['default'] })
  assert.equal(usual.lease_duration, 2764800)
  assert.equal((await made(server, { policies: ['default'], ttl: 90 })).lease_duration, 90)
  assert.equal((await made(server, { policies: ['default'], lease: '2m' })).lease_duration, 120)
  const periodic = await made(server, { policies: ['default'], period: '30m', ttl: '10h' })
  assert.equal(periodic.lease_duration, 1800)
  server.tick(1000)
  const renewed = await server.write('auth/token/renew-self', { increment: '5h' }, periodic.client_token)
  assert.equal(renewed.body.auth.lease_duration, 1800)
  assert.equal((await server.read('auth/token/lookup-self', periodic.client_token)).body.data.period, 1800)
  for (const [name, value, message] of [
    ['ttl', '-1s', 'ttl must be positive'],
    ['explicit_max_ttl', '-1s', 'explicit_max_ttl must be positive'],
    ['period', -1, 'period must be positive'],
    ['num_uses', -1, 'number of uses cannot be negative'],
    ['ttl', 'soon', 'time: invalid duration "soon"'],
    ['type', 'other', "invalid 'token_type' value"],
  ]) {
    assert.deepEqual(await refused(server, { [name!]: value }), [400, message])
  }
})

test('a token gives its policies and no others, unless it has sudo', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  await policy(server, 'boss', mayCreate.replaceAll('"update"]', '"update", "sudo"]'))
  const maker = await server.login(['maker', 'a'])
  const boss = await server.login(['boss'])
  assert.deepEqual((await made(server, {}, maker)).policies, ['a', 'default', 'maker'])
  assert.deepEqual((await made(server, { policies: ['A'] }, maker)).policies, ['a', 'default'])
  assert.deepEqual((await made(server, { policies: ['a'], no_default_policy: true }, maker)).policies, ['a'])
  const bare = await server.login(['maker'], { no_default_policy: true })
  assert.deepEqual((await made(server, { policies: ['maker'] }, bare)).policies, ['maker'])
  assert.deepEqual(await refused(server, { policies: ['b'] }, maker), [400, 'child policies must be subset of parent'])
  assert.deepEqual(await refused(server, { policies: ['root'] }, maker), [
    400,
    'child policies must be subset of parent',
  ])
  assert.deepEqual(await refused(server, { policies: ['root'] }, boss), [
    400,
    'root tokens may not be created without parent token being root',
  ])
  assert.deepEqual(await refused(server, { policies: ['response-wrapping'] }), [
    400,
    'cannot assign policy "response-wrapping"',
  ])
  assert.deepEqual((await made(server, { policies: ['b'] }, boss)).policies, ['b', 'default'])
  assert.deepEqual(await refused(server, { id: 'my-id' }, maker), [
    400,
    'root or sudo privileges required to specify token id',
  ])
  assert.deepEqual(await refused(server, { period: '1h' }, maker), [
    400,
    'root or sudo privileges required to create periodic token',
  ])
  assert.deepEqual(await refused(server, { no_parent: true }, maker), [
    400,
    'root or sudo privileges required to create orphan token',
  ])
  assert.equal((await made(server, { no_parent: true }, boss)).orphan, true)
  assert.equal((await made(server, {}, maker, 'create-orphan')).orphan, true)
  assert.equal((await made(server, { id: 'my-id' }, boss)).client_token, 'my-id')
  assert.deepEqual(await refused(server, { id: 'my-id' }, boss), [400, 'cannot create a token with a duplicate ID'])
  assert.deepEqual(await refused(server, { id: 's.my-id' }, boss), [400, "custom token ID cannot have the 's.' prefix"])
  assert.deepEqual(await refused(server, { id: 'my.id' }, boss), [
    400,
    "custom token ID cannot have a '.' in the value",
  ])
})

test('a token good for three requests serves three, and makes no others', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  const { client_token: token, num_uses: uses } = await made(server, { policies: ['maker'], num_uses: 3 })
  assert.equal(uses, 3)
  assert.deepEqual(await refused(server, {}, token), [400, 'restricted use token cannot generate child tokens'])
  assert.equal((await server.read('auth/token/lookup-self', token)).body.data.num_uses, 1)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 200)
  assert.deepEqual(errorsOf(await server.read('auth/token/lookup-self', token)), [403, 'permission denied'])
  const keys = await server.list('auth/token/accessors')
  assert.equal(keys.body.data.keys.length, 1)
})

test('batch tokens: what they may not have and may not do', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  const batch = { type: 'batch', policies: ['maker'] }
  for (const [name, value] of [
    ['explicit_max_ttl', '1h'],
    ['num_uses', 2],
    ['period', '1h'],
  ]) {
    assert.deepEqual(await refused(server, { ...batch, [name!]: value }), [
      400,
      `batch tokens cannot have "${name}" set`,
    ])
  }
  assert.deepEqual(await refused(server, { type: 'batch' }), [400, 'batch tokens cannot be root tokens'])
  const auth = await made(server, { ...batch, ttl: '10m', id: 'x', meta: { a: 'b' } })
  assert.match(auth.client_token, /^hvb\./)
  assert.deepEqual([auth.accessor, auth.renewable, auth.token_type, auth.orphan], ['', false, 'batch', false])
  const token = auth.client_token
  const { data } = (await server.read('auth/token/lookup-self', token)).body
  assert.deepEqual(
    [data.id, data.accessor, data.ttl, data.renewable, data.type, data.meta, data.expire_time],
    [token, '', 600, false, 'batch', { a: 'b' }, '2026-03-01T10:10:00.25Z'],
  )
  assert.deepEqual(await refused(server, {}, token), [400, 'batch tokens cannot create more tokens'])
  assert.deepEqual(errorsOf(await server.write('auth/token/renew', { token })), [400, 'batch tokens cannot be renewed'])
  assert.deepEqual(errorsOf(await server.write('auth/token/revoke', { token })), [
    400,
    'batch tokens cannot be revoked',
  ])
  assert.deepEqual(errorsOf(await server.write('auth/token/revoke-self', {}, token)), [
    400,
    'batch tokens cannot be revoked',
  ])
  const parent = await server.login(['maker'])
  const child = await made(server, { type: 'batch' }, parent)
  assert.equal((await server.read('auth/token/lookup-self', child.client_token)).status, 200)
  await server.write('auth/token/revoke-self', {}, parent)
  assert.equal((await server.read('auth/token/lookup-self', child.client_token)).status, 403)
  server.tick(600)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
})

test('what is not there, or not given, is told in the words clients know', async () => {
  await using server = await startServer({ at })
  const lost = 'hvs.000000000000000000000000'
  assert.deepEqual(errorsOf(await server.write('auth/token/lookup', { token: lost })), [403, 'bad token'])
  assert.deepEqual(errorsOf(await server.write('auth/token/renew', { token: lost })), [400, 'token not found'])
  assert.equal((await server.write('auth/token/revoke', { token: lost })).status, 204)
  assert.deepEqual(errorsOf(await server.write('auth/token/revoke-orphan', { token: lost })), [
    400,
    'token to revoke not found',
  ])
  for (const path of ['renew', 'revoke', 'revoke-orphan']) {
    assert.deepEqual(errorsOf(await server.write(`auth/token/${path}`, {})), [400, 'missing token ID'])
  }
  for (const path of ['lookup-accessor', 'renew-accessor', 'revoke-accessor']) {
    assert.deepEqual(errorsOf(await server.write(`auth/token/${path}`, { accessor: 'lost' })), [
      400,
      '1 error occurred:\n\t* invalid accessor\n\n',
    ])
    assert.deepEqual(errorsOf(await server.write(`auth/token/${path}`, {})), [
      400,
      '1 error occurred:\n\t* missing accessor\n\n',
    ])
  }
  assert.equal((await server.read('auth/token/lookup')).body.data.path, 'auth/token/root')
  assert.deepEqual(errorsOf(await server.read('auth/token/lookup-self', lost)), [403, 'permission denied'])
})

test('revoking and renewing, by token and by accessor', async () => {
  await using server = await startServer({ at })
  const [first, second] = [
    await made(server, { policies: ['default'], ttl: '1h' }),
    await made(server, { policies: ['default'], ttl: '1h' }),
  ]
  const renewed = (await server.write('auth/token/renew', { token: first.client_token, increment: '2h' })).body.auth
  assert.deepEqual(renewed, { ...first, lease_duration: 7200 })
  const byAccessor = (await server.write('auth/token/renew-accessor', { accessor: first.accessor, increment: 60 })).body
    .auth
  assert.deepEqual(byAccessor, { ...first, client_token: '', lease_duration: 60 })
  assert.equal((await server.write('auth/token/revoke-accessor', { accessor: first.accessor })).status, 204)
  assert.equal((await server.write('auth/token/revoke', { token: second.client_token })).status, 204)
  for (const { client_token: token } of [first, second])
    assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
  const fixed = await made(server, { policies: ['default'], renewable: false })
  assert.equal(fixed.renewable, false)
  assert.deepEqual(errorsOf(await server.write('auth/token/renew', { token: fixed.client_token })), [
    400,
    'lease is not renewable',
  ])
  server.tick(3600 * 800)
  assert.deepEqual(errorsOf(await server.write('auth/token/renew', { token: fixed.client_token })), [
    400,
    'token not found',
  ])
})

test('revoke-orphan needs sudo, and leaves the children', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  const parent = await server.login(['maker'])
  const child = await made(server, {}, parent)
  assert.deepEqual(errorsOf(await server.write('auth/token/revoke-orphan', { token: child.client_token }, parent)), [
    400,
    'root or sudo privileges required to revoke and orphan',
  ])
  assert.equal((await server.write('auth/token/revoke-orphan', { token: parent })).status, 204)
  const { data } = (await server.read('auth/token/lookup-self', child.client_token)).body
  assert.equal(data.orphan, true)
})

test('accessors are listed for those with sudo only', async () => {
  await using server = await startServer({ at })
  await policy(server, 'lister', 'path "auth/token/accessors" { capabilities = ["list"] }')
  const lister = await server.login(['lister'])
  assert.equal((await server.list('auth/token/accessors', lister)).status, 403)
  const { data } = (await server.list('auth/token/accessors')).body
  assert.equal(data.keys.length, 2)
  assert.deepEqual((await server.list('auth/token/accessors/')).body.data, data)
})

test('a role is written, read, listed and deleted', async () => {
  await using server = await startServer({ at })
  assert.equal((await server.list('auth/token/roles')).status, 404)
  assert.deepEqual(errorsOf(await server.read('auth/token/roles/none')), [404])
  assert.equal((await server.write('auth/token/roles/web', { allowed_policies: 'b, A', period: '1h' })).status, 204)
  assert.deepEqual((await server.read('auth/token/roles/web')).body.data, {
    allowed_entity_aliases: null,
    allowed_policies: ['a', 'b'],
    allowed_policies_glob: [],
    disallowed_policies: [],
    disallowed_policies_glob: [],
    explicit_max_ttl: 0,
    name: 'web',
    orphan: false,
    path_suffix: '',
    period: 3600,
    renewable: true,
    token_explicit_max_ttl: 0,
    token_no_default_policy: false,
    token_period: 3600,
    token_type: 'default-service',
  })
  await server.write('auth/token/roles/web', {
    token_period: 60,
    token_bound_cidrs: '10.0.0.0/8',
    token_num_uses: 4,
    orphan: true,
  })
  const { data } = (await server.read('auth/token/roles/web')).body
  assert.deepEqual(
    [data.period, data.token_period, data.token_bound_cidrs, data.token_num_uses, data.orphan, data.allowed_policies],
    [0, 60, ['10.0.0.0/8'], 4, true, ['a', 'b']],
  )
  assert.deepEqual((await server.list('auth/token/roles')).body.data.keys, ['web'])
  for (const [body, message] of [
    [{ token_type: 'other' }, `invalid 'token_type' value "other"`],
    [{ path_suffix: '/' }, 'given role path suffix contains invalid characters; must conform to \\w[\\w-.]+\\w'],
    [{ token_type: 'batch' }, "'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens"],
  ] as const) {
    assert.deepEqual(errorsOf(await server.write('auth/token/roles/web', body)), [400, message])
  }
  assert.equal((await server.delete('auth/token/roles/web')).status, 204)
  assert.equal((await server.read('auth/token/roles/web')).status, 404)
})

test('tokens of a role are what the role says, whatever their maker may', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  const maker = await server.login(['maker'])
  const role = async (name: string, body: Record<string, unknown>) =>
    assert.equal((await server.write(`auth/token/roles/${name}`, body)).status, 204)
  await role('web', {
    allowed_policies: 'a,b',
    allowed_policies_glob: 'team-*',
    disallowed_policies: 'team-root',
    path_suffix: 'v-1',
    token_num_uses: 5,
    renewable: false,
  })
  assert.deepEqual((await made(server, {}, maker, 'create/web')).policies, ['a', 'b', 'default'])
  const some = await made(server, { policies: ['a', 'team-x'], num_uses: 9, ttl: '1h' }, maker, 'create/web')
  assert.deepEqual(
    [some.policies, some.num_uses, some.renewable, some.orphan],
    [['a', 'default', 'team-x'], 5, false, false],
  )
  const { data } = (await server.write('auth/token/lookup', { token: some.client_token })).body
  assert.deepEqual([data.role, data.path], ['web', 'auth/token/create/web/v-1'])
  assert.deepEqual(await refused(server, { policies: ['c'] }, maker, 'create/web'), [
    400,
    `token policies (["c" "default"]) must be subset of the role's allowed policies (["a" "b" "default"]) or glob policies (["team-*"])`,
  ])
  assert.deepEqual(await refused(server, { policies: ['team-root'] }, maker, 'create/web'), [
    400,
    'token policy "team-root" is disallowed by this role',
  ])
  assert.deepEqual(await refused(server, {}, maker, 'create/none'), [400, 'unknown role none'])

  await role('worker', {
    orphan: true,
    token_period: '1h',
    token_explicit_max_ttl: '3h',
    token_bound_cidrs: '10.0.0.0/8',
    token_no_default_policy: true,
  })
  const worker = await made(server, {}, maker, 'create/worker')
  assert.deepEqual([worker.orphan, worker.lease_duration, worker.policies], [true, 3600, ['default', 'maker']])
  const lesser = await server.write('auth/token/create/worker', { period: '30m', explicit_max_ttl: '9h' })
  assert.deepEqual(lesser.body.warnings, [
    'Explicit max TTL specified both during creation call and in role; using the lesser value of 10800 seconds',
    'Period specified both during creation call and in role; using the lesser value of 1800 seconds',
  ])
  assert.equal(
    (await server.read('auth/token/lookup-self', worker.client_token)).status,
    403,
    'from outside its address range',
  )

  await role('no-default', { disallowed_policies: 'default' })
  assert.deepEqual((await made(server, { policies: ['x'] }, maker, 'create/no-default')).policies, ['x'])
  await role('cheap', { token_type: 'batch', allowed_policies: 'a' })
  assert.equal((await made(server, {}, maker, 'create/cheap')).token_type, 'batch')
  await role('named', { allowed_entity_aliases: 'web-*' })
  assert.deepEqual(await refused(server, { entity_alias: 'other' }, maker, 'create/named'), [
    400,
    "invalid 'entity_alias' value",
  ])
  assert.deepEqual(await refused(server, { entity_alias: 'web-1' }, maker), [
    400,
    "'entity_alias' is only allowed in combination with token role",
  ])

  await server.delete('auth/token/roles/web')
  const stays = await made(server, { ttl: '1h' }, maker, 'create/worker')
  await server.delete('auth/token/roles/worker')
  assert.deepEqual(errorsOf(await server.write('auth/token/renew', { token: stays.client_token })), [
    400,
    'original token role "worker" could not be found, not renewing',
  ])
})

test('a token of a role may stand for an entity that the role allows', async () => {
  await using server = await startServer({ at })
  await server.write('auth/token/roles/named', { allowed_entity_aliases: 'web-*,other', allowed_policies: 'a' })
  const first = await made(server, { entity_alias: 'Web-1' }, undefined, 'create/named')
  const again = await made(server, { entity_alias: 'Web-1' }, undefined, 'create/named')
  const other = await made(server, { entity_alias: 'other' }, undefined, 'create/named')
  assert.match(first.entity_id, /^[0-9a-f-]{36}$/)
  assert.equal(again.entity_id, first.entity_id)
  assert.notEqual(other.entity_id, first.entity_id)
  await server.write(`identity/entity/id/${first.entity_id}`, { policies: ['b'] })
  const third = await made(server, { entity_alias: 'Web-1' }, undefined, 'create/named')
  assert.deepEqual(
    [third.policies, third.token_policies, third.identity_policies],
    [['a', 'b', 'default'], ['a', 'default'], ['b']],
  )
  const { data } = (await server.read('auth/token/lookup-self', third.client_token)).body
  assert.deepEqual([data.policies, data.identity_policies, data.entity_id], [['a', 'default'], ['b'], first.entity_id])
})

test('a log-in token is renewed as its auth method says now', async () => {
  await using server = await startServer({ at })
  const role = 'auth/approle/role/web'
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write(role, { token_ttl: 60, token_max_ttl: 200, token_policies: 'a' })
  const { role_id } = (await server.read(`${role}/role-id`)).body.data
  const { secret_id } = (await server.write(`${role}/secret-id`, {})).body.data
  const login = async () => (await server.write('auth/approle/login', { role_id, secret_id }, null)).body.auth
  const auth = await login()
  assert.deepEqual([auth.lease_duration, auth.policies, auth.orphan], [60, ['a', 'default'], true])
  server.tick(50)
  const renewed = (await server.write('auth/token/renew-self', {}, auth.client_token)).body
  assert.deepEqual([renewed.auth.lease_duration, renewed.warnings], [60, null])
  await server.write(role, { token_ttl: 100 })
  server.tick(50)
  assert.equal((await server.write('auth/token/renew-self', {}, auth.client_token)).body.auth.lease_duration, 100)
  server.tick(50)
  const capped = (await server.write('auth/token/renew-self', {}, auth.client_token)).body
  assert.deepEqual(
    [capped.auth.lease_duration, capped.warnings],
    [50, ['TTL of "1m40s" exceeded the effective max_ttl of "50s"; TTL value is capped accordingly']],
  )
  server.tick(50)
  assert.equal((await server.read('auth/token/lookup-self', auth.client_token)).status, 403)
  const second = (await login()).client_token
  assert.equal((await server.delete('sys/auth/approle')).status, 204)
  assert.equal((await server.read('auth/token/lookup-self', second)).status, 403)
})

test('tidy is started behind the answer', async () => {
  await using server = await startServer({ at })
  const answer = await server.write('auth/token/tidy', {})
  assert.deepEqual([answer.status, answer.body.data], [202, null])
  assert.match(answer.body.warnings[0], /^Tidy operation successfully started\./)
})

test('a revoked tree is refused over HTTP, with its cubbyholes gone', async () => {
  await using server = await startServer({ at })
  await policy(server, 'maker', mayCreate)
  const parent = await server.login(['maker'])
  const child = (await made(server, {}, parent)).client_token
  assert.equal((await server.write('cubbyhole/mine', { a: '1' }, child)).status, 204)
  assert.equal((await server.read('cubbyhole/mine', child)).body.data.a, '1')
  await server.write('auth/token/revoke', { token: parent })
  assert.equal((await server.read('cubbyhole/mine', child)).status, 403)
  const again = await made(server, { id: 'again', policies: ['default'] })
  await server.write('cubbyhole/mine', { a: '2' }, again.client_token)
  await server.write('auth/token/revoke', { token: 'again' })
  await made(server, { id: 'again', policies: ['default'] })
  assert.equal((await server.read('cubbyhole/mine', 'again')).status, 404)
})

test('the token of another server is refused', async () => {
  await using server = await startServer({ at })
  await using other = await startServer({ at, rootToken: 'other' })
  const service = await other.login(['default'])
  const batch = (await other.write('auth/token/create', { type: 'batch', policies: ['default'] })).body.auth
    .client_token
  for (const token of [service, batch, 'other']) {
    assert.equal((await other.read('auth/token/lookup-self', token)).status, 200)
    assert.deepEqual(errorsOf(await server.read('auth/token/lookup-self', token)), [403, 'permission denied'])
  }
})
