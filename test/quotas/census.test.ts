/** Counting while leases come and go, over a real store: both sides of where the walk is, and right in it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Census, type Count, countKey, type LeaseSource } from '#core/quotas/census.ts'
import type { LeaseRule } from '#core/quotas/rules.ts'
import type { Storage } from '#sdk/storage.ts'
import { openStore } from '#test/seal/support.ts'

const rule: LeaseRule = {
  name: 'all',
  mount: '',
  uuid: '',
  suffix: '',
  role: '',
  inheritable: true,
  max_leases: 10_000,
}
const nameOf = (n: number) => String(n).padStart(4, '0')

interface Area {
  source: LeaseSource
  change: (n: number, step: 1 | -1) => Promise<void>
  /** Run once before the page with that number is read. */
  meanwhile: Map<number, () => Promise<void>>
}

async function areaIn(storage: Storage, census: Census): Promise<Area> {
  const meanwhile = new Map<number, () => Promise<void>>()
  let pages = 0
  const source: LeaseSource = {
    async page(transaction, after, limit) {
      const here = transaction.in(storage)
      const keys = await here.keys('', { limit, ...(after !== '' && { after }) })
      pages += 1
      const act = meanwhile.get(pages)
      meanwhile.delete(pages)
      await act?.()
      return keys.map((key) => ({ key, path: 'secret/x', role: undefined }))
    },
  }
  const index = census.addSource(source)
  const change = (n: number, step: 1 | -1) =>
    storage.transact(async (transaction) => {
      await census.change(transaction, index, { key: nameOf(n), path: 'secret/x', role: undefined }, step, true)
      if (step > 0) transaction.put(nameOf(n), {})
      else transaction.delete(nameOf(n))
    })
  return { source, change, meanwhile }
}

test('what comes and goes before, behind and in the page that is being counted is counted once', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('core/quota/')
  const census = new Census(storage, async () => [rule])
  const area = await areaIn(barrier.storage('core/lease/'), census)
  for (let n = 0; n < 900; n += 3) await area.change(n, 1)
  await storage.transact(async (transaction) => census.begin(transaction, 1, [rule]))
  const counted = async () => (await storage.get<Count>(countKey(1, 'all')))!.leases
  const beginning = barrier.storage('core/lease/')
  area.meanwhile.set(1, async () => {
    await area.change(1, 1)
    await area.change(0, -1)
    await area.change(898, 1)
  })
  // By now the first page, up to 600, is counted.
  area.meanwhile.set(3, async () => {
    for (const n of [2, 4, 595, 604, 898 + 1]) await area.change(n, 1)
    for (const n of [3, 6, 603, 606, 609, 612]) await area.change(n, -1)
  })
  await census.run()
  const real = (await beginning.keys('')).length
  assert.equal(await counted(), real)
  await area.change(5, 1)
  await area.change(897, -1)
  await area.change(9, -1)
  assert.equal(await counted(), real - 1)
})
