/**
 * The clock of the expiry worker: one timer that wakes when the next lease is due. Rounds follow each other by a second
 * at least, so that many short leases cannot keep it busy, and by five at most, since other threads and nodes make
 * leases too.
 */
import type { Clock } from '#sdk/engine.ts'

export const MIN_PAUSE_MS = 1000
export const MAX_PAUSE_MS = 5000

export class Worker {
  readonly #clock: Clock
  readonly #round: () => Promise<number | undefined>
  #timer: NodeJS.Timeout | undefined
  #wakesAtMs = Infinity
  #lastRoundMs = 0
  #running: Promise<void> | undefined
  #stopped = true
  /** Of the last round. */
  trouble: string | undefined

  /** @param round  does all that is due and tells when the next is; undefined: nothing is waiting */
  constructor(clock: Clock, round: () => Promise<number | undefined>) {
    this.#clock = clock
    this.#round = round
  }

  run(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.wakeAt(0)
  }

  /** Resolves when the round under way, if any, is over. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#wakesAtMs = Infinity
    await this.#running
  }

  /** Something will be due then; does nothing if the next round is earlier anyway. */
  wakeAt(dueAtMs: number): void {
    if (this.#stopped || this.#running) return
    const nowMs = this.#clock.now().getTime()
    const earliestMs = this.#lastRoundMs === 0 ? nowMs : this.#lastRoundMs + MIN_PAUSE_MS
    const atMs = Math.max(earliestMs, Math.min(dueAtMs, nowMs + MAX_PAUSE_MS))
    if (atMs >= this.#wakesAtMs) return
    clearTimeout(this.#timer)
    this.#wakesAtMs = atMs
    this.#timer = setTimeout(() => this.#begin(), Math.min(Math.max(0, atMs - nowMs), MAX_PAUSE_MS))
    this.#timer.unref()
  }

  #begin(): void {
    this.#wakesAtMs = Infinity
    this.#lastRoundMs = this.#clock.now().getTime()
    this.#running = this.#once().then((nextMs) => {
      this.#running = undefined
      this.wakeAt(nextMs)
    })
  }

  async #once(): Promise<number> {
    try {
      const nextMs = (await this.#round()) ?? Infinity
      this.trouble = undefined
      return nextMs
    } catch (error) {
      // Told to those who watch; the next round tries again.
      this.trouble = `the expiry of leases failed: ${error instanceof Error ? error.message : 'unknown'}`
      return Infinity
    }
  }
}
