/** A second reader of a store, in a worker thread: does what it is told, and answers. */
import { parentPort, workerData } from 'node:worker_threads'
import { attach, type Seat } from '#storage/sqlite/driver.ts'

export type Order =
  | { get: string }
  | { put: string; text: string }
  | { increment: string; times: number }
  | 'heard'
  | 'close'

const driver = await attach(workerData as Seat)
const heard: string[] = []
driver.onCommit(({ keys }) => heard.push(...keys))

async function follow(order: Order): Promise<unknown> {
  if (order === 'heard') return heard
  if (order === 'close') return await driver.close()
  if ('get' in order) {
    const entry = await driver.get(order.get)
    return entry && Buffer.from(entry.value).toString()
  }
  if ('put' in order) {
    return await driver.transact(async (transaction) => transaction.put(order.put, () => Buffer.from(order.text)))
  }
  const versions: number[] = []
  for (let turn = 0; turn < order.times; turn += 1) {
    await driver.transact(async (transaction) => {
      const entry = await transaction.get(order.increment)
      const next = Number(entry ? Buffer.from(entry.value).toString() : '0') + 1
      transaction.put(order.increment, (version) => {
        versions.push(version)
        return Buffer.from(String(next))
      })
    })
  }
  return versions
}

parentPort!.on('message', (order: Order) => {
  follow(order).then(
    (value) => parentPort!.postMessage({ value }),
    (error: unknown) => parentPort!.postMessage({ error: String(error) }),
  )
})
parentPort!.postMessage({ value: 'attached' })
