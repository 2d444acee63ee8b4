/** Shares that come one by one until there are enough. Lives in memory only: a restart begins anew. */
import { randomUUID, timingSafeEqual } from 'node:crypto'

export class Gathering {
  /** Names this gathering, so that nobody's share is taken for something else than he meant. */
  readonly nonce = randomUUID()
  readonly #shares: Uint8Array[] = []

  get count(): number {
    return this.#shares.length
  }

  get shares(): readonly Uint8Array[] {
    return this.#shares
  }

  /** Keeps a copy. @returns false for one that was given before */
  add(share: Uint8Array): boolean {
    const known = this.#shares.some((each) => each.length === share.length && timingSafeEqual(each, share))
    if (known) return false
    this.#shares.push(Uint8Array.from(share))
    return true
  }

  /** Wipe what was given, and start over under the same nonce. */
  clear(): void {
    for (const share of this.#shares) share.fill(0)
    this.#shares.length = 0
  }
}
