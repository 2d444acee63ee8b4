/**
 * What the end of many leases at once costs those who read meanwhile: p99 of reads at a fixed rate, before and while
 * 100,000 leases (half of them of tokens) end in the same second.
 *
 *     bin/node bench/expiry.ts FOLDER [COUNT]
 *
 * FOLDER is one that bench/million.ts filled; the leases that end are added to it first.
 */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { paced, type PacedResult } from './paced.ts'
import { DUE_PREFIX, fillDue, secretPath } from './million-fill.ts'
import { cpuSeconds, pin, rootToken, rssMb, startCommand, timeToFirstAnswer } from './million-server.ts'

const CONNECTIONS = 32
const PER_SECOND = 2000
const FEW = 100
const WARM_MS = 5000
const IDLE_MS = 15_000
/** Slower than any machine this was tried on; the leases must not be due before all of them are there. */
const FILLED_PER_SECOND = 1200
const POLL_MS = 250

const folder = process.argv[2]
const count = Number(process.argv[3] ?? 100_000)
if (folder === undefined) {
  console.error('usage: node bench/expiry.ts FOLDER [COUNT]')
  process.exit(1)
}
const place = path.resolve(folder, 'full')
const dueAt = new Date(Date.now() + WARM_MS + IDLE_MS + 20_000 + (count / FILLED_PER_SECOND) * 1000)
await fillDue(place, count, dueAt)
await measure()

async function measure(): Promise<void> {
  const token = rootToken(place)
  const read = (n: number) =>
    `GET /v1/secret/data/${secretPath(n % FEW)} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n\r\n`
  const { started, milliseconds } = await timeToFirstAnswer(startCommand(place), read(0))
  console.log(`first answer after ${milliseconds.toFixed(0)} ms`)
  try {
    if (availableParallelism() > 1) {
      pin(process.pid, 1)
      pin(started.pid, 0)
    }
    const run = (until: Promise<unknown>) =>
      paced(started.port, read, { connections: CONNECTIONS, perSecond: PER_SECOND, until })
    await run(sleep(WARM_MS))
    if (Date.now() + IDLE_MS > dueAt.getTime()) throw new Error('filling took too long: the leases are due already')
    const idle = await run(sleep(IDLE_MS))
    await sleep(Math.max(0, dueAt.getTime() - Date.now()))
    const before = { cpu: cpuSeconds(started.pid), at: performance.now() }
    const during = await run(allEnded(started.port, token))
    const seconds = (performance.now() - before.at) / 1000
    const cpu = cpuSeconds(started.pid) - before.cpu
    const after = await run(sleep(IDLE_MS))
    for (const [name, result] of Object.entries({ idle, during, after })) tell(name, result)
    console.log(`p99 while ${count} leases end: ${(during.p99Ms / idle.p99Ms).toFixed(1)} x idle`)
    console.log(
      `they took ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(0)} a second; the core was ${((cpu / seconds) * 100).toFixed(0)} % busy`,
    )
    console.log(`memory ${rssMb(started.pid).toFixed(0)} MB`)
  } finally {
    await started.stop()
  }
}

/** Those of secrets are listed by their path; each of them ends after the token that is due in the same moment. */
async function allEnded(port: number, token: string): Promise<void> {
  for (;;) {
    await sleep(POLL_MS)
    const url = `http://127.0.0.1:${port}/v1/sys/leases/lookup/${DUE_PREFIX}?list=true&limit=1`
    const { status } = await fetch(url, { headers: { 'x-vault-token': token } })
    if (status === 404) return
    if (status !== 200) throw new Error(`listing the leases: ${status}`)
  }
}

function tell(name: string, { requests, p50Ms, p99Ms, maxMs }: PacedResult): void {
  const cells = [`p50 ${p50Ms.toFixed(2)} ms`, `p99 ${p99Ms.toFixed(2)} ms`, `longest ${maxMs.toFixed(0)} ms`]
  console.log([`${name}, ${PER_SECOND} reads a second`.padEnd(36), ...cells, `${requests} reads`].join('  '))
}
