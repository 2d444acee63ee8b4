/** A way to the database that can be blocked, and can lose single messages. For tests only. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Way {
  port: number
  /** Nothing passes and nothing is closed, as when packets get lost. */
  block(): void
  unblock(): void
  /**
   * The next question that has this is lost and its connection with it: before it arrives, or when the database has
   * answered.
   */
  loseNext(pattern: RegExp, what: 'question' | 'answer'): void
  /** From now on questions say something else, of the same length. */
  rewrite(from: string, to: string): void
  /** How many were. */
  readonly lost: number
  close(): void
}

export async function startWay(port: number): Promise<Way> {
  const sockets = new Set<Socket>()
  let blocked = false
  let losing: { pattern: RegExp; what: 'question' | 'answer' } | undefined
  let lost = 0
  let rewriting: { from: string; to: string } | undefined
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    let deaf = false
    for (const socket of [near, far]) {
      const other = socket === near ? far : near
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
    near.on('data', (chunk) => {
      if (blocked) return
      if (losing?.pattern.test(chunk.toString('latin1'))) {
        lost += 1
        deaf = losing.what === 'answer'
        losing = undefined
        if (!deaf) return void near.destroy()
      }
      const { from, to } = rewriting ?? { from: '', to: '' }
      far.write(rewriting ? Buffer.from(chunk.toString('latin1').replaceAll(from, to), 'latin1') : chunk)
    })
    far.on('data', (chunk) => {
      if (deaf) near.destroy()
      else if (!blocked) near.write(chunk)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    block: () => (blocked = true),
    unblock() {
      blocked = false
      // What was cut in the middle cannot go on.
      for (const socket of sockets) socket.destroy()
    },
    loseNext: (pattern, what) => (losing = { pattern, what }),
    rewrite: (from, to) => (rewriting = { from, to }),
    get lost() {
      return lost
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
