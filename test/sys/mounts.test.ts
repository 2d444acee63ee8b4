/** `sys/mounts`, `sys/auth`, `sys/remount`: what they do, what they refuse, and what happens when two come at once. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { MountEntry } from '#core/mounts/entry.ts'
import { startServer, type TestServer } from '#test/server.ts'
import { before, eventually, hold, meeting } from '#test/request/stage.ts'

const kv = { type: 'kv', options: { version: '1' } }
const table = async (server: TestServer) => (await server.read('sys/mounts')).body.data
const store = (server: TestServer) => server.node.seal.barrier!.storage('mount/')
const dataOf = (server: TestServer, uuid: string) => store(server).keys(`data/${uuid}/`)

test('a mount is enabled, listed, read, tuned and disabled, with nothing of it left', async () => {
  await using server = await startServer()
  assert.equal((await server.write('sys/mounts/team/kv', { ...kv, description: 'of the team' })).status, 204)
  const listed = (await table(server))['team/kv/']
  assert.equal(listed.description, 'of the team')
  assert.deepEqual((await server.read('sys/mounts/team/kv')).body.data, listed)
  await server.write('team/kv/a', { v: 1 })
  assert.notDeepEqual(await dataOf(server, listed.uuid), [])
  const tuning = { description: '', default_lease_ttl: '1h', max_lease_ttl: 7200, listing_visibility: 'unauth' }
  assert.equal((await server.write('sys/mounts/team/kv/tune', tuning)).status, 204)
  assert.deepEqual((await server.read('sys/mounts/team/kv/tune')).body.data, {
    default_lease_ttl: 3600,
    description: '',
    force_no_cache: false,
    listing_visibility: 'unauth',
    max_lease_ttl: 7200,
    options: { version: '1' },
  })
  await server.write('sys/mounts/team/kv/tune', { default_lease_ttl: 'system', max_lease_ttl: '' })
  const { default_lease_ttl, max_lease_ttl } = (await server.read('sys/mounts/team/kv')).body.data.config
  assert.deepEqual([default_lease_ttl, max_lease_ttl], [0, 7200])
  assert.equal((await server.delete('sys/mounts/team/kv')).status, 204)
  assert.equal((await server.read('team/kv/a')).status, 404)
  assert.equal((await table(server))['team/kv/'], undefined)
  assert.deepEqual(await dataOf(server, listed.uuid), [])
  assert.equal((await server.delete('sys/mounts/team/kv')).status, 204)
  await server.write('sys/mounts/team/kv', kv)
  assert.equal((await server.read('team/kv/a')).status, 404)
})

test('paths, types and times that cannot be are refused, and nothing is made', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/a/b', kv)
  const before_ = Object.keys(await table(server))
  const refused: [string, unknown, RegExp][] = [
    ['sys/mounts/a', kv, /path is already in use at a\/b\//],
    ['sys/mounts/a/b/c', kv, /path is already in use at a\/b\//],
    ['sys/mounts/a/b', kv, /path is already in use/],
    ['sys/mounts/sys/x', kv, /cannot mount/],
    ['sys/mounts/auth/x', kv, /cannot mount/],
    ['sys/mounts/cubbyhole', kv, /cannot mount|in use/],
    ['sys/mounts/x%2Ay', kv, /not allowed/],
    ['sys/mounts/x%23y', kv, /not allowed/],
    [`sys/mounts/${'x'.repeat(300)}`, kv, /too long/],
    ['sys/mounts/x', {}, /backend type must be specified as a string/],
    ['sys/mounts/x', { type: 'nothing' }, /plugin not found in the catalog: nothing/],
    ['sys/mounts/x', { type: 'constructor' }, /plugin not found/],
    ['sys/mounts/x', { type: 'cubbyhole' }, /plugin not found/],
    ['sys/mounts/x', { type: 'system' }, /plugin not found/],
    ['sys/mounts/x', { type: 'approle' }, /plugin not found/],
    ['sys/mounts/x', { ...kv, config: { default_lease_ttl: '9999h', max_lease_ttl: '1h' } }, /longer than/],
    ['sys/mounts/x', { ...kv, config: { default_lease_ttl: 'soon' } }, /not a duration/],
    ['sys/mounts/x', { ...kv, config: { listing_visibility: 'all' } }, /listing_visibility/],
    ['sys/mounts/x', { ...kv, config: { token_type: 'batch' } }, /can only be modified on auth mounts/],
    ['sys/mounts/x', { type: 'kv', options: { version: '7' } }, /./],
    ['sys/auth/token', { type: 'approle' }, /path is already in use at token\//],
    ['sys/auth/y', { type: 'kv' }, /plugin not found/],
    ['sys/auth/y', { type: 'token' }, /plugin not found/],
  ]
  for (const [where, body, text] of refused) {
    const answer = await server.write(where, body)
    assert.equal(answer.status, 400, `${where} ${JSON.stringify(body)}: ${answer.text}`)
    assert.match(answer.body.errors[0], text, where)
  }
  assert.deepEqual(Object.keys(await table(server)), before_)
  const uuids = new Set(((await store(server).get<MountEntry[]>('table')) ?? []).map(({ uuid }) => uuid))
  for (const name of await store(server).list('data/'))
    assert.ok(uuids.has(name.slice(0, -1)), 'left by a refused mount')
  for (const where of ['sys/mounts/sys', 'sys/mounts/identity', 'sys/mounts/cubbyhole', 'sys/auth/token']) {
    const answer = await server.delete(where)
    assert.equal(answer.status, 400)
    assert.match(answer.body.errors[0], /cannot (unmount|be disabled)/)
  }
})

test('an auth method is out of reach by the paths of secrets engines, which need no sudo, but for its settings', async () => {
  await using server = await startServer()
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.send('PUT', 'sys/policies/acl/mounts', {
    policy: 'path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete"] }',
  })
  const token = await server.login(['mounts'])
  assert.equal((await server.write('sys/mounts/auth/approle/tune', { description: 'tuned' }, token)).status, 204)
  assert.equal((await server.read('sys/mounts/auth/approle/tune', token)).body.data.description, 'tuned')
  assert.equal((await server.read('sys/mounts/auth/approle', token)).status, 400)
  await server.delete('sys/mounts/auth/approle', token)
  assert.equal((await server.read('sys/auth')).body.data['approle/'].description, 'tuned')
  assert.equal((await server.write('sys/auth/approle/tune', { description: 'x' }, token)).status, 403)
})

test('of ten that enable one path at once, one does', async () => {
  await using server = await startServer()
  await before(server, 'sys/mounts', 'update', meeting(10))
  const answers = await Promise.all(Array.from({ length: 10 }, () => server.write('sys/mounts/one', kv)))
  assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), ['204', ...Array(9).fill('400')])
  const uuid = (await table(server))['one/'].uuid
  const stored = (await store(server).get<MountEntry[]>('table'))!.filter(({ path }) => path === 'one/')
  assert.deepEqual(
    stored.map((entry) => [entry.uuid, entry.tainted]),
    [[uuid, undefined]],
  )
})

test('two changes of one mount at once are both kept', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await before(server, 'sys/mounts', 'update', meeting(2))
  await Promise.all([
    server.write('sys/mounts/one/tune', { description: 'new' }),
    server.write('sys/mounts/one/tune', { default_lease_ttl: 60 }),
  ])
  const { description, config } = (await server.read('sys/mounts/one')).body.data
  assert.deepEqual([description, config.default_lease_ttl], ['new', 60])
})

test('disabling waits for requests under way, lets no new ones in, and leaves nothing that they wrote', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  const { uuid } = (await server.read('sys/mounts/one')).body.data
  const held = await hold(server, 'one/x', 'update')
  const writing = server.write('one/late', { v: 1 })
  await held.reached
  const disabling = server.delete('sys/mounts/one')
  await eventually(async () => (await server.read('one/other')).status === 404)
  assert.equal((await server.write('sys/mounts/one/tune', { description: 'back to life' })).status, 400)
  assert.match((await server.read('one/other')).body.errors[0], /no handler for route "one\/other"/)
  held.release()
  assert.equal((await writing).status, 204)
  assert.equal((await disabling).status, 204)
  assert.equal((await server.read('one/late')).status, 404)
  assert.deepEqual(await dataOf(server, uuid), [])
})

test('a request that had found its mount when that was disabled, and not yet come in, is refused', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  const { uuid } = (await server.read('sys/mounts/one')).body.data
  const { mounts } = server.node.core
  const find = mounts.find.bind(mounts)
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  mounts.find = async (path) => {
    const found = await find(path)
    if (path !== 'one/late') return found
    reached.resolve()
    await released.promise
    return found
  }
  const writing = server.write('one/late', { v: 1 })
  await reached.promise
  assert.equal((await server.delete('sys/mounts/one')).status, 204)
  released.resolve()
  assert.equal((await writing).status, 404)
  assert.deepEqual(await dataOf(server, uuid), [])
})

test('a log-in that was under way when its auth method was disabled gives no token that lives', async () => {
  await using server = await startServer()
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1/32' })
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  const early = (await server.write('auth/approle/login', { role_id }, null)).body.auth.client_token
  const held = await hold(server, 'auth/approle/login', 'update')
  const login = server.write('auth/approle/login', { role_id }, null)
  await held.reached
  const disabling = server.delete('sys/auth/approle')
  await eventually(async () => (await server.read('auth/approle/role/web')).status === 404)
  held.release()
  const late = (await login).body.auth.client_token
  assert.equal((await disabling).status, 204)
  for (const token of [early, late]) assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
})

test('disabled twice at once, a mount is gone and both are told so', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('one/a', { v: 1 })
  await before(server, 'sys/mounts', 'delete', meeting(2))
  const answers = await Promise.all([server.delete('sys/mounts/one'), server.delete('sys/mounts/one')])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [204, 204],
  )
})

async function taint(server: TestServer, path: string, more: Partial<MountEntry> = {}): Promise<void> {
  await store(server).update<MountEntry[]>('table', (entries = []) =>
    entries.map((entry) => (entry.path === path ? { ...entry, tainted: true, ...more } : entry)),
  )
}

async function sealAndUnseal(server: TestServer): Promise<void> {
  assert.equal((await server.write('sys/seal', {})).status, 204)
  await eventually(async () => server.logged.at(-1) === 'sealed')
  assert.equal((await server.write('sys/unseal', { key: server.unsealKey }, null)).status, 200)
}

test('a mount whose disabling was cut off never answers again, and the next unseal goes on with it', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('one/a', { v: 1 })
  const { uuid } = (await server.read('sys/mounts/one')).body.data
  await taint(server, 'one/')
  assert.equal((await server.read('one/a')).status, 404)
  await sealAndUnseal(server)
  assert.equal((await server.read('one/a')).status, 404)
  await eventually(async () => (await table(server))['one/'] === undefined)
  assert.deepEqual(await dataOf(server, uuid), [])
})

test('a lease that cannot be taken back keeps its mount tainted, and neither sealed nor silent', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  const { core } = server.node
  const mounted = (await core.mounts.find('one/'))!
  const token = (await core.tokens.lookup(server.root))!
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  const slot = core.leases.reserve({ path: 'one/creds', token, mount })
  await slot.fill({ ttlSeconds: 60, maxTtlSeconds: 60, renewable: true, revoke: {} })
  slot.release()
  // As after going back to a version without this engine: nobody can take back what it gave out.
  await taint(server, 'one/', { type: 'engine-of-tomorrow' })
  const answer = await server.delete('sys/mounts/one')
  assert.equal(answer.status, 502, answer.text)
  await sealAndUnseal(server)
  assert.equal((await server.read('sys/mounts')).status, 200)
  assert.equal((await table(server))['one/'].type, 'engine-of-tomorrow')
  await eventually(async () =>
    server.logged.some((line) =>
      line.startsWith('moving and disabling mounts: what one/ gave out cannot all be taken back'),
    ),
  )
  await server.write('sys/leases/revoke-force/one', {})
  assert.equal((await server.delete('sys/mounts/one')).status, 204)
})

test('a mount moves with what it holds; its tokens end, and the old path is free', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('one/a', { v: '1' })
  const moved = await server.write('sys/remount', { from: 'one', to: 'team/two' })
  assert.equal(moved.status, 200)
  assert.match(moved.body.warnings[0], /^Mount move has been queued/)
  assert.equal(moved.body.migration_id, moved.body.data.migration_id)
  assert.deepEqual((await server.read('team/two/a')).body.data, { v: '1' })
  assert.equal((await server.read('one/a')).status, 404)
  assert.deepEqual((await server.read(`sys/remount/status/${moved.body.migration_id}`)).body.data, {
    migration_id: moved.body.migration_id,
    migration_info: { source_mount: 'one/', target_mount: 'team/two/', status: 'success' },
  })
  assert.equal((await server.write('sys/mounts/one', kv)).status, 204)

  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1/32' })
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  const token = (await server.write('auth/approle/login', { role_id }, null)).body.auth.client_token
  assert.equal((await server.write('sys/remount', { from: 'auth/approle/', to: 'auth/machines' })).status, 200)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
  assert.equal((await server.write('auth/machines/login', { role_id }, null)).status, 200)
})

test('moves that cannot be are refused, and the mount stays in use', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('sys/mounts/two', kv)
  await server.write('one/a', { v: '1' })
  const refused: [unknown, RegExp][] = [
    [{ from: 'one', to: 'two' }, /path is already in use at two\//],
    [{ from: 'one', to: 'one/below' }, /path is already in use at one\//],
    [{ from: 'one', to: 'auth/x' }, /cannot move/],
    [{ from: 'one', to: 'sys/x' }, /cannot mount/],
    [{ from: 'none', to: 'x' }, /no matching mount/],
    [{ from: 'sys', to: 'x' }, /cannot remount/],
    [{ from: 'auth/token', to: 'auth/x' }, /cannot remount/],
    [{ from: '', to: 'x' }, /'from' must be specified/],
    [{ from: 'one' }, /'to' must be specified/],
  ]
  for (const [body, text] of refused) {
    const answer = await server.write('sys/remount', body)
    assert.equal(answer.status, 400, answer.text)
    assert.match(answer.body.errors[0], text)
  }
  assert.deepEqual((await server.read('one/a')).body.data, { v: '1' })
  assert.equal((await server.read('sys/remount/status/none')).status, 404)
  await server.send('PUT', 'sys/policies/acl/mover', { policy: 'path "sys/remount" { capabilities = ["update"] }' })
  assert.equal((await server.write('sys/remount', { from: 'one', to: 'x' }, await server.login(['mover']))).status, 403)
})

test('a move that was cut off is gone on with at the next unseal', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('one/a', { v: '1' })
  await taint(server, 'one/', { moving: { id: 'm', to: 'two/' } })
  assert.equal((await server.write('sys/mounts/two', kv)).status, 400)
  await sealAndUnseal(server)
  await eventually(async () => (await server.read('two/a')).status === 200)
  assert.equal((await server.read('sys/remount/status/m')).body.data.migration_info.status, 'success')
})

test('going on with what was cut off leaves alone what has been settled meanwhile', async () => {
  await using server = await startServer()
  for (const path of ['a', 'b']) {
    await server.write(`sys/mounts/${path}`, kv)
    await server.write(`${path}/x`, { v: 1 })
    await taint(server, `${path}/`)
  }
  const gone: string[] = []
  await server.node.core.mounts.goOn(async (route) => {
    gone.push(route)
    // The list of tainted mounts is read by now; one of them is settled before its turn comes.
    await store(server).update<MountEntry[]>('table', (entries = []) =>
      entries.map(({ tainted, ...entry }) => (tainted && entry.path === route ? { ...entry, tainted } : entry)),
    )
  })
  assert.deepEqual(gone, ['a/'])
  assert.equal((await server.read('b/x')).status, 200)
})

test('a mount whose engine this version lacks is shown, answers nothing and harms nobody', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('sys/mounts/two', kv)
  await store(server).update<MountEntry[]>('table', (entries = []) =>
    entries.map((entry) => (entry.path === 'one/' ? { ...entry, type: 'engine-of-tomorrow' } : entry)),
  )
  assert.equal((await server.write('two/a', { v: 1 })).status, 204)
  assert.equal((await server.read('one/a')).status, 404)
  assert.equal((await table(server))['one/'].type, 'engine-of-tomorrow')
  assert.equal((await server.delete('sys/mounts/one')).status, 204)
})

test('audit lines show in clear what a mount says, and nothing else', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/one', kv)
  await server.write('sys/mounts/one/tune', {
    audit_non_hmac_request_keys: 'plain',
    audit_non_hmac_response_keys: 'plain',
  })
  await server.write('one/a', { plain: 'seen', secret: 'hidden' })
  await server.read('one/a')
  const lines = await server.trail()
  const written = lines.find(({ type, request }) => type === 'request' && request.path === 'one/a')
  const read = lines.findLast(({ type, request }) => type === 'response' && request.path === 'one/a')
  for (const data of [written.request.data, read.response.data]) {
    assert.equal(data.plain, 'seen')
    assert.match(data.secret, /^hmac-sha256:/)
  }
})
