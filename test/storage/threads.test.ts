/** Several threads over one store, and the end of the thread that writes. */
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { Driver } from '#sdk/storage.ts'
import { open, type SqliteDriver } from '#storage/sqlite/driver.ts'
import { temporaryFolder } from '#test/storage/folder.ts'
import type { Order } from '#test/storage/reader-thread.ts'

test('what one thread acknowledged, every other thread reads at once, from its cache too', async (context) => {
  const driver = await opened(context)
  const other = await startThread(context, driver)
  for (let round = 0; round < 300; round += 1) {
    await write(driver, 'k', `here ${round}`)
    assert.equal(await other({ get: 'k' }), `here ${round}`)
    await other({ put: 'k', text: `there ${round}` })
    assert.equal(await read(driver, 'k'), `there ${round}`)
  }
})

test('a read here sees a commit there although this thread never came to its event loop', async (context) => {
  const driver = await opened(context)
  const worker = await startThread(context, driver)
  await write(driver, 'k', 'old')
  let heard = 0
  driver.onCommit(() => (heard += 1))
  const done = worker({ put: 'k', text: 'new' })
  // No await of anything but reads: promises that are settled already let no message in.
  const until = Date.now() + 10_000
  let text = await read(driver, 'k')
  while (text === 'old' && Date.now() < until) text = await read(driver, 'k')
  assert.equal(text, 'new')
  assert.equal(heard, 1)
  await done
})

test('a listing here shows a commit there although others were read in the same turn of the event loop', async (context) => {
  const driver = await opened(context)
  const worker = await startThread(context, driver)
  await write(driver, 'old', '1')
  const done = worker({ put: 'new', text: '1' })
  const until = Date.now() + 10_000
  let names = await driver.list('')
  while (names.length === 1 && Date.now() < until) names = await driver.list('')
  assert.deepEqual(names, ['new', 'old'])
  await done
})

test('reads that go on and on do not keep the log from beginning anew', async (context) => {
  const folder = temporaryFolder()
  const driver = await open({ path: folder.path })
  context.after(async () => {
    await driver.close()
    folder.remove()
  })
  let writing = true
  const reading = (async () => {
    while (writing) {
      await driver.list('', { limit: 1 })
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  })()
  let largest = 0
  for (let round = 0; round < 200; round += 1) {
    await driver.transact(async (transaction) => {
      for (let n = 0; n < 32; n += 1) transaction.put(`k${n}`, () => new Uint8Array(64 * 1024).fill(round))
    })
    largest = Math.max(largest, statSync(path.join(folder.path, 'store.db-wal')).size)
  }
  writing = false
  await reading
  assert.ok(largest < 250 * 2 ** 20, `the log grew to ${largest} bytes of 400 MiB written`)
})

test('increments of one key by several threads lose none, and no two writes have one version', async (context) => {
  const driver = await opened(context)
  const threads = await Promise.all([startThread(context, driver), startThread(context, driver)])
  const versions = await Promise.all(threads.map((thread) => thread({ increment: 'n', times: 100 })))
  assert.equal(await read(driver, 'n'), '200')
  const all = versions.flat() as number[]
  assert.equal(new Set(all).size, all.length)
})

test('a thread that keeps losing gets its turn, however fast another one goes on', async (context) => {
  const driver = await opened(context)
  const other = await startThread(context, driver)
  // Each run here takes longer than several increments there: without a turn it would lose every time.
  const busy = other({ increment: 'n', times: 1000 })
  let runs = 0
  while ((await driver.get('n')) === undefined) await new Promise((resolve) => setImmediate(resolve))
  await driver.transact(async (transaction) => {
    runs += 1
    const entry = await transaction.get('n')
    await new Promise((resolve) => setTimeout(resolve, 10))
    transaction.put('n', () => Buffer.from(String(Number(entry && Buffer.from(entry.value).toString()) + 1)))
  })
  assert.ok(runs > 1, 'it lost at least once')
  await busy
  assert.equal(await read(driver, 'n'), '1001')
})

test('a thread that joined hears of every commit, also of those it did not make, and may leave', async (context) => {
  const driver = await opened(context)
  const other = await startThread(context, driver)
  await write(driver, 'a', '1')
  await other({ get: 'a' })
  await other({ put: 'b', text: '1' })
  assert.deepEqual(await other('heard'), ['a', 'b'])
  await other('close')
  await write(driver, 'c', '1')
  assert.equal(await read(driver, 'c'), '1')
})

test('when the writing thread dies, waiting and later changes fail at once, and reads go on', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const { driver, writer } = await openedWithWriter(folder.path)
  await write(driver, 'k', 'kept')
  await driver.get('k')
  const waiting = Array.from({ length: 50 }, (_, index) => write(driver, `w/${index}`, '1'))
  const settled = Promise.allSettled(waiting)
  await new Promise((resolve) => process.nextTick(resolve))
  await writer.terminate()
  const failed = (await settled).filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  assert.ok(failed.length > 0, 'it died while changes waited')
  for (const { reason } of failed)
    assert.ok(reason instanceof ApiError && reason.code === 'storage_failed', String(reason))
  await assert.rejects(
    write(driver, 'later', '1'),
    (error) => error instanceof ApiError && error.code === 'storage_failed',
  )
  assert.match(driver.trouble() ?? '', /restart/)
  assert.throws(() => driver.seat(), ApiError)
  assert.equal(await read(driver, 'k'), 'kept')
  await driver.close()
  const again = await open({ path: folder.path })
  assert.equal(await read(again, 'k'), 'kept')
  await again.close()
})

