/**
 * Open-loop load: requests are due at a fixed rate, whatever the server does, and each is timed from the moment it was due.
 * A server that stands still for a while makes all wait that were due meanwhile, as it does to those who use it.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const TICK_MS = 1
/** Due and not yet sent; a server so far behind is not worth measuring on. */
const MAX_WAITING = 100_000

export interface PacedResult {
  requests: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

/** @param until  how long to go on */
export async function paced(
  port: number,
  message: (n: number) => string,
  { connections, perSecond, until }: { connections: number; perSecond: number; until: Promise<unknown> },
): Promise<PacedResult> {
  const latencies: number[] = []
  const waiting: number[] = []
  const free: Connection[] = []
  const all = await Promise.all(Array.from({ length: connections }, () => openConnection(port)))
  let sent = 0
  let failure: Error | undefined
  const pump = () => {
    while (waiting.length > 0 && free.length > 0) free.pop()!.send(message(sent++), waiting.shift()!)
  }
  for (const connection of all) {
    connection.answered = (error, dueAt) => {
      failure ??= error
      latencies.push(performance.now() - dueAt)
      free.push(connection)
      pump()
    }
    free.push(connection)
  }
  const startedAt = performance.now()
  let due = 0
  const timer = setInterval(() => {
    const now = performance.now()
    while (startedAt + (due * 1000) / perSecond <= now && waiting.length < MAX_WAITING) {
      waiting.push(startedAt + (due * 1000) / perSecond)
      due += 1
    }
    pump()
  }, TICK_MS)
  await until
  clearInterval(timer)
  for (const { socket } of all) socket.destroy()
  if (failure) throw failure
  const sorted = latencies.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) ?? 0 }
}

interface Connection {
  socket: Socket
  send(message: string, dueAt: number): void
  answered: (error: Error | undefined, dueAt: number) => void
}

async function openConnection(port: number): Promise<Connection> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  await once(socket, 'connect')
  let dueAt = 0
  let pending = ''
  const connection: Connection = {
    socket,
    answered: () => undefined,
    send(message, at) {
      dueAt = at
      socket.write(message, 'latin1')
    },
  }
  socket.on('data', (chunk) => {
    pending += chunk.toString('latin1')
    const end = pending.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = pending.slice(0, end)
    if (pending.length < end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)) return
    pending = ''
    const status = head.slice(9, 12)
    connection.answered(status === '200' ? undefined : new Error(`an answer was ${status}`), dueAt)
  })
  return connection
}
