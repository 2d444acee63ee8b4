/** Servers that are measured from outside: started, asked, weighed by what /proc tells of them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'

const TICKS_PER_SECOND = 100
const START_SECONDS = 60
const root = path.join(import.meta.dirname, '..')
/** Below the ports that the system gives to those who connect. */
let lastPort = 20_000 + (process.pid % 10_000)

export interface Started {
  pid: number
  port: number
  /** May do everything. */
  token: string
  stop(): Promise<void>
}

export async function startStrongroom(folder: string): Promise<Started> {
  const port = (lastPort += 1)
  const child = spawn(path.join(root, 'bin/strongroom'), ['start', `-data=${folder}`, `-address=127.0.0.1:${port}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const gone = once(child, 'exit').then(() => Promise.reject(new Error(`the server on ${folder} did not start`)))
  await Promise.race([once(child.stdout, 'data'), gone])
  gone.catch(() => undefined)
  return { ...running(child), port, token: rootToken(folder) }
}

export interface FirstAnswer {
  milliseconds: number
  cpuSeconds: number
  rssMb: number
}

/** From the start of the process to its first right answer to `message`, which is asked for again and again. */
export async function timeToFirstAnswer(
  command: (port: number) => string[],
  message: string,
): Promise<FirstAnswer & { started: Omit<Started, 'token'> }> {
  const port = (lastPort += 1)
  const [program, ...args] = command(port)
  const before = performance.now()
  const child = spawn(program!, args, { stdio: 'ignore' })
  while (!(await answers(port, message))) {
    if (performance.now() - before > START_SECONDS * 1000) throw new Error('the server does not answer')
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  const milliseconds = performance.now() - before
  const pid = child.pid!
  return { milliseconds, cpuSeconds: cpuSeconds(pid), rssMb: rssMb(pid), started: { ...running(child), port } }
}

export function startCommand(folder: string): (port: number) => string[] {
  return (port) => [path.join(root, 'bin/strongroom'), 'start', `-data=${folder}`, `-address=127.0.0.1:${port}`]
}

/** The least that a server on this runtime can be. */
export function bareCommand(port: number): string[] {
  const program = `require('node:http').createServer((_, answer) => answer.end('ok')).listen(${port}, '127.0.0.1')`
  return [path.join(root, 'bin/node'), '-e', program]
}

export function rootToken(folder: string): string {
  const file = path.join(folder, 'root-token')
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
}

function running(child: ChildProcess): { pid: number; stop(): Promise<void> } {
  return {
    pid: child.pid!,
    stop: async () => {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

async function answers(port: number, message: string): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(message)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    return chunk.toString('latin1').startsWith('HTTP/1.1 200')
  } catch {
    // Nobody listens yet, which is what this is asked to find out.
    return false
  } finally {
    socket.destroy()
  }
}

/** All threads of the process, user and system (proc(5), fields 14 and 15). */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function rssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

/** All threads of the process on one core. */
export function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-acp', String(core), String(pid)])
}
