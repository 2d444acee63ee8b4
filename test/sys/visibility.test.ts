/** What a token may do and see: `sys/capabilities*` and `sys/internal/ui/*`. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

async function withPolicies(): Promise<TestServer> {
  const server = await startServer({ secret: true })
  await server.send('PUT', 'sys/policies/acl/reader', {
    policy: `path "secret/data/a/*" { capabilities = ["read", "list"] }
             path "secret/data/a/b" { capabilities = ["deny"] }
             path "other/+/x" { capabilities = ["update"] }`,
  })
  await server.write('sys/mounts/other', { type: 'kv' })
  await server.write('sys/mounts/third', { type: 'kv' })
  await server.write('sys/mounts/open', {
    type: 'kv',
    config: { listing_visibility: 'unauth' },
    description: 'for all',
  })
  return server
}

test('capabilities are told by token, by accessor and for oneself, with the paths at the top as well', async () => {
  await using server = await withPolicies()
  const { client_token: token, accessor } = (await server.write('auth/token/create', { policies: ['reader'] })).body
    .auth
  const paths = ['secret/data/a/c', 'secret/data/a/b', 'none']
  const expected = { 'secret/data/a/c': ['list', 'read'], 'secret/data/a/b': ['deny'], none: ['deny'] }
  for (const answer of [
    await server.write('sys/capabilities', { token, paths }),
    await server.write('sys/capabilities-accessor', { accessor, paths }),
    await server.write('sys/capabilities-self', { paths }, token),
    await server.write('sys/capabilities-self', { path: paths }, token),
  ]) {
    assert.deepEqual(answer.body.data, expected)
    assert.deepEqual(answer.body['secret/data/a/b'], ['deny'])
  }
  const one = await server.write('sys/capabilities-self', { path: 'none' }, token)
  assert.deepEqual(one.body.data, { capabilities: ['deny'], none: ['deny'] })
  assert.deepEqual((await server.write('sys/capabilities-self', { paths: 'x' })).body.data.x, ['root'])
})

test('capabilities of odd paths are told under their own names', async () => {
  await using server = await withPolicies()
  const { data } = (await server.write('sys/capabilities-self', { paths: ['__proto__', 'constructor'] })).body
  assert.deepEqual(JSON.parse(JSON.stringify(data)), JSON.parse('{"__proto__":["root"],"constructor":["root"]}'))
})

test('questions about nothing, about too much, or about tokens that are not there are refused', async () => {
  await using server = await withPolicies()
  for (const [where, body] of [
    ['sys/capabilities', { paths: 'x' }],
    ['sys/capabilities', { token: 'none', paths: 'x' }],
    ['sys/capabilities-accessor', { paths: 'x' }],
    ['sys/capabilities-accessor', { accessor: 'none', paths: 'x' }],
    ['sys/capabilities-self', {}],
    ['sys/capabilities-self', { paths: [] }],
    ['sys/capabilities-self', { paths: Array.from({ length: 1001 }, (_, n) => `p${n}`) }],
  ] as const) {
    assert.equal((await server.write(where, body)).status, 400, where)
  }
})

test('the mounts somebody sees are those where they may do something; strangers see what is open to all, in brief', async () => {
  await using server = await withPolicies()
  const token = await server.login(['reader'], { no_default_policy: true })
  const seen = async (as: string | null) => {
    const { auth, secret } = (await server.read('sys/internal/ui/mounts', as)).body.data
    return [Object.keys(auth).toSorted(), Object.keys(secret).toSorted()]
  }
  assert.deepEqual(await seen(token), [[], ['open/', 'other/', 'secret/']])
  assert.deepEqual(await seen(server.root), [
    ['token/'],
    ['cubbyhole/', 'identity/', 'open/', 'other/', 'secret/', 'sys/', 'third/'],
  ])
  for (const stranger of [null, 'nonsense']) {
    assert.deepEqual(await seen(stranger), [[], ['open/']])
    const { secret } = (await server.read('sys/internal/ui/mounts', stranger)).body.data
    assert.deepEqual(secret['open/'], { description: 'for all', options: null, type: 'kv' })
  }
})

test('the mount of a path is told to those who may do something there, and whether there is one to nobody else', async () => {
  await using server = await withPolicies()
  const token = await server.login(['reader'])
  const { body } = await server.read('sys/internal/ui/mounts/secret/data/a', token)
  assert.deepEqual([body.data.path, body.data.type, body.data.options], ['secret/', 'kv', { version: '2' }])
  const refusals = new Set<string>()
  for (const [path, as] of [
    ['third/x', token],
    ['none/x', token],
    ['open/x', null],
    ['none/x', null],
    ['secret/x', 'nonsense'],
  ] as const) {
    const answer = await server.read(`sys/internal/ui/mounts/${path}`, as)
    assert.equal(answer.status, 403, path)
    refusals.add(answer.body.errors[0].replace(path, 'PATH'))
  }
  assert.equal(refusals.size, 1)
})

test('a token bound to other addresses is nobody here', async () => {
  await using server = await withPolicies()
  await server.write('auth/token/roles/far', { token_bound_cidrs: '10.1.2.3/32', allowed_policies: 'reader' })
  const { client_token: token } = (await server.write('auth/token/create/far', { policies: ['reader'] })).body.auth
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
  const { secret } = (await server.read('sys/internal/ui/mounts', token)).body.data
  assert.deepEqual(Object.keys(secret), ['open/'])
  assert.equal((await server.read('sys/internal/ui/mounts/secret/data/a', token)).status, 403)
})

test('all that a token may do is told at once', async () => {
  await using server = await withPolicies()
  const token = await server.login(['reader'])
  const { data } = (await server.read('sys/internal/ui/resultant-acl', token)).body
  assert.equal(data.root, false)
  assert.deepEqual(data.exact_paths['secret/data/a/b'], { capabilities: ['deny'] })
  assert.deepEqual(data.glob_paths['secret/data/a/'], { capabilities: ['list', 'read'] })
  assert.deepEqual((await server.read('sys/internal/ui/resultant-acl')).body.data, { root: true })
})
