/** What has to be looked at now and then: keys that near their bound, entries that have expired. One round a minute. */
import type { Mounts } from '#core/mounts/mounts.ts'
import { explain } from './auto-unseal.ts'

const ROUND_MS = 60_000

export interface Chore {
  name: string
  run: () => Promise<unknown>
  /** Also right after the start, and not only when the first minute is over. */
  atOnce?: true
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
    this.#timer = setInterval(() => this.#begin(this.#chores), ROUND_MS).unref()
    this.#begin(this.#chores.filter(({ atOnce }) => atOnce))
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#round
  }

  /** A round that takes longer than its time is not overtaken by the next. */
  #begin(chores: readonly Chore[]): void {
    this.#round ??= this.round(chores).finally(() => (this.#round = undefined))
  }

  /** Each once. One that fails is told and tried again in the next round. */
  async round(chores = this.#chores): Promise<void> {
    for (const { name, run } of chores) {
      try {
        await run()
      } catch (error) {
        this.#log(`${name}: ${explain(error)}`)
      }
    }
  }
}

/**
 * Engines remove what has expired in their mounts. One that fails does not keep the others.
 *
 * @throws Error that names the mounts that failed
 */
export async function tidyMounts(mounts: Mounts): Promise<void> {
  const failures: string[] = []
  for (const kind of ['secret', 'auth'] as const) {
    for (const { engine, mount, entry, route } of await mounts.all(kind)) {
      if (entry.tainted) continue
      try {
        await engine.tidy?.(mount)
      } catch (error) {
        failures.push(`${route}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  if (failures.length > 0) throw new Error(failures.join('; '))
}
