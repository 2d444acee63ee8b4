/**
 * The table of speeds: requests per CPU-second of the server beside a bare server that answers as many bytes, in the same
 * run; throughput, latency and memory. Server and load run on a core each. Prints text, writes bench/results/latest.json.
 *
 *     npm run bench [-- -quick]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { load, type LoadResult } from './load.ts'

const quick = process.argv.includes('-quick')
const CONNECTIONS = 32
const ROUNDS = quick ? 4 : 15

interface Row {
  name: string
  requestsPerCpuSecond: number
  microsPerRequest: number
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
  rssMb: number
  /** Of the least costs, ours and the bare server's. */
  helloRatio: number
  /** The middle of the rounds' own ratios. */
  middleRatio: number
  helloMicrosPerRequest: number
  goal: number | undefined
}

interface Case {
  name: string
  goal?: number
  requests: number
  connections?: number
  message: (n: number) => string
}

const head = (token: string | undefined) =>
  `Host: 127.0.0.1\r\nUser-Agent: bench\r\n${token ? `X-Vault-Token: ${token}\r\n` : ''}`
const get = (token: string, where: string) => `GET /v1/${where} HTTP/1.1\r\n${head(token)}\r\n`
const post = (token: string | undefined, where: string, body: string) =>
  `POST /v1/${where} HTTP/1.1\r\n${head(token)}Content-Length: ${body.length}\r\n\r\n${body}`

