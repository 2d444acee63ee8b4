/** Users: made, read, changed, listed, deleted, and what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertRefused, logIn, makeUser, PASSWORD, startUserpass, tokenOf, WRONG } from './support.ts'

const BOB = 'auth/userpass/users/bob'
/** Of the password "hunter2". */
const BCRYPT = '$2b$06$kYVcvEIqlJ421YDupsD22.BCFSdoj9Ocfx4q17LsagOpVB.N3s2Uq'

test('a user is shown with all its settings, and never with the password', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'Bob', {
    token_policies: 'Reader,writer',
    token_ttl: '5m',
    token_max_ttl: 600,
    token_bound_cidrs: ['127.0.0.1/32', '10.0.0.0/8'],
    token_explicit_max_ttl: '1h',
    token_no_default_policy: true,
    token_num_uses: 7,
    token_strictly_bind_ip: true,
    token_type: 'service',
  })
  const { status, body } = await server.read(BOB)
  assert.equal(status, 200)
  assert.deepEqual(body.data, {
    token_bound_cidrs: ['127.0.0.1', '10.0.0.0/8'],
    token_explicit_max_ttl: 3600,
    token_max_ttl: 600,
    token_no_default_policy: true,
    token_num_uses: 7,
    token_period: 0,
    token_policies: ['reader', 'writer'],
    token_strictly_bind_ip: true,
    token_ttl: 300,
    token_type: 'service',
  })
})

test('settings by their old names are shown by both, until they are given by the new one', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { policies: 'a', ttl: 60, max_ttl: '2m', bound_cidrs: '127.0.0.0/8' })
  const before = (await server.read(BOB)).body.data
  assert.deepEqual(
    [before.policies, before.ttl, before.max_ttl, before.bound_cidrs, before.token_policies, before.token_ttl],
    [['a'], 60, 120, ['127.0.0.0/8'], ['a'], 60],
  )
  await server.write(BOB, { token_num_uses: 3 })
  assert.deepEqual((await server.read(BOB)).body.data, { ...before, token_num_uses: 3 })
  await server.write(BOB, { token_policies: 'b', token_ttl: 30, token_max_ttl: 40, token_bound_cidrs: [] })
  const after = (await server.read(BOB)).body.data
  for (const old of ['policies', 'ttl', 'max_ttl', 'bound_cidrs']) assert.ok(!Object.hasOwn(after, old), old)
  assert.deepEqual([after.token_policies, after.token_ttl, after.token_max_ttl], [['b'], 30, 40])
})

test('users are listed in pages, deleted once and for all, and missing ones are not found', async () => {
  await using server = await startUserpass()
  assert.equal((await server.list('auth/userpass/users')).status, 404)
  for (const name of ['carol', 'alice', 'bob']) await makeUser(server, name)
  assert.deepEqual((await server.list('auth/userpass/users')).body.data.keys, ['alice', 'bob', 'carol'])
  const page = await server.list('auth/userpass/users?after=alice&limit=1')
  assert.deepEqual(page.body.data.keys, ['bob'])
  assert.equal((await server.delete(BOB)).status, 204)
  assert.equal((await server.delete(BOB)).status, 204)
  assert.equal((await server.read(BOB)).status, 404)
  assertRefused(await logIn(server, 'bob', PASSWORD), 400, WRONG)
})

test('a new user needs a password, a known one keeps it', async () => {
  await using server = await startUserpass()
  assertRefused(await server.write(BOB, { token_policies: 'a' }), 400, 'missing password')
  assertRefused(await server.write(BOB, { password: '' }), 400, 'missing password')
  assert.equal((await server.read(BOB)).status, 404)
  await makeUser(server, 'bob')
  assert.equal((await server.write(BOB, { token_policies: 'a' })).status, 204)
  await tokenOf(server, 'bob')
})

test('a password is kept as argon2id with its parameters, or as the bcrypt hash that was given', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  await makeUser(server, 'eve')
  const { mount } = (await server.node.core.mounts.at('auth', 'userpass'))!
  const [bob, eve] = await Promise.all(['bob', 'eve'].map((name) => mount.storage.get<any>(`user/${name}`)))
  const { salt, hash, ...settings } = bob.password
  assert.deepEqual(settings, { kind: 'argon2id', memory_kib: 19_456, passes: 2, lanes: 1 })
  assert.equal(Buffer.from(salt, 'base64').length, 16)
  assert.equal(Buffer.from(hash, 'base64').length, 32)
  assert.notEqual(eve.password.salt, salt)
  assert.notEqual(eve.password.hash, hash)
  await server.write(BOB, { password_hash: BCRYPT })
  assert.deepEqual((await mount.storage.get<any>('user/bob')).password, { kind: 'bcrypt', text: BCRYPT })
  assert.doesNotMatch(JSON.stringify(await server.trail()), /correct horse|\$2b\$/)
})

