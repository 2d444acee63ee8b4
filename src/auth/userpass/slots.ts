/**
 * How many passwords are hashed at once, and how many wait. Hashing is slow and takes memory on purpose: without a bound,
 * log-ins that anybody can send would take the thread pool from the ledger's writes, and the memory from everybody.
 */
import { ApiError } from '#sdk/errors.ts'

export class Slots {
  readonly #atOnce: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(limits: { atOnce: number; maxWaiting: number }) {
    this.#atOnce = limits.atOnce
    this.#maxWaiting = limits.maxWaiting
  }

  /** @throws ApiError `too_many_requests` when too many wait already; what `work` throws passes through */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy < this.#atOnce) this.#busy += 1
    else await this.#turn()
    try {
      return await work()
    } finally {
      // Handed on rather than given back: nobody who comes now gets ahead of those who wait.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#busy -= 1
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      throw new ApiError('too_many_requests', 'too many log-ins are going on; try again')
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
