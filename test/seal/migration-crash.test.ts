/** A server that is killed while it changes the seal finds the old one or the new one, and the shares open either. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Seal, type SealConfig } from '#seal/seal.ts'
import { noOptions, sqliteDriver, TestClock } from './support.ts'

const auto = { type: 'static' as const, options: { current_key_id: 'k', current_key: '5e'.repeat(32) } }
const ways: Record<string, { from: SealConfig; to: SealConfig }> = {
  'shamir to auto-unseal': { from: { type: 'shamir' }, to: auto },
  'auto-unseal to shamir': { from: auto, to: { type: 'shamir', leaving: auto } },
}

/** Migrates the store with its one share, and kills itself when the moment has come. */
const program = `
  import { Seal } from '#seal/seal.ts'
  import { meddled, sqliteDriver, TestClock } from '#test/seal/support.ts'
  const { FOLDER, MOMENT, TO, SHARE } = process.env
  const die = (moment) => moment === MOMENT && process.kill(process.pid, 'SIGKILL')
  const driver = await sqliteDriver(FOLDER)
  const watched = meddled(driver, {
    transact: async (work) => {
      die('before')
      const result = await driver.transact(async (transaction) => {
        const done = await work(transaction)
        die('written')
        return done
      })
      die('after')
      return result
    },
  })
  const seal = await Seal.open(watched, JSON.parse(TO), new TestClock())
  driver.onCommit(() => die('commit'))
  if (Number(MOMENT) >= 0) setTimeout(die, Number(MOMENT), MOMENT)
  await seal.submitShare(Buffer.from(SHARE, 'hex'), { migrate: true })
  die('done')
  setInterval(() => undefined, 1000)
`

async function killedAt(moment: string, { from, to }: { from: SealConfig; to: SealConfig }): Promise<'old' | 'new'> {
  const folder = await mkdtemp(path.join(tmpdir(), 'migration-crash-'))
  let driver = await sqliteDriver(folder)
  try {
    const numbers = from.type === 'shamir' ? { shares: 1, threshold: 1 } : { recoveryShares: 1, recoveryThreshold: 1 }
    const made = await (
      await Seal.open(driver, from, new TestClock())
    ).initialize({ ...noOptions, ...numbers }, async (barrier, transaction) => {
      transaction.in(barrier.storage('core/')).put('root', { token: 'root' })
    })
    await driver.close()
    const share = [...made.shares, ...made.recoveryShares][0]!
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: {
        ...process.env,
        FOLDER: folder,
        MOMENT: moment,
        TO: JSON.stringify(to),
        SHARE: Buffer.from(share).toString('hex'),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
    driver = await sqliteDriver(folder)
    const seal = await Seal.open(driver, to, new TestClock())
    const pending = seal.status().migration
    if (pending) await seal.submitShare(share, { migrate: true })
    else if (to.type === 'shamir') await seal.submitShare(share)
    else await seal.unsealAutomatically()
    assert.deepEqual(await seal.barrier!.storage('core/').get('root'), { token: 'root' })
    // Whatever happened: the share does what a share of the new seal has to do.
    await seal.seal()
    assert.equal((await seal.submitShare(share)).sealed, false)
    return pending ? 'old' : 'new'
  } finally {
    await driver.close()
    await rm(folder, { recursive: true })
  }
}

for (const [name, way] of Object.entries(ways)) {
  test(`${name}, killed before the commit: the old seal; after it: the new one`, async () => {
    for (const moment of ['before', 'written']) assert.equal(await killedAt(moment, way), 'old', moment)
    for (const moment of ['commit', 'after', 'done']) assert.equal(await killedAt(moment, way), 'new', moment)
  })

  test(`${name}, killed at any moment: one of the two`, async () => {
    for (const moment of ['0', '1', '2', '4', '8']) await killedAt(moment, way)
  })
}
