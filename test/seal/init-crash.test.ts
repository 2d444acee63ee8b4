/** A server that is killed while it initializes its store leaves either a whole one or none. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Seal } from '#seal/seal.ts'
import { noOptions, sqliteDriver, TestClock } from './support.ts'

const options = { current_key_id: 'k', current_key: '5e'.repeat(32) }

/** Opens the store, initializes it with a token beside, and kills itself when the moment has come. */
const program = `
  import { Seal } from '#seal/seal.ts'
  import { noOptions, sqliteDriver, TestClock } from '#test/seal/support.ts'
  const { FOLDER, MOMENT } = process.env
  const die = (moment) => moment === MOMENT && process.kill(process.pid, 'SIGKILL')
  const driver = await sqliteDriver(FOLDER)
  const seal = await Seal.open(driver, { type: 'static', options: ${JSON.stringify(options)} }, new TestClock())
  driver.onCommit(() => die('first commit'))
  if (Number(MOMENT) >= 0) setTimeout(die, Number(MOMENT), MOMENT)
  await seal.initialize(noOptions, async (barrier, transaction) => {
    transaction.in(barrier.storage('core/')).put('root', { token: 'root' })
    die('set-up')
  })
  die('done')
  setInterval(() => undefined, 1000)
`

/** @param moment  `set-up`, `first commit`, `done`, or milliseconds after the begin of the initialization */
async function killedAt(moment: string): Promise<'whole' | 'nothing'> {
  const folder = await mkdtemp(path.join(tmpdir(), 'init-crash-'))
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, FOLDER: folder, MOMENT: moment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
  const driver = await sqliteDriver(folder)
  try {
    const seal = await Seal.open(driver, { type: 'static', options }, new TestClock())
    const keys = (await driver.scan('')).map(({ key }) => key)
    if (!seal.status().initialized) {
      assert.deepEqual(keys, [])
      // And it can be initialized now.
      await seal.initialize(noOptions)
      await seal.unsealAutomatically()
      return 'nothing'
    }
    assert.deepEqual(keys, ['core/root', 'seal/config', 'seal/keyring', 'seal/root-key'])
    await seal.unsealAutomatically()
    assert.deepEqual(await seal.barrier!.storage('core/').get('root'), { token: 'root' })
    return 'whole'
  } finally {
    await driver.close()
    await rm(folder, { recursive: true })
  }
}

test('killed before its first commit, a store is empty', async () => {
  assert.equal(await killedAt('set-up'), 'nothing')
})

test('killed after its first commit, or when it is initialized, a store is whole', async () => {
  assert.equal(await killedAt('first commit'), 'whole')
  assert.equal(await killedAt('done'), 'whole')
})

test('killed at any other moment, a store is whole or empty', async () => {
  for (const moment of ['1', '3', '6', '12']) await killedAt(moment)
})
