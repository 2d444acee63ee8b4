/** A reply as the bytes of the Vault API: the envelope, and which status says what. */
import type { AuthBlock, Reply, WrapInfo } from '#sdk/engine.ts'
import type { Incoming, Outgoing } from './incoming.ts'

interface Content {
  requestId: string
  leaseId: string
  renewable: boolean
  leaseSeconds: number
  data: Record<string, unknown> | undefined
  warnings: readonly string[] | undefined
  auth: AuthBlock | undefined
  wrapInfo: WrapInfo | undefined
}

function envelope(content: Content, repeatsData: boolean): string {
  const data = content.data === undefined ? 'null' : JSON.stringify(content.data)
  const top = repeatsData && content.data !== undefined && data !== '{}' ? `${data.slice(1, -1)},` : ''
  return (
    `{${top}"request_id":"${content.requestId}","lease_id":${JSON.stringify(content.leaseId)}` +
    `,"renewable":${content.renewable},"lease_duration":${content.leaseSeconds},"data":${data}` +
    `,"wrap_info":${content.wrapInfo ? JSON.stringify(content.wrapInfo) : 'null'}` +
    `,"warnings":${content.warnings && content.warnings.length > 0 ? JSON.stringify(content.warnings) : 'null'}` +
    `,"auth":${content.auth ? JSON.stringify(content.auth) : 'null'}}\n`
  )
}

const json = 'application/json'
const emptyList: Outgoing = { status: 404, contentType: json, body: '{"errors":[]}\n' }
const nothing: Outgoing = { status: 204, contentType: json, body: undefined }

/** Whether there is something to say; without it a read found nothing and a change is simply done. */
export function hasBody(reply: Reply): boolean {
  return (
    reply.data !== undefined ||
    reply.auth !== undefined ||
    (reply.warnings !== undefined && reply.warnings.length > 0) ||
    reply.lease !== undefined ||
    reply.renewed !== undefined ||
    reply.wrapInfo !== undefined ||
    // Said outright: an envelope with nothing in it.
    reply.status === 200
  )
}

export function withoutBody(incoming: Incoming, reply: Reply): Outgoing {
  if (reply.status !== undefined && reply.status !== 204)
    return { status: reply.status, contentType: json, body: undefined }
  const asked = incoming.operation === 'read' || incoming.operation === 'list' || incoming.operation === 'scan'
  return asked ? emptyList : nothing
}

/** A listing of nothing is not found, as clients of this API expect. */
export function isEmptyListing(incoming: Incoming, reply: Reply): boolean {
  if (incoming.operation !== 'list' && incoming.operation !== 'scan') return false
  const keys = reply.data?.['keys']
  return reply.status === undefined && !(Array.isArray(keys) && keys.length > 0) && !reply.warnings
}

export function jsonReply(status: number, body: string): Outgoing {
  return { status, contentType: json, body }
}

/** The whole reply, or what is told in its place when it waits behind a wrapping token. */
export function contentOf(
  { incoming, reply, leaseId }: { incoming: Incoming; reply: Reply; leaseId: string },
  wrapInfo: WrapInfo | undefined,
  repeatsData = false,
): string {
  if (wrapInfo) {
    const none = { data: undefined, warnings: undefined, auth: undefined }
    return envelope({ requestId: '', leaseId: '', renewable: false, leaseSeconds: 0, ...none, wrapInfo }, false)
  }
  return envelope(
    {
      requestId: incoming.id,
      leaseId,
      renewable: (reply.lease ?? reply.renewed)?.renewable ?? false,
      leaseSeconds: (reply.lease ?? reply.renewed)?.ttlSeconds ?? reply.refreshSeconds ?? 0,
      data: reply.data,
      warnings: reply.warnings,
      auth: reply.auth,
      wrapInfo,
    },
    repeatsData,
  )
}
