/**
 * A process of its own that writes to a ledger: one that can be killed, and whose files can be limited.
 *
 *     writer.ts <folder> <segmentBytes> commands    obeys `<count> <filler>` lines on standard input
 *     writer.ts <folder> <segmentBytes> flood       writes without end and prints the number of each acknowledged line
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Ledger } from '#audit/ledger/ledger.ts'
import { ApiError } from '#sdk/errors.ts'

const NODE = process.execPath
const CONCURRENT = 32

export interface Written {
  kept: number
  /** The reasons, each once. */
  failures: string[]
  trouble: string | undefined
}

export function spawnWriter(folder: string, segmentBytes: number, mode: 'commands' | 'flood'): ChildProcess {
  return spawn(NODE, [import.meta.filename, folder, String(segmentBytes), mode], { stdio: ['pipe', 'pipe', 'inherit'] })
}

export async function startWriter(folder: string, { segmentBytes = 1_000_000 } = {}) {
  const child = spawnWriter(folder, segmentBytes, 'commands')
  const answers = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const answer = async () => {
    const { value } = await answers.next()
    if (value === undefined) throw new Error('the writer is gone')
    return JSON.parse(value)
  }
  await answer()
  return {
    async write(count: number, filler: number): Promise<Written> {
      child.stdin!.write(`${count} ${filler}\n`)
      return { trouble: undefined, ...(await answer()) }
    },
    /** The system lets no file of the process grow beyond; undefined for no limit. */
    limitFiles(bytes: number | undefined): void {
      execFileSync('prlimit', ['--pid', String(child.pid), `--fsize=${bytes ?? 'unlimited'}:unlimited`])
    },
    async [Symbol.asyncDispose](): Promise<void> {
      child.stdin!.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}

async function obey(ledger: Ledger): Promise<void> {
  console.log('{}')
  for await (const command of createInterface(process.stdin)) {
    const [count, filler] = command.split(' ').map(Number)
    const line = JSON.stringify({ filler: 'x'.repeat(filler!) })
    const results = await Promise.allSettled(Array.from({ length: count! }, () => ledger.write(line)))
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as ApiError).reason] : []))
    const kept = results.length - reasons.length
    console.log(JSON.stringify({ kept, failures: [...new Set(reasons)], trouble: ledger.trouble() }))
  }
}

async function flood(ledger: Ledger): Promise<void> {
  let next = 0
  const client = async () => {
    for (;;) {
      const name = `${process.pid}-${next++}`
      await ledger.write(JSON.stringify({ name, filler: 'x'.repeat(next % 1_500) }))
      // To a pipe this is written at once: what is printed was acknowledged before any signal that comes later.
      process.stdout.write(`${name}\n`)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT }, client))
}

if (import.meta.main) {
  const [folder, segmentBytes, mode] = process.argv.slice(2)
  const ledger = await Ledger.open({ folder: folder!, segmentBytes: Number(segmentBytes) })
  await (mode === 'flood' ? flood(ledger) : obey(ledger))
  await ledger.close()
}