async function main(): Promise<void> {
  pin(process.pid, 1)
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-bench-'))
  const server = await startStrongroom(folder)
  try {
    const rows: Row[] = []
    for (const each of await prepare(server)) {
      const row = await measureCase(server, each)
      rows.push(row)
      print(row, rows.length === 1)
    }
    const results = path.join(import.meta.dirname, 'results')
    mkdirSync(results, { recursive: true })
    writeFileSync(
      path.join(results, 'latest.json'),
      `${JSON.stringify({ at: new Date(), node: process.version, rows }, null, 2)}\n`,
    )
  } finally {
    server.child.kill('SIGTERM')
    await once(server.child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Server {
  child: ChildProcess
  pid: number
  port: number
  token: string
}

/** Fills the server and says what is to be measured. Callers have a token with one policy, as programs do, not root. */
async function prepare({ port, token: root }: Server): Promise<Case[]> {
  const call = async (method: string, where: string, body?: object): Promise<any> => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/${where}`, {
      method,
      headers: { 'x-vault-token': root },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  await call('PUT', 'sys/policies/acl/app', {
    policy:
      'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }\n' +
      'path "transit/+/app" { capabilities = ["update"] }',
  })
  await call('POST', 'sys/auth/approle', { type: 'approle' })
  await call('POST', 'auth/approle/role/app', { token_policies: 'app', token_ttl: '1h' })
  const { role_id } = (await call('GET', 'auth/approle/role/app/role-id')).data
  const { secret_id } = (await call('POST', 'auth/approle/role/app/secret-id', {})).data
  const token = (await call('POST', 'auth/approle/login', { role_id, secret_id })).auth.client_token as string
  for (let n = 0; n < 100; n += 1)
    await call('POST', `secret/data/app/${n}`, { data: { password: `correct horse battery staple ${n}` } })
  await call('POST', 'sys/mounts/transit', { type: 'transit' })
  await call('POST', 'transit/keys/app', {})
  const plaintext = JSON.stringify({ plaintext: Buffer.alloc(64, 7).toString('base64') })
  const sealed = JSON.stringify((await call('POST', 'transit/encrypt/app', JSON.parse(plaintext))).data)
  const value = '{"data":{"password":"correct horse battery staple"}}'
  const login = JSON.stringify({ role_id, secret_id })
  const scale = quick ? 0.5 : 1
  return [
    {
      name: 'read a KV v2 secret',
      goal: 0.3,
      requests: 15_000 * scale,
      message: (n) => get(token, `secret/data/app/${n % 100}`),
    },
    {
      name: 'transit: encrypt 64 bytes',
      goal: 0.25,
      requests: 10_000 * scale,
      message: () => post(token, 'transit/encrypt/app', plaintext),
    },
    {
      name: 'transit: decrypt 64 bytes',
      requests: 10_000 * scale,
      message: () => post(token, 'transit/decrypt/app', sealed),
    },
    {
      name: 'log in by AppRole',
      goal: 0.08,
      requests: 5_000 * scale,
      message: () => post(undefined, 'auth/approle/login', login),
    },
    {
      name: 'write a KV v2 secret, 32 at once',
      goal: 0.1,
      requests: 5_000 * scale,
      message: (n) => post(token, `secret/data/app/w${n % 1000}`, value),
    },
    {
      name: 'write a KV v2 secret, one at a time',
      requests: 600 * scale,
      connections: 1,
      message: (n) => post(token, `secret/data/app/w${n % 1000}`, value),
    },
  ]
}

/**
 * Many short rounds, ours and the yardstick in turn. The least cost of each counts, since whatever else runs on the machine
 * only ever adds; the middle of the rounds' own ratios stands beside it.
 */
async function measureCase(server: Server, each: Case): Promise<Row> {
  const connections = each.connections ?? CONNECTIONS
  const bytes = await answerBytes(server.port, each.message(0))
  const hello = await startHello(bytes)
  await measure(server, each, connections)
  await measure(hello, each, connections)
  const rounds: { ours: Measured; hello: Measured }[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.push({ hello: await measure(hello, each, connections), ours: await measure(server, each, connections) })
  }
  hello.child.disconnect()
  const best = (of: 'ours' | 'hello') => Math.min(...rounds.map((round) => round[of].microsPerRequest))
  const fastest = rounds.map(({ ours }) => ours).toSorted((a, b) => a.microsPerRequest - b.microsPerRequest)[0]!
  const ratios = rounds.map(({ ours, hello: bare }) => bare.microsPerRequest / ours.microsPerRequest)
  const { result } = fastest
  return {
    name: each.name,
    requestsPerCpuSecond: 1e6 / best('ours'),
    microsPerRequest: best('ours'),
    helloMicrosPerRequest: best('hello'),
    requestsPerSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    rssMb: rssMb(server.pid),
    helloRatio: best('hello') / best('ours'),
    middleRatio: ratios.toSorted((a, b) => a - b)[ROUNDS >> 1]!,
    goal: each.goal,
  }
}

interface Measured {
  microsPerRequest: number
  result: LoadResult
}

async function measure(
  { pid, port }: { pid: number; port: number },
  each: Case,
  connections: number,
): Promise<Measured> {
  const before = cpuMicros(pid)
  const result = await load(port, each.message, { connections, requests: each.requests })
  const statuses = Object.keys(result.statuses)
  if (statuses.length !== 1 || statuses[0] !== '200') {
    throw new Error(`${each.name}: answers were ${JSON.stringify(result.statuses)}`)
  }
  return { microsPerRequest: (cpuMicros(pid) - before) / result.requests, result }
}

/** Of all threads, in the program and in the kernel: the first field of schedstat, in nanoseconds. */
function cpuMicros(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  return tasks.reduce(
    (sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1000,
    0,
  )
}

function rssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

async function answerBytes(port: number, message: string): Promise<number> {
  const { connect } = await import('node:net')
  const socket = connect(port, '127.0.0.1')
  socket.write(message)
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return Number(/content-length: (\d+)/i.exec(String(chunk))?.[1] ?? 0)
}

/** Started once before, so that its code is compiled: the first start of a version strips the types of all its files. */
async function startStrongroom(folder: string): Promise<Server> {
  const first = await startServer(path.join(folder, 'first'))
  first.child.kill('SIGTERM')
  await once(first.child, 'exit')
  return startServer(folder)
}

async function startServer(folder: string): Promise<Server> {
  const root = path.join(import.meta.dirname, '..')
  const data = path.join(folder, 'data')
  const port = 20_000 + (process.pid % 20_000)
  const child = spawn(path.join(root, 'bin/strongroom'), ['start', `-data=${data}`, `-address=127.0.0.1:${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  pin(child.pid!, 0)
  return { child, pid: child.pid!, port, token: readFileSync(path.join(data, 'root-token'), 'utf8').trim() }
}

async function startHello(bytes: number): Promise<{ child: ChildProcess; pid: number; port: number }> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'hello.ts'), String(bytes)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [port] = (await once(child, 'message')) as [number]
  pin(child.pid!, 0)
  return { child, pid: child.pid!, port }
}

/** All threads of the process on one core. */
function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-acp', String(core), String(pid)])
}

function print(row: Row, first: boolean): void {
  const cells = [
    row.name.padEnd(36),
    `${Math.round(row.helloRatio * 100)} %`.padStart(8),
    `${Math.round(row.middleRatio * 100)} %`.padStart(7),
    (row.goal === undefined ? '' : `${row.goal * 100} %`).padStart(6),
    row.microsPerRequest.toFixed(1).padStart(8),
    row.helloMicrosPerRequest.toFixed(1).padStart(8),
    Math.round(row.requestsPerCpuSecond).toString().padStart(10),
    Math.round(row.requestsPerSecond).toString().padStart(9),
    row.p50Ms.toFixed(2).padStart(8),
    row.p99Ms.toFixed(2).padStart(8),
    row.rssMb.toFixed(0).padStart(7),
  ]
  if (first)
    console.log(
      'case                                  of hello  middle   goal   µs/rq    hello   rq/CPU-s      rq/s   p50 ms   p99 ms  RSS MB',
    )
  console.log(cells.join(' '))
}

await main()
