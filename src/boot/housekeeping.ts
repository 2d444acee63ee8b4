/** What has to be looked at now and then: keys that near their bound, entries that have expired. */
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'
import { explain } from './auto-unseal.ts'

const ROUND_MS = 60_000
const FLUSH_MS = 10_000

export interface Chore {
  name: string
  run: () => Promise<unknown>
  /** Also right after the start, and not only when the first minute is over. */
  atOnce?: true
}

export class Housekeeping {
  readonly #chores: readonly Chore[]
  readonly #log: (text: string) => void
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined

  constructor(chores: readonly Chore[], log: (text: string) => void, everyMs = ROUND_MS) {
    this.#chores = chores
    this.#log = log
    this.#everyMs = everyMs
  }

  start(): void {
    this.#timer = setInterval(() => this.#begin(this.#chores), this.#everyMs).unref()
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

/** @throws Error that names the mounts that failed */
export async function tidyMounts(mounts: Mounts): Promise<void> {
  await visitMounts(mounts, async ({ engine, mount }) => await engine.tidy?.(mount))
}

/** In each process: what engines keep in memory goes to the store. */
export function startFlushing(mounts: Mounts, log: (text: string) => void): Housekeeping {
  const run = () => visitMounts(mounts, async ({ engine, mount }) => await engine.flush?.(mount))
  const flushing = new Housekeeping([{ name: 'writing down what is counted', run }], log, FLUSH_MS)
  flushing.start()
  return flushing
}

/** A mount that fails does not keep the others. */
async function visitMounts(mounts: Mounts, visit: (mounted: Mounted) => Promise<void>): Promise<void> {
  const failures: string[] = []
  for (const kind of ['secret', 'auth'] as const) {
    for (const mounted of await mounts.all(kind)) {
      if (mounted.entry.tainted) continue
      try {
        await visit(mounted)
      } catch (error) {
        failures.push(`${mounted.route}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  if (failures.length > 0) throw new Error(failures.join('; '))
}