test('a user with a bcrypt hash logs in by the password it was made of, until it gets another', async () => {
  await using server = await startUserpass()
  assert.equal((await server.write(BOB, { password_hash: BCRYPT })).status, 204)
  await tokenOf(server, 'bob', 'hunter2')
  assertRefused(await logIn(server, 'bob', 'hunter3'), 400, WRONG)
  const many = await Promise.all(Array.from({ length: 4 }, () => logIn(server, 'bob', 'hunter2')))
  assert.deepEqual(
    many.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  assert.equal((await server.write(`${BOB}/password`, { password: PASSWORD })).status, 204)
  await tokenOf(server, 'bob')
  assert.equal((await server.write(`${BOB}/password`, { password_hash: BCRYPT })).status, 204)
  await tokenOf(server, 'bob', 'hunter2')
})

test('what is no bcrypt hash, costs too much, or comes with a password is refused', async () => {
  await using server = await startUserpass()
  const both = await server.write(BOB, { password: 'x', password_hash: BCRYPT })
  assertRefused(both, 400, '"password" and "password_hash" cannot be supplied together')
  const bad = [
    '',
    'hunter2',
    BCRYPT.slice(0, -1),
    `${BCRYPT}a`,
    BCRYPT.replace('$06$', '$31$'),
    BCRYPT.replace('$06$', '$03$'),
  ]
  for (const hash of bad) {
    assert.equal((await server.write(BOB, { password_hash: hash })).status, 400, hash)
  }
  const long = await server.write(BOB, { password: 'x'.repeat(4097) })
  assertRefused(long, 400, 'a password has at most 4096 bytes')
  assert.equal((await server.read(BOB)).status, 404)
})

test('names are the same whatever their case; what can be no name is no address', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'Bob.B-1_x')
  assert.equal((await server.read('auth/userpass/users/bOB.b-1_X')).status, 200)
  assert.equal((await logIn(server, 'BOB.B-1_X', PASSWORD)).body.auth.metadata.username, 'bob.b-1_x')
  for (const name of ['-bob', '.bob', 'bob.', 'bob%20b', 'b%40b', 'b'.repeat(513)]) {
    assert.equal((await server.write(`auth/userpass/users/${name}`, { password: 'x' })).status, 404, name)
    assert.equal((await logIn(server, name, 'x')).status, 404, name)
  }
})

test('password and policies are changed by themselves, only where there is a user', async () => {
  await using server = await startUserpass()
  for (const [path, body] of [
    ['password', { password: 'x' }],
    ['policies', { token_policies: 'x' }],
  ] as const) {
    assertRefused(await server.write(`${BOB}/${path}`, body), 400, 'username does not exist')
  }
  assert.equal((await server.read(BOB)).status, 404)
  await makeUser(server, 'bob', { token_ttl: 60 })
  assertRefused(await server.write(`${BOB}/password`, {}), 400, 'missing password')
  assert.equal((await server.write(`${BOB}/password`, { password: 'other' })).status, 204)
  assertRefused(await logIn(server, 'bob', PASSWORD), 400, WRONG)
  await tokenOf(server, 'bob', 'other')
  assert.equal((await server.write(`${BOB}/policies`, { policies: ['B', 'a'] })).status, 204)
  const { data } = (await server.read(BOB)).body
  assert.deepEqual([data.token_policies, data.policies, data.token_ttl], [['a', 'b'], ['a', 'b'], 60])
  assert.equal((await server.write(`${BOB}/policies`, { token_policies: 'c' })).status, 204)
  assert.ok(!Object.hasOwn((await server.read(BOB)).body.data, 'policies'))
})

test('settings that contradict each other change nothing', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_ttl: 60 })
  for (const body of [
    { token_max_ttl: 30 },
    { token_ttl: -1 },
    { token_type: 'batch', token_num_uses: 1 },
    { token_type: 'none' },
    { token_bound_cidrs: 'nowhere' },
  ]) {
    assert.equal((await server.write(BOB, { ...body, password: 'other' })).status, 400, JSON.stringify(body))
  }
  await tokenOf(server, 'bob')
})

test('policies tell making a user from changing one', async () => {
  await using server = await startUserpass()
  await server.write('sys/policies/acl/p', { policy: 'path "auth/userpass/users/*" { capabilities = ["update"] }' })
  const token = await server.login(['p'])
  assert.equal((await server.write(BOB, { password: 'x' }, token)).status, 403)
  await makeUser(server, 'bob')
  assert.equal((await server.write(BOB, { password: 'x' }, token)).status, 204)
  assert.equal((await server.read(BOB, token)).status, 403)
  assert.equal((await server.write(BOB, { password: 'x' }, null)).status, 403)
})
