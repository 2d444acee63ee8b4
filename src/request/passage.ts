/**
 * The one object that the stages share and hand on. Its members are all there from the start, so that it keeps one hidden
 * class however far a request gets: members that come one by one made every stage slower. What a stage may rely on is said
 * by the stages' own types (`Routed`, `Known`, `Allowed`, …), never by this one.
 */
import type { Mounted } from '#core/mounts/mounts.ts'
import type { Match } from '#core/mounts/paths.ts'
import type { AuditEvent } from '#sdk/audit.ts'
import type { Endpoint } from '#sdk/engine.ts'
import type { Incoming } from './incoming.ts'

export class Passage {
  readonly incoming: Incoming
  readonly path: string
  readonly mounted: Mounted | undefined
  readonly match: Match | undefined
  readonly endpoint: Endpoint | undefined
  readonly record: AuditEvent['request']
  token = undefined
  call = undefined
  auth = undefined
  verdict = undefined
  recording = undefined
  slot = undefined
  place = undefined
  begunAt = undefined
  number = 0
  limits = undefined
  reply = undefined
  leaseId = ''
  issued = undefined
  wrapInfo = undefined

  constructor(
    incoming: Incoming,
    path: string,
    found: { mounted: Mounted | undefined; match: Match | undefined; endpoint: Endpoint | undefined },
    record: AuditEvent['request'],
  ) {
    this.incoming = incoming
    this.path = path
    this.mounted = found.mounted
    this.match = found.match
    this.endpoint = found.endpoint
    this.record = record
  }
}
