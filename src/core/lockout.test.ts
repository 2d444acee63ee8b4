import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lockout, type LockoutConfig, type LoginPlace } from '#core/lockout.ts'
import { Barrier } from '#seal/barrier.ts'
import { meddled, openStore } from '#test/seal/support.ts'

interface More {
  config?: LockoutConfig
  disabled?: boolean
  maxUnknown?: number
  /** Commits wait for it. */
  held?: Promise<void>
}

async function open({ held, ...more }: More = {}) {
  const { driver, barrier, clock } = await openStore()
  const changes = { count: 0 }
  const counting = meddled(driver, {
    transact: async (change) => {
      changes.count += 1
      await held
      return await driver.transact(change)
    },
  })
  const storage = new Barrier(counting, barrier.ring()).storage('lockout/')
  return { storage, clock, changes, lockout: new Lockout({ storage, clock, ...more }) }
}

const at = (name: string, type = 'userpass', tuned?: LoginPlace['tuned']): LoginPlace => ({
  accessor: 'auth_1',
  type,
  tuned,
  name,
})

test('the word of the mount counts before that of its type, that before the word for all, each setting by itself', async () => {
  const config: LockoutConfig = {
    all: { threshold: 7, durationSeconds: 10, counterResetSeconds: 20 },
    userpass: { threshold: 3 },
    ldap: { disabled: true },
  }
  const { lockout } = await open({ config })
  const usual = { durationSeconds: 10, counterResetSeconds: 20, disabled: false }
  assert.deepEqual(lockout.rulesOf(at('x', 'approle')), { ...usual, threshold: 7 })
  assert.deepEqual(lockout.rulesOf(at('x')), { ...usual, threshold: 3 })
  const tuned = { user_lockout_threshold: 0, user_lockout_duration: 5 }
  assert.deepEqual(lockout.rulesOf(at('x', 'userpass', tuned)), { ...usual, threshold: 3, durationSeconds: 5 })
  assert.equal(lockout.rulesOf(at('x', 'ldap')), undefined)
  assert.equal(lockout.rulesOf(at('x', 'ldap', { user_lockout_disable: false }))?.threshold, 7)
  assert.equal(lockout.rulesOf(at('x', 'userpass', { user_lockout_disable: true })), undefined)
  for (const type of ['jwt', 'token', '__proto__']) assert.equal(lockout.rulesOf(at('x', type)), undefined)
})

test('without configuration it is five failures and a quarter of an hour; disabled for all is disabled', async () => {
  const { lockout } = await open()
  const usual = { threshold: 5, durationSeconds: 900, counterResetSeconds: 900, disabled: false }
  assert.deepEqual(lockout.rulesOf(at('x')), usual)
  const off = await open({ disabled: true })
  assert.equal(off.lockout.rulesOf(at('x', 'userpass', { user_lockout_disable: false })), undefined)
})

test('a log-in that ends no row of failures writes nothing', async () => {
  const { lockout, changes } = await open()
  const rules = lockout.rulesOf(at('x'))!
  assert.equal(await lockout.isLocked(at('x'), rules), false)
  await lockout.succeeded(at('x'))
  assert.equal(changes.count, 0)
  await lockout.failed(at('x'), rules, true)
  await lockout.succeeded(at('x'))
  assert.equal(changes.count, 2)
  await lockout.succeeded(at('x'))
  assert.equal(changes.count, 2)
})

test('failures on their way to the store count already', async () => {
  const gate = Promise.withResolvers<void>()
  const { lockout } = await open({ held: gate.promise })
  const rules = lockout.rulesOf(at('x'))!
  const first = Array.from({ length: 4 }, () => lockout.failed(at('x'), rules, true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await lockout.isLocked(at('x'), rules), false)
  const fifth = lockout.failed(at('x'), rules, true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await lockout.isLocked(at('x'), rules), true)
  assert.equal(await lockout.failed(at('x'), rules, true), false)
  assert.equal(await lockout.isLocked(at('y'), rules), false)
  gate.resolve()
  assert.deepEqual(await Promise.all([...first, fifth]), [true, true, true, true, true])
  assert.equal(await lockout.isLocked(at('x'), rules), true)
})

test('another process on the same store sees the lock', async () => {
  const { lockout, storage, clock } = await open()
  const rules = lockout.rulesOf(at('x'))!
  const other = new Lockout({ storage, clock })
  for (let time = 0; time < 3; time++) await lockout.failed(at('x'), rules, true)
  for (let time = 0; time < 2; time++) await other.failed(at('x'), rules, true)
  assert.equal(await lockout.isLocked(at('x'), rules), true)
  assert.equal(await other.isLocked(at('x'), rules), true)
  assert.equal(await lockout.failed(at('x'), rules, true), false)
})

test('failures are forgotten when they say nothing any more, and no sooner', async () => {
  const { lockout, storage, clock } = await open()
  const rules = lockout.rulesOf(at('x'))!
  await lockout.failed(at('x'), rules, true)
  await lockout.failed(at('nobody'), rules, false)
  clock.passSeconds(899)
  await lockout.failed(at('y'), rules, true)
  await lockout.tidy()
  assert.equal((await storage.keys('')).length, 3)
  clock.passSeconds(1)
  await lockout.tidy()
  assert.equal((await storage.keys('')).length, 1)
})

test('of names that nobody has only so many are remembered, of others all', async () => {
  const { lockout, storage } = await open({ maxUnknown: 3 })
  const rules = lockout.rulesOf(at('x'))!
  for (let number = 0; number < 5; number++) await lockout.failed(at(`user-${number}`), rules, true)
  for (let number = 0; number < 10; number++) await lockout.failed(at(`nobody-${number}`), rules, false)
  assert.equal((await storage.keys('')).length, 8)
  for (let time = 0; time < 4; time++) await lockout.failed(at('nobody-9'), rules, false)
  assert.equal(await lockout.isLocked(at('nobody-9'), rules), true)
  assert.equal((await storage.keys('')).length, 8)
})

test('one entry says who it is of only where somebody is', async () => {
  const { lockout, storage } = await open()
  const rules = lockout.rulesOf(at('x'))!
  for (let time = 0; time < 5; time++) {
    await lockout.failed(at('bob'), rules, true)
    await lockout.failed(at('nobody'), rules, false)
  }
  assert.deepEqual(await lockout.lockedAt(at('')), ['bob'])
  assert.ok((await storage.keys('')).every((key) => !key.includes('bob')))
})

test('of fifty that fail in the same moment no more count, or are told so, than of fifty one after the other', async () => {
  const { lockout, storage } = await open()
  const rules = lockout.rulesOf(at('x', 'approle'))!
  const told = await Promise.all(Array.from({ length: 50 }, () => lockout.failed(at('x', 'approle'), rules, true)))
  assert.equal(told.filter(Boolean).length, 5)
  const [key] = await storage.keys('')
  assert.equal((await storage.get<{ count: number }>(key!))?.count, 5)
})
