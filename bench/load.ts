/** Closed-loop load on raw sockets: each connection sends its next request when the answer to the last one is whole. */
import { connect, type Socket } from 'node:net'

export interface LoadResult {
  requests: number
  seconds: number
  p50Ms: number
  p99Ms: number
  /** Status → how many; more than one status, or an unexpected one, spoils a measurement. */
  statuses: Record<string, number>
}

/** @param message  the bytes of the n-th request */
export async function load(
  port: number,
  message: (n: number) => string,
  { connections, requests }: { connections: number; requests: number },
): Promise<LoadResult> {
  const latencies = new Float64Array(requests)
  const statuses: Record<string, number> = {}
  let sent = 0
  let done = 0
  const started = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1').setNoDelay(true)
      try {
        await drive(
          socket,
          () => {
            if (sent >= requests) return undefined
            return message(sent++)
          },
          (status, ms) => {
            statuses[status] = (statuses[status] ?? 0) + 1
            latencies[done++] = ms
          },
        )
      } finally {
        socket.destroy()
      }
    }),
  )
  const seconds = (performance.now() - started) / 1000
  const sorted = latencies.subarray(0, done).toSorted()
  return {
    requests: done,
    seconds,
    p50Ms: sorted[Math.floor(done * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(done * 0.99)] ?? 0,
    statuses,
  }
}

function drive(
  socket: Socket,
  next: () => string | undefined,
  answered: (status: string, ms: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentAt = 0
    let pending = ''
    const send = () => {
      const message = next()
      if (message === undefined) return resolve()
      sentAt = performance.now()
      socket.write(message, 'latin1')
    }
    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1')
      const end = pending.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = pending.slice(0, end)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (pending.length < end + 4 + length) return
      pending = ''
      answered(head.slice(9, 12), performance.now() - sentAt)
      send()
    })
  })
}
