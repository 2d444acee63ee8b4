/** Path → mount, endpoint, fields. Says nothing yet of what it did not find: only who may know learns that, in dispatch. */
import type { Mounted } from '#core/mounts/mounts.ts'
import type { Match } from '#core/mounts/paths.ts'
import { builtinPluginVersion } from '#lib/version.ts'
import type { AuditEvent } from '#sdk/audit.ts'
import type { Endpoint, Verb } from '#sdk/engine.ts'
import type { Core } from './core.ts'
import type { Incoming } from './incoming.ts'
import { Passage } from './passage.ts'

declare const mark: unique symbol
export interface Routed {
  readonly [mark]: true
  incoming: Incoming
  /** What policies judge: the path as given, with a slash at the end of a listing's. */
  path: string
  mounted: Mounted | undefined
  match: Match | undefined
  endpoint: Endpoint | undefined
  /** The request as audit lines tell it: one object for both lines, which the formatter knows by identity. */
  record: AuditEvent['request']
  /** When the next stage let it in, and its number among those that are being answered. */
  begunAt: Date | undefined
  number: number
  /** Header lines about a rate quota, set by the next stage. */
  limits: Readonly<Record<string, string>> | undefined
}

const rootNamespace = Object.freeze({ id: 'root' })

export async function route(core: Core, incoming: Incoming): Promise<Routed> {
  const listing = incoming.operation === 'list' || incoming.operation === 'scan'
  const path = listing && !incoming.path.endsWith('/') ? `${incoming.path}/` : incoming.path
  const mounted = await core.mounts.find(incoming.path)
  const asked = core.settings.auditedHeaders.of(incoming.headers)
  const told = asked instanceof Promise ? await asked : asked
  const match = mounted?.paths.find(incoming.path.slice(mounted.route.length), listing)
  const record: AuditEvent['request'] = {
    id: incoming.id,
    operation: incoming.operation,
    mount_point: mounted?.route,
    mount_type: mounted?.entry.type,
    mount_accessor: mounted?.entry.accessor,
    mount_running_version: mounted && builtinPluginVersion,
    mount_class: mounted && (mounted.entry.kind === 'auth' ? 'auth' : 'secret'),
    client_token: incoming.token,
    client_token_accessor: undefined,
    client_id: undefined,
    namespace: rootNamespace,
    path,
    data: incoming.body,
    remote_address: incoming.remoteAddress,
    remote_port: incoming.remotePort,
    wrap_ttl: incoming.wrapTtlSeconds,
    headers: told?.headers,
    clearHeaders: told?.clear,
    clearData: mounted?.entry.config.audit_non_hmac_request_keys,
  }
  const endpoint = incoming.operation === 'help' ? undefined : match?.path.operations[incoming.operation as Verb]
  return new Passage(incoming, path, { mounted, match, endpoint }, record) as unknown as Routed
}
