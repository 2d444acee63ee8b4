/**
 * Unsealing without people, tried until it works: whoever has the key may be down when this server starts, and be there a
 * minute later. One attempt at a time, with pauses that grow.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '#sdk/errors.ts'

export interface UnsealTask {
  attempt(): Promise<void>
  /** There is nothing left to do: somebody gave recovery shares meanwhile. */
  isOpen(): boolean
  log(text: string): void
}

const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000
/** Servers that were cut off from the same service at the same moment should not come back at the same moment. */
const SPREAD = 0.2
/** How long a start waits for the first attempt; after that the server listens, sealed, and it goes on beside. */
const FIRST_WAIT_MS = 5000

export class AutoUnsealing {
  readonly #task: UnsealTask
  readonly #stop = new AbortController()
  #work: Promise<void> | undefined
  #failing = false

  constructor(task: UnsealTask) {
    this.#task = task
  }

  /** @throws ApiError of the first attempt if trying again cannot help */
  async start(): Promise<void> {
    const ended = new AbortController()
    let isLate = false
    const first = this.#try().finally(() => ended.abort())
    const wait = sleep(FIRST_WAIT_MS, undefined, { signal: ended.signal }).then(
      () => (isLate = true),
      () => undefined,
    )
    this.#work = first.then(
      async (done) => (done ? undefined : await this.#goOn()),
      (error: unknown) => (isLate ? this.#giveUp(error) : undefined),
    )
    await Promise.race([first, wait])
  }

  /** For anybody who asks for the server's health, so without what the log has to say. */
  trouble(): string | undefined {
    return this.#failing && !this.#task.isOpen() ? 'auto-unseal fails: see the server log' : undefined
  }

  /** Somebody sealed the server: then it stays so until people open it, or it is started again. */
  cancel(): void {
    this.#stop.abort()
  }

  async close(): Promise<void> {
    this.cancel()
    await this.#work
  }

  async #goOn(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !this.#over(); pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        await sleep(pauseMs * (1 + SPREAD * Math.random()), undefined, { signal: this.#stop.signal })
        if (this.#over() || (await this.#try())) return
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#giveUp(error)
        return
      }
    }
  }

  #giveUp(error: unknown): void {
    this.#failing = true
    this.#task.log(`auto-unseal is given up: ${explain(error)}`)
  }

  /** @returns whether it worked; a failure that may pass is told in the log and is no error */
  async #try(): Promise<boolean> {
    try {
      await this.#task.attempt()
      this.#failing = false
      return true
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'upstream_failed') throw error
      this.#failing = true
      this.#task.log(`auto-unseal fails and is tried again: ${explain(error)}`)
      return false
    }
  }

  #over(): boolean {
    return this.#stop.signal.aborted || this.#task.isOpen()
  }
}

/** For the log, which may name what an answer may not. */
export function explain(error: unknown): string {
  if (error instanceof ApiError && error.reason !== undefined) return `${error.message}: ${error.reason}`
  return error instanceof Error ? error.message : String(error)
}
