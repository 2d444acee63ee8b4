/**
 * Writes transactions of several keys as fast as it can, many at once, and prints each one that was acknowledged. To be
 * killed. Each of its loops counts on from what the store says: change N puts the keys of set N, deletes those of set
 * N - KEPT_SETS and sets its counter to N, so the counter alone tells what the store must hold.
 */
import { writeSync } from 'node:fs'
import { ApiError } from '#sdk/errors.ts'
import { drivers } from '#storage/registry.ts'
import { counterOf, KEPT_SETS, keysOfSet, LOOPS, valueOf } from '#test/storage/kill-sets.ts'

const [, , type, options] = process.argv
const driver = await (
  await drivers[type as 'sqlite' | 'postgres']()
).open(JSON.parse(options!) as Record<string, string>)

await Promise.all(
  Array.from({ length: LOOPS }, async (_, loop) => {
    for (;;) {
      const number = await patiently(() =>
        driver.transact(async (transaction) => {
          const entry = await transaction.get(counterOf(loop))
          const next = Number(entry ? Buffer.from(entry.value).toString() : '0') + 1
          for (const key of keysOfSet(loop, next)) transaction.put(key, () => valueOf(key))
          if (next > KEPT_SETS) for (const key of keysOfSet(loop, next - KEPT_SETS)) transaction.delete(key)
          transaction.put(counterOf(loop), () => Buffer.from(String(next)))
          return next
        }),
      )
      acknowledge(`ack ${loop} ${number}\n`)
    }
  }),
)

/** What the store refuses while its database is away is tried again: it was not written, or says so. */
async function patiently<T>(change: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await change()
    } catch (error) {
      if (type !== 'postgres' || !(error instanceof ApiError) || error.code !== 'storage_failed') throw error
      if (/not known/.test(error.message)) writeSync(1, 'unknown\n')
    }
  }
}

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
