/**
 * A process of its own that writes to an audit device: one that can be killed, and whose files can be limited.
 *
 *     writer.ts ledger|file <path> [segmentBytes]   obeys `<count> <filler>` lines on standard input
 *     writer.ts flood <path> [segmentBytes]         writes to a ledger without end, and prints what was acknowledged
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { kind } from '#audit/file/device.ts'
import { Ledger } from '#audit/ledger/ledger.ts'
import type { AuditDevice } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'

const CONCURRENT = 32

export interface Written {
  /** Of each line, whether it was acknowledged. */
  kept: boolean[]
  /** The reasons, each once. */
  failures: string[]
  trouble: string | undefined
}

export function spawnWriter(what: 'ledger' | 'file' | 'flood', path: string, segmentBytes = 1_000_000): ChildProcess {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const options = [import.meta.filename, what, path, String(segmentBytes)]
  return spawn(process.execPath, options, { env, stdio: ['pipe', 'pipe', 'inherit'] })
}

export async function startWriter(what: 'ledger' | 'file', path: string, segmentBytes?: number) {
  const child = spawnWriter(what, path, segmentBytes)
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
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

async function obey(device: AuditDevice): Promise<void> {
  console.log('{}')
  for await (const command of createInterface(process.stdin)) {
    const [count, filler] = command.split(' ').map(Number)
    const line = JSON.stringify({ filler: 'x'.repeat(filler!) })
    const results = await Promise.allSettled(Array.from({ length: count! }, () => device.write(line)))
    const kept = results.map(({ status }) => status === 'fulfilled')
    const failures = results.flatMap((result) => {
      if (result.status === 'fulfilled') return []
      return [result.reason instanceof ApiError ? result.reason.reason : String(result.reason)]
    })
    console.log(JSON.stringify({ kept, failures: [...new Set(failures)], trouble: device.trouble() }))
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
  const [what, path, segmentBytes] = process.argv.slice(2)
  if (what === 'file') await obey(await kind.open({ file_path: path! }))
  else {
    const ledger = await Ledger.open({ folder: path!, segmentBytes: Number(segmentBytes) })
    await (what === 'flood' ? flood(ledger) : obey(ledger))
  }
}
