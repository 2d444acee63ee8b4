/** A server that is killed in the middle of a rekey opens with the old shares or with the new ones, and keeps all it held. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { Seal } from '#seal/seal.ts'
import type { Driver } from '#sdk/storage.ts'
import { startGpg } from './gpg.ts'
import { noOptions, sqliteDriver, TestClock } from './support.ts'

const gpg = startGpg({ ann: 'future-default' })
after(() => gpg[Symbol.dispose]())

/** Opens the store, rekeys it, notes the new share as its holder would, and kills itself when the moment has come. */
const program = `
  import { writeFileSync } from 'node:fs'
  import { Seal } from '#seal/seal.ts'
  import { sqliteDriver, TestClock } from '#test/seal/support.ts'
  const { FOLDER, MOMENT, WAY, SHARE, PGP } = process.env
  const die = (moment) => moment === MOMENT && process.kill(process.pid, 'SIGKILL')
  const share = Buffer.from(SHARE, 'hex')
  const driver = await sqliteDriver(FOLDER)
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  await seal.submitShare(share)
  await seal.barrier.storage('area/').put('late', 2)
  const transact = driver.transact.bind(driver)
  driver.transact = (change) =>
    transact(async (transaction) => {
      const result = await change(transaction)
      die('in the transaction')
      return result
    })
  driver.onCommit(({ keys }) => keys.includes('seal/root-key') && die('commit'))
  if (Number(MOMENT) >= 0) setTimeout(die, Number(MOMENT), MOMENT)
  if (WAY === 'root key') await seal.keys.rotateRootKey()
  else {
    const { barrier } = seal.keys
    const backup = WAY === 'backup'
    await barrier.start({
      shares: 1,
      threshold: 1,
      pgpKeys: backup ? [PGP] : [],
      backup,
      requireVerification: WAY === 'verification',
    })
    const made = await barrier.submit(share, barrier.status().nonce)
    if (WAY === 'verification') {
      writeFileSync(FOLDER + '/told', Buffer.from(made.keys[0]).toString('hex'))
      die('told')
      await barrier.verify(made.keys[0], made.verificationNonce)
    }
  }
  die('done')
  setInterval(() => undefined, 1000)
`

type Way = 'verification' | 'backup' | 'root key'

/** Who can open the store after it was killed then. */
async function killedAt(way: Way, moment: string): Promise<'old' | 'new'> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rekey-crash-'))
  try {
    const old = await makeStore(folder)
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, FOLDER: folder, MOMENT: moment, WAY: way, SHARE: old, PGP: gpg.publicKey('ann') },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
    const driver = await sqliteDriver(folder)
    try {
      const told = path.join(folder, 'told')
      const fresh = existsSync(told) ? readFileSync(told, 'utf8') : await fromBackup(driver)
      const byOld = await opens(driver, old)
      const byNew = fresh !== undefined && (await opens(driver, fresh))
      assert.notEqual(byOld, byNew, `${way}, ${moment}: opened by ${byOld ? 'both' : 'none'}`)
      return byOld ? 'old' : 'new'
    } finally {
      await driver.close()
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function makeStore(folder: string): Promise<string> {
  const driver = await sqliteDriver(folder)
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  await seal.barrier!.storage('area/').put('early', 1)
  await seal.seal()
  await driver.close()
  return Buffer.from(shares[0]!).toString('hex')
}

async function fromBackup(driver: Driver): Promise<string | undefined> {
  const entry = await driver.get('seal/unseal-keys-backup')
  if (entry === undefined) return undefined
  const { keys } = JSON.parse(Buffer.from(entry.value).toString())
  return gpg.decrypt(Buffer.from(keys[gpg.fingerprint('ann')][0], 'hex'))
}

async function opens(driver: Driver, share: string): Promise<boolean> {
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  try {
    await seal.submitShare(Buffer.from(share, 'hex'))
  } catch {
    return false
  }
  const storage = seal.barrier!.storage('area/')
  assert.equal(await storage.get('early'), 1)
  if ((await storage.get('late')) !== undefined) assert.equal(await storage.get('late'), 2)
  await storage.put('after', 3)
  await seal.keyRing!.rotate()
  await seal.seal()
  return true
}

test('killed before new shares were given back, or in the transaction, the old ones open the store', async () => {
  assert.equal(await killedAt('verification', 'told'), 'old')
  assert.equal(await killedAt('verification', 'in the transaction'), 'old')
  assert.equal(await killedAt('backup', 'in the transaction'), 'old')
})

test('killed after the commit, the new shares open it, though the answer that tells them was lost', async () => {
  assert.equal(await killedAt('verification', 'commit'), 'new')
  assert.equal(await killedAt('verification', 'done'), 'new')
  assert.equal(await killedAt('backup', 'commit'), 'new')
})

test('killed while the root key alone changes, the shares stay as they are', async () => {
  for (const moment of ['in the transaction', 'commit', 'done']) assert.equal(await killedAt('root key', moment), 'old')
})

test('killed at any other moment, one of the two opens it', async () => {
  for (const moment of ['1', '3', '6', '12']) await killedAt('verification', moment)
})
