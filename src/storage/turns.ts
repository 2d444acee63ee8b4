/**
 * Turns at what many want to change at once. Optimistic transactions that keep changing one entry lose to each other
 * again and again; after its first loss each waits here for its turn, so that each round has one winner and no losers.
 * Only a courtesy: what keeps transactions correct is the check at commit.
 */

/** A change that takes longer than this does not hold up the others any more. */
const MAX_WAIT_MS = 5000

export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** @returns when it is this caller's turn at `key`; to be called when the turn is over */
  async take(key: string): Promise<() => void> {
    const before = this.#last.get(key)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last.set(key, promise)
    if (before) await atMost(before, MAX_WAIT_MS)
    return () => {
      if (this.#last.get(key) === promise) this.#last.delete(key)
      resolve()
    }
  }
}

async function atMost(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: timeout, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([promise, timeout])
  clearTimeout(timer)
}