test('more waiting commits than the store takes are refused, and the others are made', async (context) => {
  const driver = await opened(context)
  const results = await Promise.allSettled(
    Array.from({ length: 12_000 }, (_, index) => write(driver, `q/${index}`, '1')),
  )
  const made = results.filter(({ status }) => status === 'fulfilled').length
  assert.equal(made, 10_000)
  for (const result of results) {
    if (result.status === 'rejected') assert.match(String(result.reason), /more writes wait/)
  }
  assert.equal((await driver.list('q/')).length, made)
  await write(driver, 'after', '1')
})

async function opened(context: TestContext): Promise<SqliteDriver> {
  const folder = temporaryFolder()
  const driver = await open({ path: folder.path })
  context.after(async () => {
    await driver.close()
    folder.remove()
  })
  return driver
}

/** The thread is found as any tool would find it: Node tells of each that starts. */
async function openedWithWriter(folder: string): Promise<{ driver: SqliteDriver; writer: Worker }> {
  const started: Worker[] = []
  const note = (message: unknown) => void started.push((message as { worker: Worker }).worker)
  diagnostics.subscribe('worker_threads', note)
  const driver = await open({ path: folder })
  diagnostics.unsubscribe('worker_threads', note)
  assert.equal(started.length, 1)
  return { driver, writer: started[0]! }
}

async function startThread(context: TestContext, driver: SqliteDriver): Promise<(order: Order) => Promise<unknown>> {
  const seat = driver.seat()
  const worker = new Worker(new URL('reader-thread.ts', import.meta.url), {
    workerData: seat,
    transferList: [seat.port],
  })
  context.after(() => worker.terminate())
  const answer = async () => {
    const [{ value, error }] = (await once(worker, 'message')) as [{ value?: unknown; error?: string }]
    if (error !== undefined) throw new Error(error)
    return value
  }
  await answer()
  return async (order) => {
    worker.postMessage(order)
    return await answer()
  }
}

async function write(driver: Driver, key: string, text: string): Promise<void> {
  await driver.transact(async (transaction) => transaction.put(key, () => Buffer.from(text)))
}

async function read(driver: Driver, key: string): Promise<string | undefined> {
  const entry = await driver.get(key)
  return entry && Buffer.from(entry.value).toString()
}
