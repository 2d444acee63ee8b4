/** Revokes a token over a store in a folder and tells of each commit. The test that starts it kills it in between. */
import { setTimeout } from 'node:timers/promises'
import { Barrier } from '#seal/barrier.ts'
import { Seal } from '#seal/seal.ts'
import { meddled, sqliteDriver, TestClock } from '#test/seal/support.ts'
import { servicesOver } from './support.ts'

const [folder, share, root] = process.argv.slice(2)
const driver = await sqliteDriver(folder!)
const clock = new TestClock()
const seal = await Seal.open(driver, { type: 'shamir' }, clock)
await seal.submitShare(Buffer.from(share!, 'hex'))
let commits = 0
const slow = meddled(driver, {
  transact: async (change) => {
    const result = await driver.transact(change)
    console.log(`commit ${++commits}`)
    await setTimeout(200)
    return result
  },
})
const { tokens } = await servicesOver(slow, new Barrier(slow, seal.barrier!.ring()), clock)
await tokens.revoke((await tokens.lookup(root!))!)
console.log('done')
await driver.close()
