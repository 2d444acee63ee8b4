/** What happens to a server in its life. None of these leaves it in order: `settle` does. */
import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { launcher, type MixServer, SHARES, THRESHOLD } from './server.ts'

const LONGEST_FULL_MS = 150

type Disturbance = (server: MixServer) => Promise<void>

export const disturbances: Record<string, Disturbance> = {
  kill: async (server) => server.signal('SIGKILL'),
  term: async (server) => server.signal('SIGTERM'),
  hup: async (server) => server.signal('SIGHUP'),
  seal: async (server) => void (await server.send('PUT', 'sys/seal')),
  rotate: async (server) => void (await server.send('PUT', 'sys/rotate')),
  rotateTransit: async (server) => void (await server.send('POST', 'transit/keys/mix/rotate')),
  backup,
  rekey,
  full: async (server) => {
    server.limitFiles(true)
    await sleep(randomInt(LONGEST_FULL_MS))
    server.limitFiles(false)
  },
}

/** It need not come to its end, but if it does it is whole. */
async function backup(server: MixServer): Promise<void> {
  const to = path.join(server.folder, `backup-${randomUUID()}`)
  if ((await operator('backup', `-config=${server.folder}/server.hcl`, `-to=${to}`)).code !== 0) return
  const { code, said } = await operator('restore', '-check', `-from=${to}`)
  if (code !== 0) server.problems.push(`a backup that was made is not whole: ${said}`)
  else server.backups += 1
  await rm(to, { recursive: true, force: true })
}

async function operator(...words: string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn(launcher, ['operator', ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said }
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
