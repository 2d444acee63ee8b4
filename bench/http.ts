/**
 * What the HTTP layer costs: CPU time per request of a listener whose handler does nothing, beside a bare node:http server
 * that answers the same bytes. Server and load run in processes of their own, on a core each where `taskset` is there.
 *
 *     node bench/http.ts [requests per round]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'

const ROUNDS = 5
const CONNECTIONS = 32
const requests = Number(process.argv[2] ?? 30_000)
const hasTaskset = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0

const head =
  'Host: 127.0.0.1:8200\r\nUser-Agent: bench\r\nX-Vault-Token: hvs.CAESIJ0123456789abcdefgh\r\nX-Vault-Request: true\r\n'
const body = '{"data":{"password":"correct horse battery staple"}}'
const messages = {
  get: `GET /v1/secret/data/app/config HTTP/1.1\r\n${head}\r\n`,
  post: `POST /v1/secret/data/app/config HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  list: `LIST /v1/secret/metadata/app HTTP/1.1\r\n${head}\r\n`,
}

async function main(): Promise<void> {
  if (hasTaskset) spawnSync('taskset', ['-cp', '1', String(process.pid)])
  const basePort = 20_000 + (process.pid % 20_000)
  const servers = { bare: start('bare', basePort), ours: start('ours', basePort + 1) }
  await Promise.all(Object.values(servers).map(({ child }) => once(child, 'message')))
  const cases = [
    ['bare', 'get'],
    ['ours', 'get'],
    ['bare', 'post'],
    ['ours', 'post'],
    ['ours', 'list'],
  ] as const
  const best: Record<string, number> = {}
  for (let round = 0; round < ROUNDS; round++) {
    for (const [server, message] of cases) {
      const micros = await measure(servers[server], messages[message])
      const name = `${server} ${message}`
      best[name] = Math.min(best[name] ?? Infinity, micros)
    }
  }
  for (const [name, micros] of Object.entries(best))
    console.log(`${name.padEnd(10)} ${micros.toFixed(2)} µs of CPU per request`)
  for (const { child } of Object.values(servers)) child.disconnect()
}

function start(kind: string, port: number): { child: ChildProcess; port: number } {
  const command = [process.execPath, `${import.meta.dirname}/http-server.ts`, kind, String(port)]
  const line = hasTaskset ? ['taskset', '-c', '0', ...command] : command
  return { child: spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }), port }
}

async function measure({ child, port }: { child: ChildProcess; port: number }, message: string): Promise<number> {
  await load(port, message, requests / 10)
  const before = await cpuMicros(child)
  await load(port, message, requests)
  return ((await cpuMicros(child)) - before) / requests
}

async function cpuMicros(child: ChildProcess): Promise<number> {
  const reply = once(child, 'message')
  child.send('cpu')
  const [usage] = (await reply) as [NodeJS.CpuUsage]
  return usage.user + usage.system
}

/** One request at a time on each of the connections, until there were `count` answers. */
function load(port: number, message: string, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let started = 0
    let answered = 0
    for (let each = 0; each < CONNECTIONS; each++) {
      const socket = connect(port, '127.0.0.1')
      const next = () => {
        if (started >= count) socket.end()
        else {
          started++
          socket.write(message)
        }
      }
      socket.setNoDelay()
      socket.on('connect', next)
      socket.on('error', reject)
      socket.on('data', (bytes) => {
        if (bytes[9] !== 50) reject(new Error(bytes.toString()))
        answered++
        next()
        if (answered === count) resolve()
      })
    }
  })
}

await main()
