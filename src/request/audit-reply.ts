/** The reply goes on record before it leaves, and so does a refusal. Both fail closed. */
import { builtinPluginVersion } from '#lib/version.ts'
import type { AuditAuth, AuditEvent } from '#sdk/audit.ts'
import type { AuthBlock } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Audited } from './audit-request.ts'
import type { Core } from './core.ts'
import type { Incoming } from './incoming.ts'
import type { Routed } from './route.ts'
import type { Wrapped } from './wrap.ts'

declare const mark: unique symbol
export interface Sendable extends Wrapped {
  readonly [mark]: true
}

const nobody: AuditAuth = Object.freeze({ token_type: 'default' })

export async function auditReply(core: Core, wrapped: Wrapped): Promise<Sendable> {
  const { reply, leaseId, issued, wrapInfo } = wrapped
  const recording = core.audit.record({
    type: 'response',
    at: core.clock.now(),
    auth: issued ?? wrapped.auth,
    request: wrapped.record,
    response: {
      ...mountOf(wrapped),
      auth: reply.auth && (issued ?? authOf(reply.auth)),
      secret: leaseId === '' ? undefined : { lease_id: leaseId },
      // What goes into a wrapping token is told when it is taken out.
      data: wrapInfo ? undefined : reply.data,
      wrap_info: wrapInfo,
      warnings: reply.warnings,
      clearData: wrapped.mounted?.entry.config.audit_non_hmac_response_keys,
    },
  })
  await (reply.onlyCopy ? recording.catch(() => undefined) : recording)
  await wrapped.recording
  return wrapped as Sendable
}

/** A token that a path made or renewed itself, as its reply tells it. */
function authOf(auth: AuthBlock): NonNullable<NonNullable<AuditEvent['response']>['auth']> {
  const { metadata, mfa_requirement: _, lease_duration: seconds, orphan: __, renewable: ___, ...rest } = auth
  return { ...rest, ...(metadata && { metadata }), token_ttl: seconds }
}

/** Writes that and why it was refused; gives back what the client may know. */
export async function auditRefusal(
  core: Core,
  incoming: Incoming,
  reached: Partial<Audited>,
  error: unknown,
): Promise<ApiError> {
  const refusal = error instanceof ApiError ? error : new ApiError('internal', 'internal error', { cause: error })
  // Nothing more can be recorded where recording itself is what failed, and nothing is to be where a rate limit refused.
  if (refusal.code === 'audit_failed' || refusal.unrecorded) return refusal
  const request = reached.record ?? bareRecord(incoming)
  const auth = reached.auth ?? reached.token?.auditAuth ?? nobody
  const told = { at: core.clock.now(), auth, request, ...(refusal.reason !== undefined && { reason: refusal.reason }) }
  const recording = reached.recording ?? core.audit.record({ type: 'request', ...told, error: refusal.message })
  const error_ = refusal.code === 'permission_denied' ? oneError('permission denied') : refusal.message || refusal.code
  const response = { ...mountOf(reached), data: { error: error_ } }
  await Promise.all([recording, core.audit.record({ type: 'response', ...told, response, error: error_ })])
  return refusal
}

type MountFacts = Pick<
  NonNullable<AuditEvent['response']>,
  'mount_point' | 'mount_type' | 'mount_accessor' | 'mount_running_plugin_version' | 'mount_class'
>

function mountOf({ mounted }: Partial<Pick<Routed, 'mounted'>>): MountFacts {
  return {
    mount_point: mounted?.route,
    mount_type: mounted?.entry.type,
    mount_accessor: mounted?.entry.accessor,
    mount_running_plugin_version: mounted && builtinPluginVersion,
    mount_class: mounted && (mounted.entry.kind === 'auth' ? 'auth' : 'secret'),
  }
}

function bareRecord(incoming: Incoming): AuditEvent['request'] {
  return {
    id: incoming.id,
    operation: incoming.operation,
    client_token: incoming.token,
    namespace: { id: 'root' },
    path: incoming.path,
    remote_address: incoming.remoteAddress,
    remote_port: incoming.remotePort,
  }
}
