import assert from 'node:assert/strict'
import test from 'node:test'
import { termOf } from '#seal/envelope.ts'
import { BLOCK, KeyRing, MAX_OPERATIONS, MIN_MAX_OPERATIONS } from '#seal/keyring.ts'
import { ApiError } from '#sdk/errors.ts'
import { meddled, memoryDriver, openStore, reopen } from './support.ts'

const termAt = async (driver: { get(key: string): Promise<{ value: Uint8Array } | undefined> }, key: string) =>
  termOf((await driver.get(key))!.value)

test('after a rotation old entries open, new ones are under the new term, and both survive a restart', async () => {
  const opened = await openStore()
  const { driver, seal, clock } = opened
  const storage = seal.barrier!.storage('area/')
  await storage.put('old', 'first')
  clock.passSeconds(60)
  assert.equal(await seal.keyRing!.rotate(), 2)
  await storage.put('new', 'second')
  assert.deepEqual([await termAt(driver, 'area/old'), await termAt(driver, 'area/new')], [1, 2])
  assert.deepEqual([await storage.get('old'), await storage.get('new')], ['first', 'second'])
  const { term, installedAt, encryptions } = seal.keyRing!.status()
  assert.deepEqual([term, installedAt.toISOString(), encryptions], [2, '2026-01-01T00:01:00.000Z', 1])

  await seal.seal()
  const again = (await reopen(opened)).barrier!.storage('area/')
  assert.deepEqual([await again.get('old'), await again.get('new')], ['first', 'second'])
  await again.put('third', 3)
  assert.equal(await termAt(driver, 'area/third'), 2)
})

test('the count starts low, grows by what is written, and survives sealing', async () => {
  const opened = await openStore()
  const { seal } = opened
  assert.equal(seal.keyRing!.status().encryptions, 0)
  const storage = seal.barrier!.storage('area/')
  for (let index = 0; index < 25; index++) await storage.put('v', index)
  assert.equal(seal.keyRing!.status().encryptions, 25)
  await seal.seal()
  const again = await reopen(opened)
  assert.equal(again.keyRing!.status().encryptions, 25)
  await again.barrier!.storage('area/').put('v', 1)
  assert.equal(again.keyRing!.status().encryptions, 26)
})

test('after a crash the count is too high by the block that was reserved, never too low', async () => {
  const opened = await openStore()
  const storage = opened.barrier.storage('area/')
  for (let index = 0; index < 25; index++) await storage.put('v', index)
  // No sealing here: the process is gone.
  const again = await reopen(opened)
  assert.equal(again.keyRing!.status().encryptions, BLOCK)
})

test('opening a store writes nothing, so that a full disk does not keep anybody from his secrets', async () => {
  const opened = await openStore()
  await opened.barrier.storage('area/').put('v', 1)
  await opened.seal.seal()
  const readOnly = meddled(opened.driver, {
    transact: () => Promise.reject(new ApiError('storage_failed', 'disk full')),
  })
  const seal = await reopen({ ...opened, driver: readOnly })
  assert.equal(await seal.barrier!.storage('area/').get('v'), 1)
  await assert.rejects(seal.barrier!.storage('area/').put('v', 2), { code: 'storage_failed' })
  await seal.seal()
  assert.equal(seal.status().sealed, true)
})

test('blocks are reserved before they are used, and a writer waits for one rather than fail', async () => {
  const { driver, barrier, seal } = await openStore()
  const storage = barrier.storage('area/')
  const perTransaction = 9000
  const transactions = 20
  await Promise.all(
    Array.from({ length: transactions }, () =>
      storage.transact(async (transaction) => {
        for (let index = 0; index < perTransaction; index++) transaction.put(`k${index}`, index)
      }),
    ),
  )
  const spent = seal.keyRing!.status().encryptions
  assert.ok(spent >= perTransaction * transactions, `${spent}`)
  const crashed = await KeyRing.load({ driver, clock: { now: () => new Date() }, rootKey: seal.rootKey! })
  assert.ok(crashed.status().encryptions >= spent)
})

test('a term is replaced before it could make more encryptions than allowed', async () => {
  const opened = await openStore()
  const { seal, driver } = opened
  const ring = seal.keyRing!
  assert.deepEqual(ring.rotation, { enabled: true, maxOperations: MAX_OPERATIONS, intervalSeconds: 0 })
  await ring.setRotation({ enabled: true, maxOperations: MIN_MAX_OPERATIONS, intervalSeconds: 0 })
  const storage = seal.barrier!.storage('area/')
  // Each process that crashes costs a block: 15 of them fit into a million.
  for (let crashes = 1; crashes <= 15; crashes++) {
    await (await reopen(opened)).barrier!.storage('area/').put('v', crashes)
  }
  assert.equal(await termAt(driver, 'area/v'), 1)
  const last = await reopen(opened)
  assert.ok(last.keyRing!.status().encryptions <= MIN_MAX_OPERATIONS)
  await last.barrier!.storage('area/').put('v', 'over')
  assert.equal(await termAt(driver, 'area/v'), 2)
  assert.deepEqual([last.keyRing!.status().term, last.keyRing!.status().encryptions], [2, 1])
  // The first process hears of it, and goes over to the new term with its next write.
  await storage.put('w', 1)
  assert.equal(await termAt(driver, 'area/w'), 2)
  assert.equal(await storage.get('v'), 'over')
})

