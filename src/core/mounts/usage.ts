/** Who is using a mount right now, so that it can be closed and waited for. One process only. */
import { Occupancy } from '#core/occupancy.ts'
import { ApiError } from '#sdk/errors.ts'

export class MountUsage {
  readonly #inside = new Occupancy()
  #closed = false

  /** @throws ApiError `not_found`, as if the mount were gone already */
  enter(path: string): void {
    if (this.#closed) throw noHandler(path)
    this.#inside.enter()
  }

  leave(): void {
    this.#inside.leave()
  }

  /** Nobody comes in from here on. */
  close(): void {
    this.#closed = true
  }

  open(): void {
    this.#closed = false
  }

  /** @returns whether everybody left within `timeoutMs` */
  drained(timeoutMs: number): Promise<boolean> {
    return this.#inside.empty(timeoutMs)
  }
}

export function noHandler(path: string): ApiError {
  return new ApiError('not_found', `no handler for route "${path}". route entry not found.`)
}
