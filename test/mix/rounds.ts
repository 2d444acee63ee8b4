/**
 * A server under load through random mixes of what may happen to it: killed, stopped, told to read its files again, sealed,
 * its keys rotated and those of transit, its shares replaced, its disk full, a backup made, several of these at once. After each mix it is brought up again,
 * and all that it ever acknowledged must be there.
 */
import { randomInt } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { disturbances } from './disturbances.ts'
import { Load } from './load.ts'
import { MixServer } from './server.ts'

const MOST_AT_ONCE = 3
const LONGEST_WAIT_MS = 120
/** Quiet times in which the load has the server for itself. */
const QUIET_MS = 60

export interface MixResult {
  acknowledged: number
  ledgerLines: number
  /** How often each thing happened. */
  counts: Record<string, number>
  rekeys: number
  backups: number
  problems: string[]
}

export interface MixOptions {
  tell?: (text: string) => void
  /** Threads that answer. */
  workers?: number
}

export async function mixRounds(
  rounds: number,
  { tell = () => undefined, workers = 1 }: MixOptions = {},
): Promise<MixResult> {
  await using server = new MixServer(workers)
  await server.initialize()
  const load = new Load(server)
  const counts = Object.fromEntries(Object.keys(disturbances).map((name) => [name, 0]))
  const problems: string[] = []
  let rekeys = 0
  load.start()
  try {
    for (let round = 1; round <= rounds && problems.length === 0; round += 1) {
      const names = mixOf(round)
      for (const name of names) counts[name]! += 1
      const before = server.shares
      await disturb(server, names)
      problems.push(...(await settle(server, names)))
      if (server.shares !== before) rekeys += 1
      problems.push(...server.problems.splice(0))
      problems.push(...(await load.check()).map((problem) => `${names.join('+')} in round ${round}: ${problem}`))
      if (round % 10 === 0 || round === rounds) tell(`${round} mixes, ${load.acknowledged} acknowledged changes`)
    }
  } finally {
    await load.stop()
  }
  problems.push(...(await load.check(true)), ...(await load.checkLeaseCount()))
  server.signal('SIGTERM')
  await server.exited()
  const { problems: broken, lines } = await verifyLedger(server.ledgerFolder)
  problems.push(...broken.map(({ segment, line, text }) => `ledger: ${segment} line ${line}: ${text}`))
  problems.push(...(await missingFrom(server.ledgerFolder, load.answered)))
  return { acknowledged: load.acknowledged, ledgerLines: lines, counts, rekeys, backups: server.backups, problems }
}

/** Each alone at first, so that a short run meets all of them; then in turn, with up to two others by chance. */
function mixOf(round: number): string[] {
  const all = Object.keys(disturbances)
  const chosen = new Set([all[round % all.length]!])
  if (round <= all.length) return [...chosen]
  const size = 1 + randomInt(MOST_AT_ONCE)
  while (chosen.size < size) chosen.add(all[randomInt(all.length)]!)
  return [...chosen]
}

async function disturb(server: MixServer, names: readonly string[]): Promise<void> {
  await sleep(QUIET_MS)
  const running = names.map(async (name) => {
    await sleep(randomInt(LONGEST_WAIT_MS))
    // One thing may take the server away from under another, as it does in life.
    await disturbances[name]!(server).catch(() => undefined)
  })
  await Promise.all(running)
}

/** Up, unsealed, with room on its disk. */
async function settle(server: MixServer, names: readonly string[]): Promise<string[]> {
  const problems: string[] = []
  if (names.includes('kill') || names.includes('term')) {
    const code = await server.exited()
    // A server whose disk is full may have to say that it could not end well.
    if (!names.includes('kill') && !names.includes('full') && code !== 0) problems.push(`SIGTERM: ended with ${code}`)
  }
  if (!server.alive) await server.start()
  server.limitFiles(false)
  const { body } = await server.send('GET', 'sys/seal-status', undefined, '')
  if (body.sealed) await server.unseal()
  return problems
}

/** Of each answer that arrived there must be a line for the request and one for the response. */
async function missingFrom(folder: string, ids: readonly string[]): Promise<string[]> {
  const requests = new Set<string>()
  const responses = new Set<string>()
  for (const name of (await readdir(folder)).filter((each) => each.endsWith('.jsonl'))) {
    for await (const line of createInterface(createReadStream(path.join(folder, name)))) {
      const { type, request } = JSON.parse(line)
      if (type === 'request') requests.add(request.id)
      if (type === 'response') responses.add(request.id)
    }
  }
  return ids
    .filter((id) => !requests.has(id) || !responses.has(id))
    .map((id) => `request ${id} was answered and is not on the ledger`)
}
