/** How much may go on at once: a bound on memory, before a look-up costs anything. */
import { ApiError } from '#sdk/errors.ts'
import type { Routed } from './route.ts'

declare const mark: unique symbol
export interface Admitted extends Routed {
  readonly [mark]: true
}

/** Far above what one worker answers at once; only a client that piles up requests without end gets here. */
const MAX_IN_FLIGHT = 10_000

export class InFlight {
  #count = 0
  #idle: (() => void)[] = []

  /** Resolves when nothing is going on any more, or after `timeoutMs`. */
  drained(timeoutMs: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#idle.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  async during<T>(routed: Routed, go: (admitted: Admitted) => Promise<T>): Promise<T> {
    if (this.#count >= MAX_IN_FLIGHT)
      throw new ApiError('too_many_requests', 'too many requests are going on; try again')
    this.#count += 1
    try {
      return await go(routed as Admitted)
    } finally {
      this.#count -= 1
      if (this.#count === 0) for (const tell of this.#idle.splice(0)) tell()
    }
  }
}
