/** Keeps the token for the other server alive: each renewal comes when two thirds of what the last one gave are over. */
import type { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import type { Peer } from './peer.ts'

const PART = 2 / 3
/** However short a token lives, it is not renewed more often; however long, it is looked at once a day. */
const MIN_PAUSE_MS = 1000
const MAX_PAUSE_MS = 24 * 3_600_000
/** After a failure: soon enough for a token of some minutes, seldom enough for a server that is down for hours. */
const RETRY_MS = 15_000

export class Renewal {
  readonly #peer: Peer
  #timer: NodeJS.Timeout | undefined
  #state: 'idle' | 'running' | 'over' = 'idle'
  #trouble: ApiError | undefined

  constructor(peer: Peer) {
    this.#peer = peer
  }

  /** From the first call that the token was good for. */
  start(): void {
    if (this.#state !== 'idle') return
    this.#state = 'running'
    this.#in(0)
  }

  /** The last renewal failed. */
  trouble(): ApiError | undefined {
    return this.#trouble
  }

  stop(): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
  }

  #in(pauseMs: number): void {
    if (this.#state !== 'running') return
    this.#timer = setTimeout(() => void this.#renew(), pauseMs).unref()
  }

  async #renew(): Promise<void> {
    try {
      const { auth } = await this.#peer.post('auth/token/renew-self', {})
      this.#trouble = undefined
      const seconds = isObject(auth) && auth['renewable'] === true ? Number(auth['lease_duration']) : 0
      // A token that never expires, or that cannot be renewed any more: then there is nothing to do here.
      if (!(seconds > 0)) return this.stop()
      this.#in(Math.min(Math.max(seconds * 1000 * PART, MIN_PAUSE_MS), MAX_PAUSE_MS))
    } catch (error) {
      this.#trouble = error as ApiError
      this.#in(RETRY_MS)
    }
  }
}
