/**
 * How often each client of one rate rule came lately. Pure but for its own memory, which is bounded: `now` is passed in.
 *
 * A client's first request opens its window; a window that is over opens again with the next request. So in any interval a
 * client gets at most twice the rate, as in the Vault API.
 */
import type { RateRule } from './rules.ts'

/** Windows of one rule, a hundred bytes each. */
export const MAX_CLIENTS = 50_000
/** Windows looked at for room when a new client comes. */
const SWEEP = 4
/** No client has this name: all those together that found no room of their own. */
const CROWD = '\0crowd'

interface Window {
  endsAtMs: number
  left: number
  blockedUntilMs: number
}

export interface Taken {
  allowed: boolean
  limit: number
  left: number
  /** Until the window is over, in milliseconds. */
  resetMs: number
  /** Until another attempt makes sense; 0 when this one was allowed. */
  retryMs: number
}

export class Limiter {
  readonly #rule: RateRule
  readonly #maxClients: number
  /** In the order in which windows are looked at for room. */
  readonly #windows = new Map<string, Window>()

  constructor(rule: RateRule, maxClients = MAX_CLIENTS) {
    this.#rule = rule
    this.#maxClients = maxClients
  }

  get clients(): number {
    return this.#windows.size
  }

  /**
   * @param client  whose window
   * @param secondary  whether the secondary rate counts
   */
  take(client: string, nowMs: number, secondary = false): Taken {
    const { rate, secondary_rate, block_seconds } = this.#rule
    const limit = wholeRate(secondary ? secondary_rate : rate)
    const window = this.#windowOf(client, nowMs, limit)
    const resetMs = window.endsAtMs - nowMs
    if (window.blockedUntilMs > nowMs) {
      return { allowed: false, limit, left: 0, resetMs, retryMs: window.blockedUntilMs - nowMs }
    }
    if (window.left > 0) {
      window.left -= 1
      return { allowed: true, limit, left: window.left, resetMs, retryMs: 0 }
    }
    if (block_seconds > 0) window.blockedUntilMs = nowMs + block_seconds * 1000
    return { allowed: false, limit, left: 0, resetMs, retryMs: block_seconds > 0 ? block_seconds * 1000 : resetMs }
  }

  #windowOf(client: string, nowMs: number, limit: number): Window {
    const known = this.#windows.get(client)
    if (known && known.blockedUntilMs > nowMs) return known
    if (known && known.endsAtMs > nowMs) return known
    if (known) this.#windows.delete(client)
    else this.#sweep(nowMs)
    const endsAtMs = nowMs + this.#rule.interval_seconds * 1000
    // Whoever changes addresses faster than windows end gets no more for it: newcomers then share one window.
    const name = known || this.#windows.size < this.#maxClients ? client : CROWD
    if (name !== client) return this.#windowOfCrowd(nowMs, endsAtMs, limit)
    const fresh = { endsAtMs, left: limit, blockedUntilMs: 0 }
    this.#windows.set(client, fresh)
    return fresh
  }

  #windowOfCrowd(nowMs: number, endsAtMs: number, limit: number): Window {
    const known = this.#windows.get(CROWD)
    if (known && Math.max(known.endsAtMs, known.blockedUntilMs) > nowMs) return known
    this.#windows.delete(CROWD)
    const fresh = { endsAtMs, left: limit, blockedUntilMs: 0 }
    this.#windows.set(CROWD, fresh)
    return fresh
  }

  /**
   * Windows that are over make room. Nobody loses one that still counts: it goes to the end, so that in their turn all are
   * looked at, however long those at the front are blocked.
   */
  #sweep(nowMs: number): void {
    for (const [client, window] of this.#windows.entries().take(SWEEP)) {
      this.#windows.delete(client)
      if (Math.max(window.endsAtMs, window.blockedUntilMs) > nowMs) this.#windows.set(client, window)
    }
  }
}

/** Requests in an interval: the rate in whole requests, and at least one. */
function wholeRate(rate: number): number {
  return Math.max(1, Math.round(rate))
}
