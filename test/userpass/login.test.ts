/** Log-ins by user name and password: what they give, and everything that must not pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoyFor, makeDecoys, noteKind } from '#auth/userpass/decoys.ts'
import { givenHash, kindOf } from '#auth/userpass/passwords.ts'
import { Slots } from '#auth/userpass/slots.ts'
import { openStore } from '#test/seal/support.ts'
import type { TestServer } from '#test/server.ts'
import { assertRefused, logIn, makeUser, PASSWORD, startUserpass, tokenOf, WRONG } from './support.ts'

const BOB = 'auth/userpass/users/bob'
const BCRYPT = `$2b$04$${'x'.repeat(53)}`

test('a log-in gives a token with the policies and times of the user, named after it', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_policies: 'Reader,writer', token_ttl: '20m', token_num_uses: 5 })
  const { status, body } = await logIn(server, 'Bob', PASSWORD)
  assert.equal(status, 200)
  const { client_token: token, accessor, entity_id: entityId, ...auth } = body.auth
  assert.deepEqual(auth, {
    policies: ['default', 'reader', 'writer'],
    token_policies: ['default', 'reader', 'writer'],
    metadata: { username: 'bob' },
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
    [accessor, 'userpass-bob', 'auth/userpass/login/Bob', { username: 'bob' }, entityId, 4, 1200],
  )
  const entity = (await server.read(`identity/entity/id/${entityId}`)).body.data
  assert.equal(entity.aliases[0].name, 'bob')
  assert.equal((await logIn(server, 'bob', PASSWORD)).body.auth.entity_id, entityId)
})

test('a batch token, a token without the default policy and one bound to its address come as the user says', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_type: 'batch', token_no_default_policy: true, token_policies: 'a' })
  const { auth } = (await logIn(server, 'bob', PASSWORD)).body
  assert.deepEqual([auth.token_type, auth.policies, auth.client_token.slice(0, 4)], ['batch', ['a'], 'hvb.'])
  await makeUser(server, 'eve', { token_strictly_bind_ip: true })
  const lookup = (await server.read('auth/token/lookup-self', await tokenOf(server, 'eve'))).body.data
  assert.deepEqual(lookup.bound_cidrs, ['127.0.0.1'])
})

test('a wrong password, an unknown name and a right password of another are answered alike', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  await makeUser(server, 'eve', { password: 'other' })
  const answers = [
    await logIn(server, 'bob', 'wrong'),
    await logIn(server, 'nobody', PASSWORD),
    await logIn(server, 'bob', 'other'),
    await logIn(server, 'bob', 'x'.repeat(5000)),
    await logIn(server, 'nobody', 'x'.repeat(5000)),
    await logIn(server, '__proto__', PASSWORD),
  ]
  for (const answer of answers) assertRefused(answer, 400, WRONG)
  for (const name of ['bob', 'nobody']) assertRefused(await logIn(server, name), 400, 'missing password')
  assertRefused(await logIn(server, 'bob', ''), 400, 'missing password')
})

test('an unknown name costs as much as a known one', async () => {
  await using server = await startUserpass()
  await server.write('sys/auth/userpass/tune', { user_lockout_config: { lockout_disable: true } })
  await makeUser(server, 'bob')
  const [known, unknown] = [await medianMs(server, 'bob'), await medianMs(server, 'nobody')]
  // Without the work it would be a tenth or less.
  assert.ok(unknown > known / 3, `known ${known} ms, unknown ${unknown} ms`)
})

async function medianMs(server: TestServer, name: string): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < 7; round++) {
    const startedAt = performance.now()
    await logIn(server, name, 'wrong')
    times.push(performance.now() - startedAt)
  }
  return times.toSorted((a, b) => a - b)[3]!
}

test('unknown names take after the kinds of hashes that users have, each always the same way', async () => {
  const storage = (await openStore()).barrier.storage('m/')
  await makeDecoys(storage)
  const names = Array.from({ length: 60 }, (_, number) => `user-${number}`)
  const kinds = async () => await Promise.all(names.map(async (name) => kindOf(await decoyFor(storage, name))))
  assert.deepEqual(new Set(await kinds()), new Set(['argon2id']))
  await storage.transact((transaction) => noteKind(transaction, givenHash(BCRYPT)))
  const mixed = await kinds()
  assert.deepEqual(new Set(mixed), new Set(['argon2id', 'bcrypt/4']))
  await makeDecoys(storage)
  assert.deepEqual(await kinds(), mixed)
  const other = (await openStore()).barrier.storage('m/')
  await makeDecoys(other)
  await other.transact((transaction) => noteKind(transaction, givenHash(BCRYPT)))
  const there = await Promise.all(names.map(async (name) => kindOf(await decoyFor(other, name))))
  assert.notDeepEqual(there, mixed)
})

test('whoever is deleted, or gets another password, while the old one is checked does not get in', async () => {
  await using server = await startUserpass()
  for (const name of ['bob', 'eve', 'ann']) await makeUser(server, name)
  // These keep the checks of the two waiting long enough for what comes between.
  const before = Array.from({ length: 8 }, () => logIn(server, 'ann', PASSWORD))
  const late = [logIn(server, 'bob', PASSWORD), logIn(server, 'eve', PASSWORD)]
  await new Promise((resolve) => setTimeout(resolve, 20))
  await server.delete(BOB)
  await server.write('auth/userpass/users/eve', { password_hash: BCRYPT })
  for (const answer of await Promise.all(late)) assertRefused(answer, 400, WRONG)
  for (const answer of await Promise.all(before)) assert.equal(answer.status, 200)
})

test('a right password from elsewhere than the ranges of the user is refused', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_bound_cidrs: '10.0.0.0/8' })
  assertRefused(await logIn(server, 'bob', PASSWORD), 403, 'permission denied')
  assertRefused(await logIn(server, 'bob', 'wrong'), 400, WRONG)
  await server.write(BOB, { token_bound_cidrs: '127.0.0.0/8' })
  await tokenOf(server, 'bob')
})

test('a user with the root policy cannot log in', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_policies: 'root' })
  assertRefused(await logIn(server, 'bob', PASSWORD), 400, 'auth methods cannot create root tokens')
})

test('a renewal takes the times that the user has by then; with other policies, or none to ask, there is none', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob', { token_ttl: 60, token_policies: 'a' })
  const token = await tokenOf(server, 'bob')
  const renew = () => server.write('auth/token/renew-self', {}, token)
  await server.write(BOB, { token_ttl: 90 })
  server.tick(50)
  assert.equal((await renew()).body.auth.lease_duration, 90)
  await server.write(BOB, { token_policies: 'a,b' })
  assertRefused(await renew(), 400, 'policies have changed, not renewing')
  await server.write(BOB, { token_policies: 'a' })
  assert.equal((await renew()).status, 200)
  await server.delete(BOB)
  assertRefused(await renew(), 400, 'user "bob" does not exist during renewal')
  server.tick(90)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
})

test('a sealed server logs nobody in', async () => {
  await using server = await startUserpass()
  await makeUser(server, 'bob')
  assert.equal((await server.write('sys/seal', {})).status, 204)
  assert.equal((await logIn(server, 'bob', PASSWORD)).status, 503)
})

test('so many are hashed at once, so many wait in their order, and the others are told to come again', async () => {
  const slots = new Slots({ atOnce: 2, maxWaiting: 2 })
  const gates: (() => void)[] = []
  const begun: number[] = []
  const enter = (number: number) =>
    slots.run(() => {
      begun.push(number)
      return new Promise<void>((resolve) => gates.push(resolve))
    })
  const all = [enter(1), enter(2), enter(3), enter(4)]
  await assert.rejects(enter(5), { code: 'too_many_requests' })
  assert.deepEqual(begun, [1, 2])
  gates[1]!()
  await all[1]
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(begun, [1, 2, 3])
  for (const number of [0, 2]) gates[number]!()
  await Promise.all([all[0], all[2]])
  await new Promise((resolve) => setImmediate(resolve))
  gates[3]!()
  await all[3]
  await assert.rejects(
    slots.run(() => Promise.reject(new Error('fails'))),
    /fails/,
  )
  assert.equal(await slots.run(() => Promise.resolve(7)), 7)
})
