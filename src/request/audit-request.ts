/** The request goes on record before anything happens. Fails closed. */
import type { Approved } from './approve.ts'
import type { Core } from './core.ts'

declare const mark: unique symbol
export interface Audited extends Approved {
  readonly [mark]: true
  /** The line of the request: on its way to the disk, or there. A refusal from here on is told by the response line alone. */
  recording: Promise<void>
}

export async function auditRequest(core: Core, approved: Approved): Promise<Audited> {
  const event = { type: 'request', at: core.clock.now(), auth: approved.auth, request: approved.record } as const
  const audited = approved as Audited
  audited.recording = core.audit.record(event)
  if (changesNothing(approved)) audited.recording.catch(() => {}) // It is awaited with the reply's line, which tells it.
  else await audited.recording
  return audited
}

/** Then the request may wait for the disk together with its reply: nothing leaves before both are there. */
function changesNothing({ incoming, match, record }: Approved): boolean {
  const looks = incoming.operation === 'read' || incoming.operation === 'list' || incoming.operation === 'scan'
  if (looks) return match?.path.readsOnly === true
  // As it was judged, so that one which makes what it misses is a `create`.
  return record.operation === 'update' && match?.path.computesOnly === true
}