test('with automatic rotation off, the bound that cryptography sets still holds', async () => {
  const opened = await openStore()
  const ring = opened.seal.keyRing!
  await ring.setRotation({ enabled: false, maxOperations: MIN_MAX_OPERATIONS, intervalSeconds: 0 })
  for (let crashes = 1; crashes <= 17; crashes++) {
    await (await reopen(opened)).barrier!.storage('area/').put('v', crashes)
  }
  assert.equal(await termAt(opened.driver, 'area/v'), 1)
  assert.ok((await reopen(opened)).keyRing!.status().encryptions > MIN_MAX_OPERATIONS)
})

test('a term older than the interval is replaced, by the clock or by the next block', async () => {
  const { seal, clock } = await openStore()
  const ring = seal.keyRing!
  await ring.setRotation({ enabled: true, maxOperations: MAX_OPERATIONS, intervalSeconds: 86_400 })
  clock.passSeconds(86_399)
  assert.equal(await ring.rotateIfDue(), false)
  clock.passSeconds(1)
  assert.equal(await ring.rotateIfDue(), true)
  assert.equal(await ring.rotateIfDue(), false)
  assert.equal(ring.status().term, 2)
})

test('limits of rotation outside of what the API allows are refused', async () => {
  const { seal } = await openStore()
  const ring = seal.keyRing!
  const good = { enabled: true, maxOperations: MIN_MAX_OPERATIONS, intervalSeconds: 0 }
  for (const change of [
    { maxOperations: MIN_MAX_OPERATIONS - 1 },
    { maxOperations: MAX_OPERATIONS + 1 },
    { maxOperations: 1_000_000.5 },
    { intervalSeconds: 60 },
    { intervalSeconds: Number.NaN },
  ]) {
    await assert.rejects(ring.setRotation({ ...good, ...change }), { code: 'invalid_request' })
  }
  assert.equal(ring.rotation.maxOperations, MAX_OPERATIONS)
  await ring.setRotation({ ...good, intervalSeconds: 86_400 })
  await ring.refresh()
  assert.deepEqual(ring.rotation, { ...good, intervalSeconds: 86_400 })
})

test('two processes on one store: each opens what the other wrote under a term it had not heard of', async () => {
  const opened = await openStore()
  // Without the feed, as if its message were late.
  const deaf = meddled(opened.driver, { onCommit: () => undefined })
  const other = await reopen({ ...opened, driver: deaf })
  const [mine, theirs] = [opened.barrier.storage('area/'), other.barrier!.storage('area/')]
  await opened.seal.keyRing!.rotate()
  await mine.put('a', 1)
  assert.equal(await theirs.get('a'), 1)
  await opened.seal.keyRing!.rotate()
  await mine.put('b', 2)
  assert.equal(await theirs.getShared('b'), 2)
  await opened.seal.keyRing!.rotate()
  await mine.put('c', 3)
  assert.equal(await theirs.transact(async (transaction) => await transaction.get('c')), 3)
  await theirs.put('d', 4)
  assert.equal(await termAt(opened.driver, 'area/d'), 4)
})

test('a process that heard of a rotation writes nothing more under the old term', async () => {
  const opened = await openStore()
  let slow = false
  const sluggish = meddled(opened.driver, {
    transact: async (change) => {
      if (slow) {
        slow = false
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
      return await opened.driver.transact(change)
    },
  })
  const other = await reopen({ ...opened, driver: sluggish })
  await other.barrier!.storage('area/').put('a', 1)
  await opened.seal.keyRing!.rotate()
  await other.keyRing!.refresh()
  slow = true
  await other.barrier!.storage('area/').put('b', 1)
  assert.deepEqual([await termAt(opened.driver, 'area/a'), await termAt(opened.driver, 'area/b')], [1, 2])
})

test('rotations at once each make a term of their own', async () => {
  const opened = await openStore()
  const other = await reopen(opened)
  await Promise.all([opened.seal.keyRing!.rotate(), other.keyRing!.rotate(), opened.seal.keyRing!.rotate()])
  await opened.seal.keyRing!.refresh()
  assert.equal(opened.seal.keyRing!.status().term, 4)
  await opened.barrier.storage('a/').put('v', 1)
  assert.equal(await termAt(opened.driver, 'a/v'), 4)
})

test('when no block can be reserved, writes fail in time and the ring says so', async () => {
  const driver = await memoryDriver()
  let broken = false
  const faulty = meddled(driver, {
    transact: (change) =>
      broken ? Promise.reject(new ApiError('storage_failed', 'disk full')) : driver.transact(change),
  })
  const { barrier, seal } = await openStore(faulty)
  await barrier.storage('a/').put('v', 1)
  broken = true
  const ring = seal.keyRing!
  while (ring.ready() === undefined) ring.spend()
  await assert.rejects(async () => await ring.ready(), { code: 'storage_failed' })
  assert.match(ring.trouble()!, /no encryptions could be reserved.*disk full/)
  for (;;) {
    if (ring.isSpent) break
    ring.spend()
  }
  assert.throws(() => ring.spend(), { code: 'storage_failed' })
  broken = false
  await barrier.storage('a/').put('v', 2)
  assert.equal(ring.trouble(), undefined)
})
