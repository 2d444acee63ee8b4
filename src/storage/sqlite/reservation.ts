/**
 * Fairness between threads. A transaction that lost several times gets the store to itself until its next try: no other
 * commit is made before that, so the try cannot meet a conflict. One at a time, and for a bounded time, since the change
 * may take long, throw, or find that it has nothing to write.
 */
import type { MessagePort } from 'node:worker_threads'
import type { CommitRequest } from './protocol.ts'

export interface Waiting {
  port: MessagePort
  request: CommitRequest
}

/** Counting the one that is answered now. */
const LOST_TRIES = 4
/** A try takes well below 1 ms on an idle machine; a busy one may need much more to run it at all. */
const MAX_HOLD_MS = 100

export class Reservation {
  readonly #over: () => void
  #holder: { port: MessagePort; ticket: number } | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param over  called when a reservation ran out */
  constructor(over: () => void) {
    this.#over = over
  }

  /** To whom a conflict is about to be answered. */
  grant({ port, request: { attempt } }: Waiting): void {
    if (this.#holder || attempt.lost + 1 < LOST_TRIES) return
    this.#holder = { port, ticket: attempt.ticket }
    this.#timer = setTimeout(() => {
      this.end()
      this.#over()
    }, MAX_HOLD_MS)
  }

  /** Whether commits may be made. If what the holder sends is among `waiting`, it goes first. */
  admits(waiting: Waiting[]): boolean {
    const holder = this.#holder
    if (!holder) return true
    const at = waiting.findIndex(
      ({ port, request }) => port === holder.port && request.attempt.ticket === holder.ticket,
    )
    if (at < 0) return false
    waiting.unshift(...waiting.splice(at, 1))
    this.end()
    return true
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#holder = undefined
  }
}
