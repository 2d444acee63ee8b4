/** Opens the store in the folder given, says so, and keeps it until it is killed or its input ends. */
import { drivers } from '#storage/registry.ts'

const driver = await (await drivers.sqlite()).open({ path: process.argv[2]! })
await driver.transact(async (transaction) => transaction.put('held', () => Buffer.from('1')))
console.log('open')
process.stdin.resume()
process.stdin.on('end', () => void driver.close().then(() => console.log('closed')))
