/** Lock-out of users: whom it keeps out and for how long, and that it tells nobody who there is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeRole, makeSecret } from '#test/approle/support.ts'
import { startServer, type TestServer } from '#test/server.ts'
import { assertRefused, logIn, makeUser, PASSWORD, startUserpass, tokenOf, WRONG } from './support.ts'

const TUNE = 'sys/auth/userpass/tune'
const LOCKED = 'permission denied'

async function fail(server: TestServer, name: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++) assertRefused(await logIn(server, name, 'wrong'), 400, WRONG)
}

async function lockedUsers(server: TestServer, query = ''): Promise<any> {
  const { status, body } = await server.read(`sys/locked-users${query}`)
  assert.equal(status, 200)
  return body.data
}

async function accessorOf(server: TestServer, path: string): Promise<string> {
  return (await server.read('sys/auth')).body.data[`${path}/`].accessor
}

test('after five wrong passwords in a row the right one is refused, until a quarter of an hour is over', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  await makeUser(server, 'eve')
  await fail(server, 'bob', 4)
  await tokenOf(server, 'bob')
  await fail(server, 'bob', 4)
  await fail(server, 'Bob', 1)
  assertRefused(await logIn(server, 'bob', PASSWORD), 403, LOCKED)
  assertRefused(await logIn(server, 'BOB', 'wrong'), 403, LOCKED)
  await tokenOf(server, 'eve')
  server.tick(899)
  assertRefused(await logIn(server, 'bob', PASSWORD), 403, LOCKED)
  server.tick(1)
  await fail(server, 'bob', 4)
  await tokenOf(server, 'bob')
})

test('failures count no more after a quarter of an hour without one', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  await fail(server, 'bob', 4)
  server.tick(900)
  await fail(server, 'bob', 4)
  await tokenOf(server, 'bob')
})

test('a name that nobody has is locked out like one that somebody has', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  const told = async (name: string) => {
    const answers = []
    for (let time = 0; time < 7; time++) answers.push(await logIn(server, name, 'wrong'))
    server.tick(900)
    answers.push(await logIn(server, name, 'wrong'))
    return answers.map(({ status, body }) => ({ status, body }))
  }
  const [known, unknown] = [await told('bob'), await told('nobody')]
  assert.deepEqual(known, unknown)
  assert.deepEqual(
    known.map(({ status }) => status),
    [400, 400, 400, 400, 400, 403, 403, 400],
  )
})

test('what is no guess does not count: no password, a wrong address, a name that can be none', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  await makeUser(server, 'far', { token_bound_cidrs: '10.0.0.0/8' })
  for (let time = 0; time < 6; time++) {
    assertRefused(await logIn(server, 'bob', ''), 400, 'missing password')
    assertRefused(await logIn(server, 'far', PASSWORD), 403, LOCKED)
    assert.equal((await logIn(server, '-bob', 'x')).status, 404)
  }
  await tokenOf(server, 'bob')
  await server.write('auth/userpass/users/far', { token_bound_cidrs: [] })
  await tokenOf(server, 'far')
})

test('of many guesses sent at once no more are answered than one after the other, and none gets in after them', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  const guesses = Array.from({ length: 20 }, () => logIn(server, 'bob', 'wrong'))
  // All pass the look at the lock before the first of them is judged.
  const right = logIn(server, 'bob', PASSWORD)
  const statuses = (await Promise.all(guesses)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 400).length, 5)
  assert.equal(statuses.filter((status) => status === 403).length, 15)
  assertRefused(await right, 403, LOCKED)
})

test('locked users are told with their counts, most first, and let in again by name', async () => {
  await using server = await startUserpass()
  await server.write('sys/auth/people', { type: 'userpass' })
  for (const name of ['bob', 'eve']) await server.write(`auth/people/users/${name}`, { password: PASSWORD })
  await makeUser(server, 'ann')
  assert.deepEqual(await lockedUsers(server), { by_namespace: [], total: 0 })
  for (let time = 0; time < 5; time++) {
    for (const name of ['eve', 'bob', 'nobody'])
      await server.write(`auth/people/login/${name}`, { password: 'x' }, null)
  }
  await fail(server, 'ann', 5)
  const [first, second] = [await accessorOf(server, 'userpass'), await accessorOf(server, 'people')]
  const ann = { mount_accessor: first, counts: 1, alias_identifiers: ['ann'] }
  const people = { mount_accessor: second, counts: 2, alias_identifiers: ['bob', 'eve'] }
  const root = { namespace_id: 'root', namespace_path: '' }
  assert.deepEqual(await lockedUsers(server), {
    by_namespace: [{ ...root, counts: 3, mount_accessors: [people, ann] }],
    total: 3,
  })
  assert.deepEqual(await lockedUsers(server, `?mount_accessor=${first}`), {
    by_namespace: [{ ...root, counts: 1, mount_accessors: [ann] }],
    total: 1,
  })
  assert.equal((await lockedUsers(server, '?mount_accessor=other')).total, 0)
  const unlock = `sys/locked-users/${first}/unlock/Ann`
  assert.equal((await server.write(unlock, {}, await server.login(['default']))).status, 403)
  assert.equal((await server.read('sys/locked-users', await server.login(['default']))).status, 403)
  assert.equal((await server.write(unlock, {})).status, 204)
  assert.equal((await server.write(unlock, {})).status, 204)
  await tokenOf(server, 'ann')
  assert.equal((await lockedUsers(server)).total, 2)
  server.tick(900)
  assert.equal((await lockedUsers(server)).total, 0)
})

test('a lock outlives the server', async () => {
  const first = await startUserpass({ storage: 'sqlite' })
  await makeUser(first, 'bob')
  await fail(first, 'bob', 5)
  await fail(first, 'nobody', 5)
  await first.stop({ keep: true })
  await using server = await startServer({ folder: first.folder!, at: '2026-01-01T00:14:59Z' })
  await server.node.unsealWith([Buffer.from(first.unsealKey, 'base64')])
  for (const name of ['bob', 'nobody']) assertRefused(await logIn(server, name, PASSWORD), 403, LOCKED)
  server.tick(1)
  await tokenOf(server, 'bob')
})

test('AppRole locks out role ids after wrong secret ids, known role ids and unknown ones alike', async () => {
  await using server = await startUserpass()
  await server.write('sys/auth/approle', { type: 'approle' })
  const roleId = await makeRole(server, 'web')
  const { secret_id: secretId } = await makeSecret(server, 'web')
  const attempt = (role: string, secret?: string) =>
    server.write('auth/approle/login', { role_id: role, secret_id: secret }, null)
  for (let time = 0; time < 6; time++) assertRefused(await attempt(roleId), 400, 'missing secret_id')
  for (const id of [roleId, 'no-such-role']) {
    for (let time = 0; time < 5; time++) assertRefused(await attempt(id, 'x'), 400, 'invalid role or secret ID')
    assertRefused(await attempt(`${id}\n`, secretId), 403, LOCKED)
  }
  const accessor = await accessorOf(server, 'approle')
  const told = await lockedUsers(server)
  assert.deepEqual(told.by_namespace[0].mount_accessors[0].alias_identifiers, [roleId])
  assert.equal((await server.write(`sys/lockedusers/${accessor}/unlock/${roleId}`, {})).status, 204)
  assert.equal((await attempt(roleId, secretId)).status, 200)
})

test('a mount can be told when to lock out, in parts, and shows it', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  const shown = async () => {
    const { data } = (await server.read(TUNE)).body
    return Object.fromEntries(Object.entries(data).filter(([name]) => name.startsWith('user_lockout')))
  }
  assert.deepEqual(await shown(), {})
  const threshold = { user_lockout_config: { lockout_threshold: '2', lockout_duration: '60s' } }
  assert.equal((await server.write('sys/mounts/auth/userpass/tune', threshold)).status, 204)
  const reset = { user_lockout_config: { lockout_counter_reset_duration: '5m' } }
  assert.equal((await server.write(TUNE, reset)).status, 204)
  const expected = {
    user_lockout_counter_reset_duration: 300,
    user_lockout_disable: false,
    user_lockout_duration: 60,
    user_lockout_threshold: 2,
  }
  assert.deepEqual(await shown(), expected)
  assert.deepEqual((await server.read('sys/auth')).body.data['userpass/'].config.user_lockout_config, expected)
  await fail(server, 'bob', 2)
  assertRefused(await logIn(server, 'bob', PASSWORD), 403, LOCKED)
  // A lock that is over leaves nothing behind, though its failures are not as old as to be forgotten.
  server.tick(60)
  await fail(server, 'bob', 1)
  await tokenOf(server, 'bob')
  await fail(server, 'bob', 1)
  server.tick(300)
  await fail(server, 'bob', 1)
  await tokenOf(server, 'bob')
  await fail(server, 'bob', 2)
  assert.equal((await server.write(TUNE, { user_lockout_config: { lockout_disable: true } })).status, 204)
  await tokenOf(server, 'bob')
  await fail(server, 'bob', 7)
  assert.equal((await lockedUsers(server)).total, 0)
})

test('lock-out is tuned only where there is one, by values that can be read', async () => {
  await using server = await startUserpass()
  const tune = (path: string, config: unknown) => server.write(path, { user_lockout_config: config })
  assertRefused(
    await tune('sys/auth/token/tune', { lockout_threshold: '3' }),
    400,
    'tuning of user lockout configuration for auth type "token" not allowed',
  )
  for (const config of [
    { lockout_threshold: 'x' },
    { lockout_threshold: '-1' },
    { lockout_duration: 'soon' },
    { lockout_counter_reset: '-5s' },
    { lockout_disable: 'perhaps' },
    'x',
  ]) {
    assert.equal((await tune(TUNE, config)).status, 400, JSON.stringify(config))
  }
  assert.ok(!Object.hasOwn((await server.read(TUNE)).body.data, 'user_lockout_threshold'))
})
