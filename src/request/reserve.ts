/** A slot for a lease first, the credential after: what could not be tracked must not be made. */
import type { LeaseSlot } from '#core/leases/leases.ts'
import type { Audited } from './audit-request.ts'
import type { Core } from './core.ts'

declare const mark: unique symbol
export interface Reserved extends Audited {
  readonly [mark]: true
  /** Undefined for those without a token: a log-in's own token is its lease. */
  slot: LeaseSlot | undefined
}

/** @throws ApiError `too_many_requests` when no more leases may be open */
export function reserve(core: Core, audited: Audited): Reserved {
  const reserved = audited as Reserved
  const { token, mounted, incoming } = audited
  if (!token || !mounted) return reserved
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  reserved.slot = core.leases.reserve({ path: incoming.path, token, mount })
  return reserved
}
