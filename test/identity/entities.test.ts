/** Entities: who is behind the log-ins, and what becomes of their tokens. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'
import { hold, meeting } from '#test/request/stage.ts'

async function withAppRole(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer({ secret: true, ...options })
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', {
    bind_secret_id: false,
    secret_id_bound_cidrs: '127.0.0.1/32',
    token_policies: 'own',
  })
  await server.send('PUT', 'sys/policies/acl/own', { policy: 'path "secret/data/own" { capabilities = ["read"] }' })
  await server.write('secret/data/own', { data: { v: 1 } })
  return server
}

async function login(server: TestServer): Promise<any> {
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  return (await server.write('auth/approle/login', { role_id }, null)).body
}

test('the first log-in makes an entity with its alias, the next ones find it', async () => {
  await using server = await withAppRole()
  const first = (await login(server)).auth
  const second = (await login(server)).auth
  assert.equal(first.entity_id, second.entity_id)
  const entity = (await server.read(`identity/entity/id/${first.entity_id}`)).body.data
  assert.equal(entity.aliases.length, 1)
  assert.equal(entity.metadata, null)
  assert.deepEqual((await server.list('identity/entity/id')).body.data.keys, [first.entity_id])
  assert.deepEqual((await server.list('identity/entity-alias/id')).body.data.keys, [entity.aliases[0].id])
  const alias = (await server.read(`identity/entity-alias/id/${entity.aliases[0].id}`)).body.data
  assert.deepEqual(
    [alias.canonical_id, alias.mount_path, alias.mount_type],
    [first.entity_id, 'auth/approle/', 'approle'],
  )
  assert.deepEqual((await server.write('identity/lookup/entity', { alias_id: alias.id })).body.data.id, first.entity_id)
  assert.equal((await server.write('identity/lookup/entity', { name: 'none' })).status, 204)
})

test('twenty first log-ins at once are one entity', async () => {
  await using server = await withAppRole({ workers: 1 })
  const { identity } = server.node.core
  const entityOf = identity.entityOf.bind(identity)
  const meet = meeting(20)
  identity.entityOf = async (alias) => {
    await meet()
    return entityOf(alias)
  }
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => server.write('auth/approle/login', { role_id }, null)),
  )
  assert.equal(new Set(replies.map(({ body }) => body.auth.entity_id)).size, 1)
  assert.equal((await server.list('identity/entity/id')).body.data.keys.length, 1)
})

test('tokens of a disabled entity are good for nothing at once, for all again when it is enabled', async () => {
  await using server = await withAppRole()
  const { client_token: token, entity_id } = (await login(server)).auth
  assert.equal((await server.read('secret/data/own', token)).status, 200)
  await server.write(`identity/entity/id/${entity_id}`, { disabled: true })
  for (const where of ['secret/data/own', 'auth/token/lookup-self', 'cubbyhole/x']) {
    assert.equal((await server.read(where, token)).status, 403, where)
  }
  assert.equal((await server.write('auth/token/renew-self', {}, token)).status, 403)
  assert.deepEqual((await server.read('sys/internal/ui/mounts', token)).body.data, { auth: {}, secret: {} })
  assert.deepEqual(
    (await server.write('sys/capabilities', { token, paths: 'secret/data/own' })).body.data.capabilities,
    ['deny'],
  )
  const { errors } = await login(server)
  assert.deepEqual(errors, ['permission denied'])
  await server.write(`identity/entity/id/${entity_id}`, { disabled: false })
  assert.equal((await server.read('secret/data/own', token)).status, 200)
})

test('tokens of a deleted entity stay refused, also when its log-in comes back as another', async () => {
  await using server = await withAppRole()
  const { client_token: token, entity_id } = (await login(server)).auth
  assert.equal((await server.delete(`identity/entity/id/${entity_id}`)).status, 204)
  assert.equal((await server.read('secret/data/own', token)).status, 403)
  const again = (await login(server)).auth
  assert.notEqual(again.entity_id, entity_id)
  assert.equal((await server.read('secret/data/own', again.client_token)).status, 200)
  assert.equal((await server.read('secret/data/own', token)).status, 403)
  assert.deepEqual((await server.list('identity/entity/id')).body.data.keys, [again.entity_id])
})

test('an entity disabled while its log-in is under way gets a token that is good for nothing', async () => {
  await using server = await withAppRole({ workers: 1 })
  const { entity_id } = (await login(server)).auth
  const { tokens } = server.node.core
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const make = tokens.login.bind(tokens)
  tokens.login = async (given) => {
    reached.resolve()
    await released.promise
    return make(given)
  }
  const late = login(server)
  await reached.promise
  await server.write(`identity/entity/id/${entity_id}`, { disabled: true })
  released.resolve()
  assert.equal((await server.read('secret/data/own', (await late).auth.client_token)).status, 403)
})

test('policies of an entity count for all its tokens, from the next request on, until they are taken away', async () => {
  await using server = await withAppRole()
  await server.send('PUT', 'sys/policies/acl/more', { policy: 'path "secret/data/more" { capabilities = ["read"] }' })
  await server.write('secret/data/more', { data: { v: 1 } })
  const { client_token: token, entity_id } = (await login(server)).auth
  assert.equal((await server.read('secret/data/more', token)).status, 403)
  await server.write(`identity/entity/id/${entity_id}`, { policies: ' More ,more' })
  assert.deepEqual((await server.read(`identity/entity/id/${entity_id}`)).body.data.policies, ['more'])
  assert.equal((await server.read('secret/data/more', token)).status, 200)
  assert.deepEqual((await login(server)).auth.identity_policies, ['more'])
  await server.write(`identity/entity/id/${entity_id}`, { policies: [] })
  assert.equal((await server.read('secret/data/more', token)).status, 403)
})

test('nobody becomes root by way of an entity', async () => {
  await using server = await withAppRole()
  const { client_token: token, entity_id } = (await login(server)).auth
  for (const policies of ['root', ['ROOT'], ['default', ' root ']]) {
    const answer = await server.write(`identity/entity/id/${entity_id}`, { policies })
    assert.deepEqual([answer.status, answer.body.errors], [400, ['policies cannot contain root']])
  }
  assert.equal((await server.write('identity/entity', { name: 'eve', policies: ['root'] })).status, 400)
  // Even if it were stored, e.g. by a restored backup.
  const storage = server.node.seal.barrier!.storage('core/identity/')
  await storage.update<any>(`entity/${entity_id}`, (entity) => ({ ...entity, policies: ['root'] }))
  assert.equal((await server.read('sys/mounts', token)).status, 403)
})

test('templates in policies follow name and metadata of the entity, also twice within a millisecond', async () => {
  await using server = await withAppRole({ at: '2026-01-01T00:00:00Z' })
  await server.send('PUT', 'sys/policies/acl/own', {
    policy: `path "secret/data/team/{{identity.entity.metadata.team}}" { capabilities = ["read"] }
             path "secret/data/home/{{identity.entity.name}}" { capabilities = ["read", "update"] }`,
  })
  const { client_token: token, entity_id } = (await login(server)).auth
  const may = async (path: string) =>
    (await server.write('sys/capabilities-self', { paths: path }, token)).body.data.capabilities
  const change = (body: unknown) => server.write(`identity/entity/id/${entity_id}`, body)
  assert.deepEqual(await may('secret/data/team/'), ['deny'])
  await change({ metadata: { team: 'red' }, name: 'mara' })
  assert.deepEqual(await may('secret/data/team/red'), ['read'])
  assert.deepEqual(await may('secret/data/home/mara'), ['read', 'update'])
  await change({ metadata: { team: 'blue' } })
  assert.deepEqual(await may('secret/data/team/red'), ['deny'])
  assert.deepEqual(await may('secret/data/team/blue'), ['read'])
  for (const team of ['*', '+', 'a/*', 'a/+/b', '']) {
    await change({ metadata: { team } })
    assert.deepEqual(await may('secret/data/team/x'), ['deny'], team)
  }
})

test('an alias follows what its log-in says of itself', async () => {
  await using server = await withAppRole()
  const { identity } = server.node.core
  const mount = { mountAccessor: 'auth_x_1', mountType: 'x', mountPath: 'auth/x/' }
  const first = await identity.entityOf({ ...mount, name: 'mara', metadata: { role: 'a' } })
  const second = await identity.entityOf({ ...mount, name: 'mara', metadata: { role: 'b' } })
  assert.equal(first.id, second.id)
  assert.deepEqual(
    second.aliases.map(({ id, metadata }) => ({ id, metadata })),
    [{ id: first.aliases[0]!.id, metadata: { role: 'b' } }],
  )
})

test('names are unique whatever their case, kept as they were given, and listed so', async () => {
  await using server = await startServer()
  const { id } = (await server.write('identity/entity', { name: 'Mara/Ops' })).body.data
  assert.equal((await server.read('identity/entity/name/mara%2FOPS')).status, 404)
  assert.equal((await server.write('identity/lookup/entity', { name: 'mara/OPS' })).body.data.id, id)
  assert.deepEqual((await server.list('identity/entity/name')).body.data.keys, ['Mara/Ops'])
  const other = (await server.write('identity/entity', {})).body.data
  assert.match(other.name, /^entity_[0-9a-f]{8}$/)
  const taken = await server.write(`identity/entity/id/${other.id}`, { name: 'MARA/ops' })
  assert.deepEqual([taken.status, taken.body.errors], [400, ['entity name is already in use']])
  assert.equal((await server.write(`identity/entity/id/${id}`, { name: 'lena' })).status, 204)
  assert.equal((await server.write('identity/lookup/entity', { name: 'mara/ops' })).status, 204)
  assert.equal((await server.write(`identity/entity/id/${other.id}`, { name: 'mara/ops' })).status, 204)
  assert.equal((await server.write('identity/entity', { name: '' })).status, 200)
})

test('entities that are too big, and ids that are not there, are refused', async () => {
  await using server = await startServer()
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, 'v']))
  const refused: unknown[] = [
    { name: 'x'.repeat(513) },
    { name: 'a\u0000b' },
    { name: 'a\nb' },
    { metadata: many },
    { metadata: { ['k'.repeat(129)]: 'v' } },
    { metadata: { k: 'v'.repeat(513) } },
    { metadata: { '': 'v' } },
    { metadata: 'nonsense' },
    { policies: Array.from({ length: 1001 }, (_, n) => `p${n}`) },
    { id: 'none', name: 'x' },
  ]
  for (const body of refused)
    assert.equal((await server.write('identity/entity', body)).status, 400, JSON.stringify(body))
  assert.equal((await server.list('identity/entity/id')).status, 404)
  assert.equal((await server.read('identity/entity/id/none')).status, 404)
  assert.equal((await server.delete('identity/entity/id/none')).status, 204)
})

test('listings come in pages', async () => {
  await using server = await startServer()
  for (const name of ['a', 'b', 'c']) await server.write(`identity/entity/name/${name}`, {})
  const names = async (query: string) => (await server.list(`identity/entity/name?${query}`)).body.data?.keys
  assert.deepEqual(await names('limit=2'), ['a', 'b'])
  assert.deepEqual(await names('after=A&limit=1'), ['b'])
  assert.deepEqual(await names('limit=0'), ['a', 'b', 'c'])
  assert.deepEqual(await names('limit=-1'), ['a', 'b', 'c'])
})

test('an entity deleted while a request of its token is under way is refused from the next one on', async () => {
  await using server = await withAppRole({ workers: 1 })
  const { client_token: token, entity_id } = (await login(server)).auth
  const held = await hold(server, 'secret/data/own', 'read')
  const reading = server.read('secret/data/own', token)
  await held.reached
  await server.delete(`identity/entity/id/${entity_id}`)
  held.release()
  assert.equal((await reading).status, 200)
  assert.equal((await server.read('secret/data/own', token)).status, 403)
})
