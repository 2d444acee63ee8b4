/** What has to be looked at now and then: keys that near their bound, entries that have expired. One round a minute. */
import type { Mounts } from '#core/mounts/mounts.ts'

const ROUND_MS = 60_000

export interface Chore {
  name: string
  run: () => Promise<unknown>
}

export class Housekeeping {
  readonly #chores: readonly Chore[]
  readonly #log: (text: string) => void
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined

  constructor(chores: readonly Chore[], log: (text: string) => void) {
    this.#chores = chores
    this.#log = log
  }

  start(): void {
    this.#timer = setInterval(() => {
      // A round that takes longer than its time is not overtaken by the next.
      this.#round ??= this.round().finally(() => (this.#round = undefined))
    }, ROUND_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
  }

  /** All chores once. One that fails is told and tried again in the next round. */
  async round(): Promise<void> {
    for (const { name, run } of this.#chores) {
      try {
        await run()
      } catch (error) {
        this.#log(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
}

/** Engines remove what has expired in their mounts. */
export async function tidyMounts(mounts: Mounts): Promise<void> {
  for (const kind of ['secret', 'auth'] as const) {
    for (const { engine, mount, entry } of await mounts.all(kind)) {
      if (!entry.tainted) await engine.tidy?.(mount)
    }
  }
}
