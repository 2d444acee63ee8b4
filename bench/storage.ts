/**
 * What the embedded store costs: reads from its cache and from disk, listings, durable commits one at a time and many at
 * once, and how long the event loop waits while it writes.
 *
 *   bin/node bench/storage.ts [ENTRIES]    100,000 by default, of 300 bytes; in a folder below the working directory
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Driver } from '#sdk/storage.ts'
import { drivers } from '#storage/registry.ts'

const VALUE_BYTES = 300
const PER_FOLDER = 1000

interface Line {
  name: string
  value: number
  unit: string
}

const entries = Number(process.argv[2] ?? 100_000)
const folder = mkdtempSync(path.join(process.cwd(), 'bench-storage-'))
try {
  for (const { name, value, unit } of await measure(folder)) {
    console.log(`${name.padEnd(44)} ${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit}`)
  }
} finally {
  rmSync(folder, { recursive: true })
}

async function measure(data: string): Promise<Line[]> {
  const { open } = await drivers.sqlite()
  const lines: Line[] = []
  let store = await open({ path: data })
  lines.push({ name: `fill, 1,000 entries a transaction`, value: await fill(store), unit: 'µs an entry' })
  await store.close()
  const start = performance.now()
  store = await open({ path: data })
  lines.push({ name: `open ${entries} entries`, value: performance.now() - start, unit: 'ms' })
  lines.push(await each('get, not in the cache', 20_000, async (index) => void (await store.get(keyOf(spread(index))))))
  const hot = Array.from({ length: 1000 }, (_, index) => keyOf(spread(index)))
  await store.getMany(hot)
  lines.push(
    await each('get, in the cache', 2_000_000, async (index) => void (await store.get(hot[index % 1000]!)), true),
  )
  lines.push(hits(store, hot))
  const folders = Math.max(1, Math.floor(entries / PER_FOLDER))
  lines.push(
    await each(
      'list 100',
      3000,
      async (index) => void (await store.list(`data/${folderOf(index % folders)}/`, { limit: 100 })),
    ),
  )
  lines.push(
    await each(
      'list one level above all entries, 10 of it',
      3000,
      async () => void (await store.list('data/', { limit: 10 })),
    ),
  )
  for (const many of [1, 8, 64, 512]) lines.push(...(await commits(store, many)))
  await store.close()
  return lines
}

async function fill(store: Driver): Promise<number> {
  const start = performance.now()
  for (let first = 0; first < entries; first += PER_FOLDER) {
    await store.transact(async (transaction) => {
      for (let index = first; index < Math.min(first + PER_FOLDER, entries); index += 1) {
        transaction.put(keyOf(index), () => randomBytes(VALUE_BYTES))
      }
    })
  }
  return ((performance.now() - start) * 1000) / entries
}

async function each(name: string, times: number, work: (index: number) => Promise<void>, warm = false): Promise<Line> {
  if (warm) for (let index = 0; index < times / 10; index += 1) await work(index)
  const start = performance.now()
  for (let index = 0; index < times; index += 1) await work(index)
  return { name: `${name}, awaited`, value: ((performance.now() - start) * 1000) / times, unit: 'µs' }
}

/** The call alone: what awaiting costs comes on top, whoever made the promise. */
function hits(store: Driver, keys: readonly string[]): Line {
  const times = 2_000_000
  const start = performance.now()
  for (let index = 0; index < times; index += 1) void store.get(keys[index % keys.length]!)
  return { name: 'get, in the cache, the call alone', value: ((performance.now() - start) * 1000) / times, unit: 'µs' }
}

async function commits(store: Driver, many: number): Promise<Line[]> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const cpu = process.threadCpuUsage()
  const start = performance.now()
  const until = start + 2000
  let done = 0
  delay.enable()
  const write = async () => {
    while (performance.now() < until) {
      const key = keyOf(spread(Math.floor(Math.random() * entries)))
      const value = randomBytes(VALUE_BYTES)
      await store.transact(async (transaction) => {
        await transaction.get(key)
        transaction.put(key, () => value)
      })
      done += 1
    }
  }
  await Promise.all(Array.from({ length: many }, write))
  delay.disable()
  const seconds = (performance.now() - start) / 1000
  const spent = process.threadCpuUsage(cpu)
  return [
    { name: `read and write, durable, ${many} at once`, value: done / seconds, unit: 'commits/s' },
    { name: `  CPU of the calling thread`, value: (spent.user + spent.system) / done, unit: 'µs a commit' },
    { name: `  event loop delay, p99 (1 is none)`, value: delay.percentile(99) / 1e6, unit: 'ms' },
  ]
}

/** Visits entries far from each other. */
function spread(index: number): number {
  return (index * 7919) % entries
}

function keyOf(index: number): string {
  return `data/${folderOf(Math.floor(index / PER_FOLDER))}/${(index % PER_FOLDER).toString().padStart(6, '0')}`
}

function folderOf(index: number): string {
  return `0b1c2d3e-aaaa-bbbb-cccc-${index.toString().padStart(6, '0')}`
}
