/** Closes the store in the folder given while its disk takes nothing more, and opens it again when there is room. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { drivers } from '#storage/registry.ts'

/** Larger than anything before, so that the database file has to grow. */
const VALUE_BYTES = 600_000

const limitFiles = (limit: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${limit}:`])
const kind = await drivers.sqlite()
const driver = await kind.open({ path: process.argv[2]! })
await driver.transact(async (transaction) => transaction.put('key', () => new Uint8Array(VALUE_BYTES).fill(7)))
limitFiles('512')
await driver.close()
console.log('closed')
limitFiles('unlimited')
const again = await kind.open({ path: process.argv[2]! })
assert.equal((await again.get('key'))?.value.byteLength, VALUE_BYTES)
await again.close()
console.log('kept')
