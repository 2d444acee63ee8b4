/**
 * Leases that are being made: they hold a place of their rule before there is anything to count. Whoever finds the last
 * places held by others waits for them: they may fail, and then there is room.
 */
import type { Count } from './census.ts'

/** How long somebody waits for those before them. */
export const MAX_WAIT_MS = 5000

interface Lane {
  held: number
  waiting: (() => void)[]
}

export class Slots {
  /** By the name of the rule; only those with somebody in it. */
  readonly #lanes = new Map<string, Lane>()
  readonly #maxWaitMs: number

  constructor(maxWaitMs = MAX_WAIT_MS) {
    this.#maxWaitMs = maxWaitMs
  }

  /**
   * @param read  the count as it is now
   * @returns what gives the place back, once the lease is made and counted, or given up; undefined: there was none
   */
  async take(name: string, read: () => Promise<Count | undefined>): Promise<(() => void) | undefined> {
    const endMs = performance.now() + this.#maxWaitMs
    for (;;) {
      const count = await read()
      if (!count) return () => {}
      if (count.leases >= count.max) return undefined
      const lane = this.#lane(name)
      // Counted and still held for a moment, a lease may be seen twice here: that only makes others wait for that moment.
      if (count.leases + lane.held < count.max) return this.#hold(name, lane)
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) return undefined
      await nextOf(lane, leftMs)
    }
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (!lane) this.#lanes.set(name, (lane = { held: 0, waiting: [] }))
    return lane
  }

  #hold(name: string, lane: Lane): () => void {
    lane.held += 1
    let open = true
    return () => {
      if (!open) return
      open = false
      lane.held -= 1
      for (const go of lane.waiting.splice(0)) go()
      if (lane.held === 0) this.#lanes.delete(name)
    }
  }
}

async function nextOf(lane: Lane, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  lane.waiting.push(resolve)
  await promise
  clearTimeout(timer)
}
