/** There is one namespace: a request for another one must never be answered from this one. */
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'
import type { Incoming } from './incoming.ts'
import { takeOne } from './rate.ts'

export function isForeign({ namespace }: Incoming): boolean {
  return namespace !== '' && namespace !== 'root'
}

/**
 * The refusal is recorded, so quotas hold for it: those for everything, since no mount is meant.
 *
 * @throws ApiError `too_many_requests`
 */
export async function refuseForeign(core: Core, incoming: Incoming): Promise<ApiError> {
  if (!core.quotas.noRates) await takeOne(core, incoming, undefined)
  return new ApiError('not_found', `no namespace "${incoming.namespace}" here`)
}
