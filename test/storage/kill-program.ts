/**
 * Writes transactions of several keys as fast as it can, many at once, and prints each one that was acknowledged. To be
 * killed. Each of its loops counts on from what the store says: change N puts the keys of set N, deletes those of set
 * N - KEPT_SETS and sets its counter to N, so the counter alone tells what the store must hold.
 */
import { writeSync } from 'node:fs'
import { drivers } from '#storage/registry.ts'
import { counterOf, KEPT_SETS, keysOfSet, LOOPS, valueOf } from '#test/storage/kill-sets.ts'

const driver = await (await drivers.sqlite()).open({ path: process.argv[2]! })

await Promise.all(
  Array.from({ length: LOOPS }, async (_, loop) => {
    for (;;) {
      const number = await driver.transact(async (transaction) => {
        const entry = await transaction.get(counterOf(loop))
        const next = Number(entry ? Buffer.from(entry.value).toString() : '0') + 1
        for (const key of keysOfSet(loop, next)) transaction.put(key, () => valueOf(key))
        if (next > KEPT_SETS) for (const key of keysOfSet(loop, next - KEPT_SETS)) transaction.delete(key)
        transaction.put(counterOf(loop), () => Buffer.from(String(next)))
        return next
      })
      acknowledge(`ack ${loop} ${number}\n`)
    }
  }),
)

/** At once and in order, so that a kill takes nothing that was said. A full pipe is waited for: it is read to its end. */
function acknowledge(line: string): void {
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
