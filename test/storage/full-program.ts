/**
 * Fills the store in the folder given until the disk takes no more, and shows how it behaves then. Prints `full`, waits for a
 * line that says that there is room, and prints `recovered`. What is wrong ends it with an error.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '#sdk/errors.ts'
import type { Driver } from '#sdk/storage.ts'
import { drivers } from '#storage/registry.ts'

const VALUE_BYTES = 60_000
const PAIRS_AT_ONCE = 8
const MAX_PAIRS = 2000
const REFUSALS_WHEN_FULL = 5
const MAX_WAIT_MS = 20_000

const driver = await (await drivers.sqlite()).open({ path: process.argv[2]! })
assert.equal(driver.trouble(), undefined)
const kept = await fill(driver)
assert.ok(kept.length > 0, 'something fits')
await holds(driver, kept)

// Refused again and again, quickly, and with what to do about it.
for (let round = 0; round < 3; round += 1) {
  const error = await putPairs(
    driver,
    Array.from({ length: 40 }, (_, index) => `more/${round}/${index}`),
  ).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof ApiError, String(error))
  assert.equal(error.code, 'storage_failed')
  assert.match(error.message, /full|disk/)
  assert.match(error.message, /goes on by itself/)
  assert.ok(!error.message.includes(process.argv[2]!), 'no path for everybody')
}
assert.match(driver.trouble() ?? '', /disk|cannot write/)
await holds(driver, kept)
console.log('full')
await once(process.stdin, 'data')

// Without any write of ours: it finds out by itself.
const until = Date.now() + MAX_WAIT_MS
while (driver.trouble() !== undefined && Date.now() < until) await sleep(50)
assert.equal(driver.trouble(), undefined)
await putPairs(driver, ['after/0', 'after/1'])
kept.push('after/0', 'after/1')
await holds(driver, kept)
await driver.close()
const again = await (await drivers.sqlite()).open({ path: process.argv[2]! })
await holds(again, kept)
await again.close()
console.log('recovered')
process.exit(0)

/** @returns the pairs that were acknowledged */
async function fill(store: Driver): Promise<string[]> {
  const acknowledged: string[] = []
  let refusals = 0
  for (let first = 0; first < MAX_PAIRS; first += PAIRS_AT_ONCE) {
    const names = Array.from({ length: PAIRS_AT_ONCE }, (_, index) => `fill/${first + index}`)
    const results = await Promise.allSettled(names.map((name) => putPairs(store, [name])))
    for (const [index, { status }] of results.entries()) if (status === 'fulfilled') acknowledged.push(names[index]!)
    // The first refusal may only mean that the log has to be copied into the database, where there still is room.
    refusals = results.every(({ status }) => status === 'rejected') ? refusals + 1 : 0
    if (refusals === REFUSALS_WHEN_FULL) return acknowledged
  }
  throw new Error('the disk never became full')
}

async function putPairs(store: Driver, names: readonly string[]): Promise<void> {
  await store.transact(async (transaction) => {
    for (const name of names) {
      transaction.put(`${name}/left`, () => new Uint8Array(VALUE_BYTES).fill(1))
      transaction.put(`${name}/right`, () => new Uint8Array(VALUE_BYTES).fill(2))
    }
  })
}

/** Exactly these pairs are there, whole. */
async function holds(store: Driver, names: readonly string[]): Promise<void> {
  const keys = names.flatMap((name) => [`${name}/left`, `${name}/right`]).toSorted()
  const found: string[] = []
  for (;;) {
    const page = await store.scan('', { after: found.at(-1), limit: 100 })
    for (const { key, entry } of page) {
      assert.equal(entry.value.byteLength, VALUE_BYTES)
      found.push(key)
    }
    if (page.length < 100) break
  }
  assert.deepEqual(found.toSorted(), keys)
  for (const key of keys) assert.ok(await store.get(key))
}
