import assert from 'node:assert/strict'
import test from 'node:test'
import { mixRounds } from './rounds.ts'

/** Each alone, and some mixes. */
const ROUNDS = 14

for (const workers of [1, 4]) {
  test(`through kills, stops, reloads, seals, rotations, rekeys, backups and a full disk nothing acknowledged is lost (workers: ${workers})`, async () => {
    const result = await mixRounds(ROUNDS, { workers })
    assert.deepEqual(result.problems, [])
    assert.ok(result.acknowledged > 100, `only ${result.acknowledged} changes`)
    assert.ok(result.rekeys > 0, 'no rekey came to its end')
    assert.ok(result.backups > 0, 'no backup came to its end')
    assert.ok(Object.values(result.counts).every((count) => count > 0))
  })
}
