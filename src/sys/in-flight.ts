/** `sys/in-flight-req`: the requests that are being answered right now, without what is in them. */
import { rfc3339 } from '#lib/time.ts'
import { endpoint, type Path } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'

export interface RunningRequest {
  id: string
  begunAt: Date
  /** `127.0.0.1:49816` */
  remoteAddress: string
  /** `/v1/…` */
  path: string
  method: string
  /** Empty for those without a token, and while it is being looked up. */
  clientId: string
}

export interface InFlightServices {
  inFlight(): RunningRequest[] | Promise<RunningRequest[]>
}

const noFields = {} satisfies Fields

/** @param route  `sys/` where the path stands by itself, before the barrier */
export function inFlightPath(services: InFlightServices, route = ''): Path {
  return {
    pattern: `${route}in-flight-req`,
    readsOnly: true,
    operations: {
      read: endpoint('Requests that are being answered right now.', noFields, async () => {
        const told = (await services.inFlight()).map(({ id, begunAt, remoteAddress, path, method, clientId }) => [
          id,
          {
            start_time: rfc3339(begunAt),
            client_remote_address: remoteAddress,
            request_path: path,
            request_method: method,
            client_id: clientId,
          },
        ])
        return { raw: { contentType: 'application/json', body: `${JSON.stringify(Object.fromEntries(told))}\n` } }
      }),
    },
  }
}
