/**
 * Where the CPU time of a KV read goes: self time by function and by file, from a CPU profile of the server under load.
 *
 *     bin/node bench/profile.ts [requests]
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { load } from './load.ts'

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

const requests = Number(process.argv[2] ?? 50_000)
const WARM_UP = 20_000
const root = path.join(import.meta.dirname, '..')
const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-profile-'))
const port = 20_000 + (process.pid % 20_000)
spawnSync('taskset', ['-acp', '1', String(process.pid)])
const server = spawn(
  'taskset',
  [
    '-c',
    '0',
    process.execPath,
    `--import=${path.join(import.meta.dirname, 'profiler.ts')}`,
    path.join(root, 'src/main.ts'),
    'start',
    `-data=${folder}/data`,
    `-address=127.0.0.1:${port}`,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, BENCH_PROFILE: folder } },
)
await once(server.stdout, 'data')
const rootToken = readFileSync(`${folder}/data/root-token`, 'utf8').trim()
const call = async (method: string, where: string, body?: object, token = rootToken) => {
  const response = await fetch(`http://127.0.0.1:${port}/v1/${where}`, {
    method,
    headers: { 'x-vault-token': token },
    ...(body && { body: JSON.stringify(body) }),
  })
  return response.status === 204 ? undefined : await response.json()
}
await call('PUT', 'sys/policies/acl/app', {
  policy: 'path "secret/data/app/*" { capabilities = ["create", "read", "update"] }',
})
const created = (await call('POST', 'auth/token/create', { policies: ['app'] })) as { auth: { client_token: string } }
const token = created.auth.client_token
for (let n = 0; n < 100; n += 1)
  await call('POST', `secret/data/app/${n}`, { data: { password: `correct horse battery staple ${n}` } })
const message = (n: number) =>
  `GET /v1/secret/data/app/${n % 100} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n\r\n`
// What a start costs, and code that is not compiled yet, is another matter.
await load(port, message, { connections: 32, requests: WARM_UP })
server.kill('SIGUSR2')
await load(port, message, { connections: 32, requests })
server.kill('SIGTERM')
await once(server, 'exit')

for (const name of readdirSync(folder).filter((each) => each.endsWith('.cpuprofile'))) {
  const profile = JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Profile
  report(name, profile)
}
rmSync(folder, { recursive: true, force: true })

function report(name: string, { nodes, samples, timeDeltas }: Profile): void {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const byFunction = new Map<string, number>()
  const byFile = new Map<string, number>()
  let total = 0
  for (const [at, sample] of samples.entries()) {
    const { functionName, url, lineNumber } = byId.get(sample)!.callFrame
    if (functionName === '(idle)' || functionName === '(program)') continue
    const micros = timeDeltas[at]!
    const file = url.replace(/^file:\/\/.*?\/(src|node_modules)\//, '$1/')
    total += micros
    add(byFunction, `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`, micros)
    add(byFile, file || functionName, micros)
  }
  console.log(`\n${name}: ${(total / requests).toFixed(1)} µs a request`)
  for (const [title, map] of [
    ['by function', byFunction],
    ['by file', byFile],
  ] as const) {
    console.log(`  ${title}`)
    for (const [key, micros] of [...map].toSorted((a, b) => b[1] - a[1]).slice(0, 40)) {
      console.log(`    ${(micros / requests).toFixed(2).padStart(7)} µs  ${key}`)
    }
  }
}

function add(map: Map<string, number>, key: string, value: number): void {
  map.set(key, (map.get(key) ?? 0) + value)
}
