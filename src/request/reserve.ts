/** A slot for a lease first, the credential after: what could not be tracked must not be made. */
import type { LeaseSlot } from '#core/leases/leases.ts'
import type { Audited } from './audit.ts'
import type { Core } from './core.ts'

declare const mark: unique symbol
export interface Reserved extends Audited {
  readonly [mark]: true
  /** Undefined for those without a token: a log-in's own token is its lease. */
  slot: LeaseSlot | undefined
}

/**
 * Goes on with a slot, and gives it back if nothing was made.
 *
 * @throws ApiError `too_many_requests` when no more leases may be open
 */
export async function reserve<T>(core: Core, audited: Audited, go: (reserved: Reserved) => Promise<T>): Promise<T> {
  const reserved = audited as Reserved
  const { token, mounted, incoming } = audited
  reserved.slot =
    token &&
    mounted &&
    core.leases.reserve({
      path: incoming.path,
      token,
      mount: { accessor: mounted.entry.accessor, settings: mounted.mount.settings() },
    })
  try {
    return await go(reserved)
  } finally {
    reserved.slot?.release()
  }
}
