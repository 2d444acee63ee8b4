/** The program as people run it: bin/strongroom as a process of its own, its output kept, never left running. For tests only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '#test/port.ts'

export const launcher = path.resolve(import.meta.dirname, '../../bin/strongroom')

/** Slow machines need seconds to start a process; a test that waits longer than this has failed. */
const PATIENCE_MS = 60_000

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

export class Program {
  readonly #child: ChildProcess
  readonly #ended: Promise<Ended>
  /** For the program's own temporary files: a program that is killed cannot remove them. */
  readonly #temporary = mkdtempSync(path.join(tmpdir(), 'strongroom-test-'))
  #output = ''
  #over: Ended | undefined

  constructor(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
    this.#child = spawn(launcher, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), TMPDIR: this.#temporary, ...options.env },
      ...(options.cwd !== undefined && { cwd: options.cwd }),
    })
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    }
    // Not before all that it said has arrived.
    this.#ended = once(this.#child, 'close').then(([code, signal]) => (this.#over = { code, signal }))
  }

  /** Standard output and standard error in the order in which they arrived. */
  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#child.pid!
  }

  get running(): boolean {
    return this.#over === undefined
  }

  /** Resolves with the match when the output has it; rejects when the program ends before. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`${pattern} in the output`, async () => {
      const match = pattern.exec(this.#output)
      if (!match && this.#over) throw new Error(`ended before it said ${pattern}:\n${this.#output}`)
      return match ?? undefined
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async ended(): Promise<Ended> {
    const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
      throw new Error(`still running:\n${this.#output}`)
    })
    return Promise.race([this.#ended, late])
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
    await rm(this.#temporary, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose]() {
    await this.kill()
  }
}

/** The environment without what would tell clients and servers of another server. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VAULT|BAO|STRONGROOM)_/.test(name)))
}

/** Asks again and again until there is an answer other than undefined. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, patienceMs = PATIENCE_MS): Promise<T> {
  const end = Date.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`)
    await sleep(20)
  }
}

/** A new folder below the system's one for temporary files; removed at the end of the block that has it. */
export async function temporaryFolder() {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-test-'))
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

/** `server -dev` on a free port, answering. */
export async function startDev(more: readonly string[] = []) {
  const port = await freePort()
  const program = new Program([
    'server',
    '-dev',
    '-dev-no-store-token',
    '-dev-root-token-id=root',
    `-dev-listen-address=127.0.0.1:${port}`,
    ...more,
  ])
  try {
    const [, unsealKey] = await program.said(/^Unseal Key: (\S+)$/m)
    await program.said(/^Root Token: (\S+)$/m)
    return {
      program,
      port,
      address: `http://127.0.0.1:${port}`,
      root: 'root',
      unsealKey: unsealKey!,
      [Symbol.asyncDispose]: () => program.kill(),
    }
  } catch (error) {
    await program.kill()
    throw error
  }
}

/** `start` with the embedded store in `folder`, answering. */
export async function startKept(folder: string) {
  const port = await freePort()
  const workers = process.env['STRONGROOM_TEST_WORKERS'] ?? '1'
  const program = new Program(['start', `-data=${folder}`, `-address=127.0.0.1:${port}`, `-workers=${workers}`])
  try {
    await program.said(/For production/)
    return { program, port, address: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => program.kill() }
  } catch (error) {
    await program.kill()
    throw error
  }
}
