/** What happens to a server in its life. None of these leaves it in order: `settle` does. */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type MixServer, SHARES, THRESHOLD } from './server.ts'

const LONGEST_FULL_MS = 150

type Disturbance = (server: MixServer) => Promise<void>

export const disturbances: Record<string, Disturbance> = {
  kill: async (server) => server.signal('SIGKILL'),
  term: async (server) => server.signal('SIGTERM'),
  hup: async (server) => server.signal('SIGHUP'),
  seal: async (server) => void (await server.send('PUT', 'sys/seal')),
  rotate: async (server) => void (await server.send('PUT', 'sys/rotate')),
  rekey,
  full: async (server) => {
    server.limitFiles(true)
    await sleep(randomInt(LONGEST_FULL_MS))
    server.limitFiles(false)
  },
}

/** With verification, so that at every moment somebody holds shares that open the store. */
async function rekey(server: MixServer): Promise<void> {
  await server.send('DELETE', 'sys/rekey/init')
  const wanted = { secret_shares: SHARES, secret_threshold: THRESHOLD, require_verification: true }
  const begun = await server.send('PUT', 'sys/rekey/init', wanted)
  if (begun.status !== 200) return
  const fresh = await giveAll(server, 'sys/rekey/update', begun.body.nonce, server.shares)
  if (!fresh?.keys_base64) return
  server.pending = fresh.keys_base64 as string[]
  const done = await giveAll(server, 'sys/rekey/verify', fresh.verification_nonce, server.pending)
  if (done?.complete) {
    server.shares = server.pending
    server.pending = undefined
  }
}

/** @returns the answer that was complete */
async function giveAll(server: MixServer, where: string, nonce: string, shares: readonly string[]): Promise<any> {
  for (const key of shares.slice(0, THRESHOLD)) {
    const { status, body } = await server.send('PUT', where, { nonce, key })
    if (status !== 200 || body.complete) return status === 200 ? body : undefined
  }
  return undefined
}
