/** How much may go on at once: a bound on memory, before a look-up costs anything. */
import { Occupancy } from '#core/occupancy.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Routed } from './route.ts'

declare const mark: unique symbol
export interface Admitted extends Routed {
  readonly [mark]: true
}

/** Far above what one worker answers at once; only a client that piles up requests without end gets here. */
const MAX_IN_FLIGHT = 10_000

export class InFlight {
  readonly #inside = new Occupancy()

  /** @returns whether all was answered within `timeoutMs` */
  drained(timeoutMs: number): Promise<boolean> {
    return this.#inside.empty(timeoutMs)
  }

  enter(routed: Routed): Admitted {
    if (this.#inside.count >= MAX_IN_FLIGHT)
      throw new ApiError('too_many_requests', 'too many requests are going on; try again')
    // In the same step as the check that the mount is not closed: whoever closes it waits for us.
    routed.mounted?.usage.enter(routed.incoming.path)
    this.#inside.enter()
    return routed as Admitted
  }

  leave(admitted: Admitted): void {
    admitted.mounted?.usage.leave()
    this.#inside.leave()
  }
}
