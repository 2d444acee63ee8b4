/** A slot for a lease first, the credential after: what could not be tracked, or is one too many, must not be made. */
import type { LeaseSlot } from '#core/leases/leases.ts'
import type { Audited } from './audit-request.ts'
import type { Core } from './core.ts'

declare const mark: unique symbol
export interface Reserved extends Audited {
  readonly [mark]: true
  /** Undefined for those without a token: a log-in's own token is its lease. */
  slot: LeaseSlot | undefined
  /** Gives back the place that a lease quota keeps. Undefined where none speaks for the request. */
  place: (() => void) | undefined
}

/** @throws ApiError `too_many_requests` when no more leases may be open */
export function reserve(core: Core, audited: Audited): Reserved | Promise<Reserved> {
  return core.quotas.noLeaseRules || !makesLeases(core, audited) ? withSlot(core, audited) : withPlace(core, audited)
}

/** Of most paths it is known beforehand that they never do; of engines with leases, once they did. */
function makesLeases(core: Core, { match, incoming }: Audited): boolean {
  if (!match || incoming.operation === 'help') return false
  return match.path.makesLeases === true || core.quotas.hasMadeLeases(match.path)
}

async function withPlace(core: Core, audited: Audited): Promise<Reserved> {
  const { mounted } = audited
  const { path, body, remoteAddress, token } = audited.incoming
  const place = await core.quotas.holdLease({ mounted, path, body, remoteAddress, token })
  try {
    const reserved = withSlot(core, audited)
    reserved.place = place
    return reserved
  } catch (error) {
    place?.()
    throw error
  }
}

function withSlot(core: Core, audited: Audited): Reserved {
  const reserved = audited as Reserved
  const { token, mounted, incoming } = audited
  if (!token || !mounted) return reserved
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  reserved.slot = core.leases.reserve({ path: incoming.path, token, mount })
  return reserved
}
