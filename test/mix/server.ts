/** A server as operators run it, in a process of its own, that may die at any moment and be started again on its data. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '#test/port.ts'
import { type Answer, sendTo } from '#test/server.ts'

export const launcher = path.resolve(import.meta.dirname, '../../bin/strongroom')
const PATIENCE_MS = 60_000
const PAUSE_MS = 20
/** No file may grow at all: every write to a file fails, as on a full disk. */
const FULL_BYTES = 512

/** Counted, and never refused. */
const MANY_LEASES = 1_000_000

export const SHARES = 3
export const THRESHOLD = 2

export class MixServer {
  /** Those that came to their end. */
  backups = 0
  /** What something that happened found wrong. */
  readonly problems: string[] = []
  readonly folder = mkdtempSync(path.join(tmpdir(), 'strongroom-mix-'))
  port = 0
  token = ''
  /** Those that opened the barrier last. */
  shares: string[] = []
  /** Those of a rekey that was not seen to end: from one moment on they are the ones. */
  pending: string[] | undefined
  readonly #workers: number
  #child: ChildProcess | undefined
  #said = ''

  constructor(workers = 1) {
    this.#workers = workers
  }

  get ledgerFolder(): string {
    return path.join(this.folder, 'data/ledger')
  }

  get alive(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  async initialize(): Promise<void> {
    this.port = await freePort()
    writeFileSync(
      path.join(this.folder, 'server.hcl'),
      `workers = ${this.#workers}
storage "sqlite" { path = "${this.folder}/data" }
listener "tcp" {
  address = "127.0.0.1:${this.port}"
  tls_disable = true
}
`,
    )
    await this.start()
    const { body } = await this.send('PUT', 'sys/init', { secret_shares: SHARES, secret_threshold: THRESHOLD })
    this.token = body.root_token
    this.shares = body.keys_base64
    await this.unseal()
    await this.must('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } })
    await this.must('POST', 'sys/mounts/transit', { type: 'transit' })
    await this.must('POST', 'transit/keys/mix', {})
    await this.must('POST', 'sys/quotas/lease-count/mix', { path: 'auth/token', max_leases: MANY_LEASES })
  }

  send(method: string, where: string, body?: unknown, token = this.token): Promise<Answer> {
    return sendTo(this.port, method, where, body, token === '' ? {} : { 'x-vault-token': token })
  }

  async must(method: string, where: string, body?: unknown): Promise<Answer> {
    const answer = await this.send(method, where, body)
    if (answer.status >= 300) throw new Error(`${method} ${where}: ${answer.status} ${answer.text}`)
    return answer
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** As if the disk were full, or had room again. */
  limitFiles(full: boolean): void {
    if (!this.alive) return
    const limit = full ? `${FULL_BYTES}:` : 'unlimited:'
    try {
      execFileSync('prlimit', [`--pid=${this.#child!.pid}`, `--fsize=${limit}`], { stdio: 'ignore' })
    } catch (error) {
      // It may have died in between, which others look after.
      if (this.alive) throw error
    }
  }

  async exited(): Promise<number | null> {
    const child = this.#child!
    if (this.alive) {
      const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
        throw new Error(`the server does not end:\n${this.#said}`)
      })
      await Promise.race([once(child, 'exit'), late])
    }
    return child.exitCode
  }

  async start(): Promise<void> {
    const child = spawn(launcher, ['server', `-config=${this.folder}/server.hcl`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-10_000)))
    }
    await this.#until(
      'an answer',
      async () => (await this.send('GET', 'sys/seal-status', undefined, '')).status === 200,
    )
  }

  /** With the shares known, or with those of a rekey of which nobody knows whether it came to its end. */
  async unseal(): Promise<void> {
    for (const shares of [this.shares, this.pending]) {
      if (shares === undefined || !(await this.#opens(shares))) continue
      this.shares = shares
      this.pending = undefined
      return
    }
    throw new Error(`no shares open this store any more:\n${this.#said}`)
  }

  async #opens(shares: readonly string[]): Promise<boolean> {
    await this.send('PUT', 'sys/unseal', { reset: true }, '')
    for (const key of shares.slice(0, THRESHOLD)) {
      const { status, body } = await this.send('PUT', 'sys/unseal', { key }, '')
      if (status === 200 && !body.sealed) return true
      if (status !== 200) return false
    }
    return false
  }

  async #until(what: string, ask: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + PATIENCE_MS
    for (;;) {
      const done = await ask().catch(() => false)
      if (done) return
      if (!this.alive) throw new Error(`the server ended:\n${this.#said}`)
      if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms for ${what}:\n${this.#said}`)
      await sleep(PAUSE_MS)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.alive) {
      this.signal('SIGKILL')
      await this.exited()
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}
