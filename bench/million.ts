/**
 * A server with a million secrets, tokens and leases beside one with a hundred secrets, in the same run: how long until it
 * answers, how fast it reads, what it holds in memory and on disk.
 *
 *     node bench/million.ts FOLDER [COUNT]
 *
 * FOLDER keeps the filled data for the next run (about 2 GB and some minutes for a million).
 */
import { readdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { load } from './load.ts'
import { fill, PER_FOLDER, secretPath } from './million-fill.ts'
import {
  bareCommand,
  cpuSeconds,
  pin,
  rootToken,
  rssMb,
  type Started,
  startCommand,
  timeToFirstAnswer,
} from './million-server.ts'

const CONNECTIONS = 32
const STARTS = 3
const ROUNDS = 10
const ROUND_REQUESTS = 10_000
const FEW = 100

const folder = process.argv[2]
const count = Number(process.argv[3] ?? 1_000_000)
if (folder === undefined) {
  console.error('usage: node bench/million.ts FOLDER [COUNT]')
  process.exit(1)
}
const places = { empty: path.resolve(folder, 'empty'), full: path.resolve(folder, 'full') }
await fill(places.empty, { secrets: FEW, tokens: 0, leases: 0 })
await fill(places.full, { secrets: count, tokens: count, leases: count })
await measureStart()
await measureServers()

function get(token: string, where: string, method = 'GET'): string {
  return `${method} /v1/${where} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n\r\n`
}

async function measureStart(): Promise<void> {
  const bestOf = async (command: (port: number) => string[], message: string) => {
    const runs: { milliseconds: number; cpuSeconds: number }[] = []
    for (let n = 0; n < STARTS; n += 1) {
      const { started, ...run } = await timeToFirstAnswer(command, message)
      await started.stop()
      runs.push(run)
    }
    return {
      ms: Math.min(...runs.map(({ milliseconds }) => milliseconds)),
      cpuMs: Math.min(...runs.map((run) => run.cpuSeconds)) * 1000,
    }
  }
  const bare = await bestOf(bareCommand, get('', ''))
  const empty = await bestOf(startCommand(places.empty), readOf(rootToken(places.empty), 0))
  const full = await bestOf(startCommand(places.full), readOf(rootToken(places.full), 0))
  for (const [name, { ms, cpuMs }] of Object.entries({ bare, empty, full })) {
    tell(`start to first answer, ${name}`, `${ms.toFixed(0)} ms`, `CPU ${cpuMs.toFixed(0)} ms`)
  }
}

function readOf(token: string, n: number): string {
  return get(token, `secret/data/${secretPath(n)}`)
}

async function measureServers(): Promise<void> {
  if (availableParallelism() > 1) pin(process.pid, 1)
  const empty = await open('empty')
  const full = await open('full')
  try {
    tell('memory after start', `${rssMb(full.pid).toFixed(0)} MB`, `empty ${rssMb(empty.pid).toFixed(0)} MB`)
    await measureReads(full, empty)
    tell(
      `memory after ${2 * ROUNDS * ROUND_REQUESTS} reads`,
      `${rssMb(full.pid).toFixed(0)} MB`,
      `empty ${rssMb(empty.pid).toFixed(0)} MB`,
    )
    await measureLists(full)
  } finally {
    await Promise.all([empty.stop(), full.stop()])
  }
  tell('on disk, without the ledger', `${(bytesBelow(places.full) / 2 ** 20).toFixed(0)} MB`)
}

/** With a token as programs have one: one policy, not root. */
async function open(name: keyof typeof places): Promise<Started> {
  const root = rootToken(places[name])
  const { started } = await timeToFirstAnswer(startCommand(places[name]), readOf(root, 0))
  if (availableParallelism() > 1) pin(started.pid, 0)
  const call = async (where: string, body: object): Promise<{ auth?: { client_token: string } } | undefined> => {
    const response = await fetch(`http://127.0.0.1:${started.port}/v1/${where}`, {
      method: 'POST',
      headers: { 'x-vault-token': root },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${where}: ${response.status} ${await response.text()}`)
    return response.status === 204 ? undefined : ((await response.json()) as { auth: { client_token: string } })
  }
  const policy =
    'path "secret/data/app/*" { capabilities = ["read"] } path "secret/metadata/app/*" { capabilities = ["list"] }'
  await call('sys/policies/acl/app', { policy })
  const token = (await call('auth/token/create', { policies: ['app'], ttl: '1h' }))!.auth!.client_token
  return { ...started, token }
}

async function measureReads(full: Started, empty: Started): Promise<void> {
  const cases: { server: Started; choose: (n: number) => number }[] = [
    { server: empty, choose: (n) => n % FEW },
    { server: full, choose: () => Math.floor(Math.random() * count) },
    { server: full, choose: (n) => n % FEW },
  ]
  const costs: number[][] = cases.map(() => [])
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { server, choose }] of cases.entries()) costs[index]!.push(await readMicros(server, choose))
  }
  const names = [
    `read, the ${FEW} of the empty store`,
    'read, anywhere in the full store',
    `read, ${FEW} in the full store`,
  ]
  for (const [index, name] of names.entries()) {
    const least = Math.min(...costs[index]!)
    const ratios = costs[index]!.map((micros, round) => costs[0]![round]! / micros).toSorted((a, b) => a - b)
    tell(
      name,
      `${Math.round(1e6 / least)} a CPU-second`,
      `${least.toFixed(1)} µs`,
      `${percent(Math.min(...costs[0]!) / least)} of empty (middle of the rounds ${percent(ratios[ratios.length >> 1]!)})`,
    )
  }
}

async function readMicros(server: Started, choose: (n: number) => number): Promise<number> {
  const message = (n: number) => readOf(server.token, choose(n))
  return 1e6 / (await costOf(server, message, ROUND_REQUESTS)).perCpuSecond
}

async function measureLists(full: Started): Promise<void> {
  const folders = Math.floor(count / PER_FOLDER)
  const one = (n: number) =>
    get(full.token, `secret/metadata/app/f${String((n * 37) % folders).padStart(4, '0')}`, 'LIST')
  const { perCpuSecond, p50Ms } = await costOf(full, one, 1000)
  tell(`list a folder of ${PER_FOLDER}`, `${(1e6 / perCpuSecond).toFixed(0)} µs CPU`, `p50 ${p50Ms.toFixed(1)} ms`)
  const above = await costOf(full, () => get(full.token, 'secret/metadata/app/', 'LIST'), 100)
  tell(
    `list the ${folders} folders`,
    `${(1e6 / above.perCpuSecond).toFixed(0)} µs CPU`,
    `p50 ${above.p50Ms.toFixed(1)} ms`,
  )
}

async function costOf(
  server: Started,
  message: (n: number) => string,
  requests: number,
): Promise<{ perCpuSecond: number; p50Ms: number }> {
  await load(server.port, message, { connections: CONNECTIONS, requests: Math.ceil(requests / 10) })
  const before = cpuSeconds(server.pid)
  const { statuses, p50Ms } = await load(server.port, message, { connections: CONNECTIONS, requests })
  if (Object.keys(statuses).join() !== '200') throw new Error(`answers were ${JSON.stringify(statuses)}`)
  return { perCpuSecond: requests / (cpuSeconds(server.pid) - before), p50Ms }
}

function bytesBelow(place: string): number {
  return readdirSync(place, { withFileTypes: true, recursive: true })
    .filter((each) => each.isFile() && each.name.startsWith('store.db'))
    .reduce((sum, each) => sum + statSync(path.join(each.parentPath, each.name)).size, 0)
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(0)} %`
}

function tell(what: string, ...values: string[]): void {
  console.log([what.padEnd(36), ...values.map((value) => value.padEnd(20))].join(' ').trimEnd())
}
