/** Kills a writer in the middle, many times on one folder, and looks for every line that was acknowledged. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Ledger } from '#audit/ledger/ledger.ts'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { spawnWriter } from './writer.ts'

/** Small, so that some die while a segment is begun. */
const SEGMENT_BYTES = 300_000

export interface KillResult {
  acknowledged: number
  /** Rounds in which an unfinished end had to be cut off. */
  torn: number
  segments: number
  problems: string[]
}

export async function killRounds(folder: string, rounds: number): Promise<KillResult> {
  const acknowledged = new Set<string>()
  const problems: string[] = []
  let torn = 0
  for (let round = 0; round < rounds && problems.length === 0; round++) {
    const child = spawnWriter('flood', folder, SEGMENT_BYTES)
    let output = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text))
    const closed = once(child, 'close')
    await Promise.race([once(child.stdout!, 'data'), closed])
    await delay(randomInt(1, 120))
    child.kill('SIGKILL')
    await closed
    // A name at the end without its line break was not printed whole.
    for (const name of output.split('\n').slice(0, -1)) acknowledged.add(name)
    const ledger = await Ledger.open({ folder, segmentBytes: SEGMENT_BYTES })
    if (ledger.cutBytes > 0) torn++
    await ledger.close()
    const verdict = await verifyLedger(folder)
    problems.push(
      ...verdict.problems.map(({ segment, line, text }) => `round ${round}: ${segment} line ${line} ${text}`),
    )
  }
  const held = await namesIn(folder)
  for (const name of acknowledged) if (!held.has(name)) problems.push(`${name} was acknowledged and is gone`)
  return { acknowledged: acknowledged.size, torn, segments: (await readdir(folder)).length, problems }
}

async function namesIn(folder: string): Promise<Set<string>> {
  const names = new Set<string>()
  for (const segment of await readdir(folder)) {
    const text = await readFile(path.join(folder, segment), 'utf8')
    for (const [, name] of text.matchAll(/^\{"name":"([^"]+)"/gm)) names.add(name!)
  }
  return names
}
