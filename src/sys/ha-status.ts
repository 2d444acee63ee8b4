/** `sys/ha-status`: who serves. One server is all there is to tell: it is the active one. */
import { hostname } from 'node:os'
import { apiVersion } from '#lib/version.ts'
import { endpoint, type Path } from '#sdk/engine.ts'

/** What the composition root lends to this path. */
export interface HaStatusServices {
  /** Where clients reach this server; empty: it was not told. */
  apiAddress: string
}

export function haStatusPaths({ apiAddress }: HaStatusServices): Path[] {
  const read = endpoint('The servers that share this store.', {}, async () => ({
    data: {
      nodes: [
        {
          hostname: hostname(),
          api_address: apiAddress,
          cluster_address: '',
          active_node: true,
          last_echo: null,
          echo_duration_ms: 0,
          clock_skew_ms: 0,
          version: apiVersion,
        },
      ],
    },
  }))
  return [{ pattern: 'ha-status', repeatsData: true, readsOnly: true, operations: { read } }]
}
