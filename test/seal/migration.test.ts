/** Changing the seal of a store: whose key opens it before and after, what is refused, and what a kill leaves. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Seal, type SealConfig } from '#seal/seal.ts'
import { readBackup, RECOVERY_BACKUP_ENTRY, UNSEAL_BACKUP_ENTRY, writeBackup } from '#seal/stored.ts'
import type { Driver } from '#sdk/storage.ts'
import { meddled, memoryDriver, noOptions, TestClock } from './support.ts'

const clock = new TestClock()
const staticSeal = (byte: string, more: Record<string, string> = {}) => ({
  type: 'static' as const,
  options: { current_key_id: byte, current_key: byte.repeat(32), ...more },
})
const disabled = { disabled: 'true' }
const refusal = (message: string, code = 'invalid_request') => ({ name: 'ApiError', code, message })
const flagMissing = refusal('migrate option not provided and seal migration is pending', 'internal')
const noMigration = refusal("can't perform a seal migration, no migration seal found", 'internal')

const open = (driver: Driver, config: SealConfig) => Seal.open(driver, config, clock)

async function shamirStore() {
  const driver = await memoryDriver()
  const seal = await open(driver, { type: 'shamir' })
  const { shares } = await seal.initialize({ ...noOptions, shares: 3, threshold: 2 })
  for (const share of shares.slice(0, 2)) await seal.submitShare(share)
  await seal.barrier!.storage('x/').put('a', 'kept')
  await seal.seal()
  return { driver, shares }
}

async function staticStore(config: SealConfig = staticSeal('a1')) {
  const driver = await memoryDriver()
  const seal = await open(driver, config)
  const { recoveryShares } = await seal.initialize({ ...noOptions, recoveryShares: 3, recoveryThreshold: 2 })
  await seal.unsealAutomatically()
  await seal.barrier!.storage('x/').put('a', 'kept')
  await seal.seal()
  return { driver, shares: recoveryShares }
}

async function migrateWith(seal: Seal, shares: Uint8Array[]) {
  for (const share of shares) await seal.submitShare(share, { migrate: true })
  return seal.status()
}

const kept = async (seal: Seal) => assert.equal(await seal.barrier!.storage('x/').get('a'), 'kept')

test('shamir to auto-unseal: unseal shares with migrate, and they are recovery shares from then on', async () => {
  const { driver, shares } = await shamirStore()
  const seal = await open(driver, staticSeal('a1'))
  const pending = seal.status()
  assert.deepEqual(
    [pending.type, pending.migration, pending.sealed, pending.threshold, pending.shares, pending.recoverySeal],
    ['static', true, true, 2, 3, true],
  )
  assert.equal(seal.unsealsItself, false)
  await assert.rejects(seal.unsealAutomatically(), flagMissing)
  await assert.rejects(seal.submitShare(shares[0]!), flagMissing)
  assert.equal((await seal.submitShare(shares[0]!, { migrate: true })).progress, 1)
  await assert.rejects(seal.submitShare(shares[1]!), flagMissing)
  const done = await seal.submitShare(shares[1]!, { migrate: true })
  assert.deepEqual([done.sealed, done.migration, done.threshold, done.shares], [false, false, 2, 3])
  await kept(seal)
  // A share that comes late changes nothing.
  assert.equal((await seal.submitShare(shares[2]!, { migrate: true })).sealed, false)

  const again = await open(driver, staticSeal('a1'))
  assert.equal((await again.unsealAutomatically()).migration, false)
  await kept(again)
  await again.seal()
  await assert.rejects(again.submitShare(shares[0]!, { migrate: true }), noMigration)
  await again.submitShare(shares[2]!)
  assert.equal((await again.submitShare(shares[0]!)).sealed, false, 'after sealing by hand')
  await assert.rejects(open(driver, { type: 'shamir' }), /initialized with a seal of type static.*disabled = "true"/)
})

test('auto-unseal to shamir: recovery shares with migrate, and they are unseal shares from then on', async () => {
  const { driver, shares } = await staticStore()
  const config: SealConfig = { type: 'shamir', leaving: staticSeal('a1', disabled) }
  const seal = await open(driver, config)
  const pending = seal.status()
  assert.deepEqual(
    [pending.type, pending.migration, pending.sealed, pending.threshold, pending.shares, pending.recoverySeal],
    ['shamir', true, true, 2, 3, false],
  )
  await assert.rejects(seal.submitShare(shares[0]!), flagMissing)
  const done = await migrateWith(seal, shares.slice(1))
  assert.deepEqual([done.sealed, done.migration, done.threshold, done.shares], [false, false, 2, 3])
  await kept(seal)
  assert.deepEqual(await driver.list('seal/'), ['config', 'keyring', 'root-key'], 'no recovery key is left')

  // With the stanza left over, and without it.
  for (const each of [config, { type: 'shamir' } as const]) {
    const again = await open(driver, each)
    assert.equal(again.status().migration, false)
    await assert.rejects(again.submitShare(shares[0]!, { migrate: true }), noMigration)
    await again.submitShare(shares[0]!)
    assert.equal((await again.submitShare(shares[1]!)).sealed, false)
    await kept(again)
  }
})

test('there and back again, the shares are the same and open, also after the root key was rotated at each stop', async () => {
  const { driver, shares } = await shamirStore()
  const there = await open(driver, staticSeal('a1'))
  await migrateWith(there, shares.slice(0, 2))
  await there.keys.rotateRootKey()
  const back = await open(driver, { type: 'shamir', leaving: staticSeal('a1', disabled) })
  await migrateWith(back, shares.slice(1))
  await back.keys.rotateRootKey()
  const seal = await open(driver, { type: 'shamir' })
  await seal.submitShare(shares[0]!)
  await seal.submitShare(shares[2]!)
  await kept(seal)
})

test('auto-unseal to another of the same type: pending until the new key opens the store', async () => {
  const { driver, shares } = await staticStore(staticSeal('a1'))
  const config = { ...staticSeal('b2'), leaving: staticSeal('a1', disabled) }
  const seal = await open(driver, config)
  assert.equal(seal.status().migration, true)
  await assert.rejects(seal.unsealAutomatically(), /sealed with key "a1"/)
  await assert.rejects(seal.submitShare(shares[0]!), flagMissing)
  const done = await migrateWith(seal, shares.slice(0, 2))
  assert.deepEqual([done.sealed, done.migration], [false, false])
  await kept(seal)
  for (const each of [config, staticSeal('b2')]) {
    const again = await open(driver, each)
    assert.equal((await again.unsealAutomatically()).migration, false)
    await again.seal()
    await again.submitShare(shares[2]!)
    assert.equal((await again.submitShare(shares[1]!)).sealed, false)
  }
  await assert.rejects((await open(driver, staticSeal('a1'))).unsealAutomatically(), /sealed with key "b2"/)
})

test('shares that are kept encrypted to PGP keys change their office with the shares', async () => {
  const { driver, shares } = await shamirStore()
  const backup = { nonce: 'n', keys: { fingerprint: ['share'] } }
  await driver.transact(async (transaction) => writeBackup(transaction, UNSEAL_BACKUP_ENTRY, backup))
  await migrateWith(await open(driver, staticSeal('a1')), shares.slice(0, 2))
  assert.deepEqual(await readBackup(driver, RECOVERY_BACKUP_ENTRY), backup)
  assert.equal(await readBackup(driver, UNSEAL_BACKUP_ENTRY), undefined)
  await migrateWith(await open(driver, { type: 'shamir', leaving: staticSeal('a1', disabled) }), shares.slice(1))
  assert.deepEqual(await readBackup(driver, UNSEAL_BACKUP_ENTRY), backup)
  assert.equal(await readBackup(driver, RECOVERY_BACKUP_ENTRY), undefined)
})

test('wrong shares change nothing, and the right ones go on', async () => {
  for (const { store, config } of [
    { store: shamirStore, config: staticSeal('a1') },
    { store: staticStore, config: { type: 'shamir', leaving: staticSeal('a1', disabled) } as SealConfig },
  ]) {
    const { driver, shares } = await store()
    const before = await driver.scan('seal/')
    const seal = await open(driver, config)
    const wrong = Uint8Array.from(shares[1]!)
    wrong[3]! ^= 1
    await seal.submitShare(shares[0]!, { migrate: true })
    await assert.rejects(seal.submitShare(wrong, { migrate: true }), { code: 'invalid_request' })
    assert.deepEqual(await driver.scan('seal/'), before)
    assert.deepEqual([seal.status().sealed, seal.status().migration, seal.status().progress], [true, true, 0])
    assert.equal((await migrateWith(seal, shares.slice(0, 2))).sealed, false)
  }
})

test('the old seal must open the store, or nothing is written', async () => {
  const { driver, shares } = await staticStore()
  const before = await driver.scan('seal/')
  const otherKey = await open(driver, {
    type: 'shamir',
    leaving: staticSeal('a1', { ...disabled, current_key: 'b2'.repeat(32) }),
  })
  await assert.rejects(migrateWith(otherKey, shares.slice(1)), /does not open the root key/)
  await assert.rejects(open(driver, { type: 'shamir' }), /configuration says shamir/)
  assert.deepEqual(await driver.scan('seal/'), before)
})

test('a store without recovery shares says what a migration needs', async () => {
  const driver = await memoryDriver()
  const seal = await open(driver, staticSeal('a1'))
  await seal.initialize(noOptions)
  const leaving = await open(driver, { type: 'shamir', leaving: staticSeal('a1', disabled) })
  assert.equal(leaving.status().migration, true)
  await assert.rejects(
    leaving.submitShare(new Uint8Array(33), { migrate: true }),
    /has no recovery key, which a seal migration needs/,
  )
})

test('migrate without anything to migrate is refused, whatever the state', async () => {
  const empty = await open(await memoryDriver(), staticSeal('a1'))
  await assert.rejects(empty.submitShare(new Uint8Array(33), { migrate: true }), noMigration)
  const { driver, shares } = await shamirStore()
  const seal = await open(driver, { type: 'shamir' })
  await assert.rejects(seal.submitShare(shares[0]!, { migrate: true }), noMigration)
  assert.equal(seal.status().progress, 0)
})

test('a disabled stanza that the store does not need is not even opened', async () => {
  const { driver, shares } = await shamirStore()
  const gone = { type: 'static' as const, options: { ...disabled, current_key_id: 'x', current_key: 'env://GONE' } }
  const seal = await open(driver, { type: 'shamir', leaving: gone })
  await seal.submitShare(shares[0]!)
  assert.equal((await seal.submitShare(shares[1]!)).sealed, false)
})

test('a seal that another server changed meanwhile is not changed over it', async () => {
  const { driver, shares } = await shamirStore()
  let meanwhile: (() => Promise<unknown>) | undefined
  const slow = meddled(driver, {
    transact: async (work) => {
      const [first] = [meanwhile]
      meanwhile = undefined
      await first?.()
      return await driver.transact(work)
    },
  })
  const seal = await open(slow, staticSeal('a1'))
  const other = await open(driver, staticSeal('b2'))
  meanwhile = async () => await migrateWith(other, shares.slice(0, 2))
  await assert.rejects(migrateWith(seal, shares.slice(0, 2)), /changed meanwhile/)
  assert.equal(other.status().sealed, false)
  const again = await open(driver, staticSeal('b2'))
  await again.unsealAutomatically()
  await kept(again)
})
