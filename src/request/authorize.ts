/** Policies on path, operation and parameters. */
import { aclOf } from '#core/access.ts'
import type { Verdict } from '#core/policies/verdict.ts'
import type { AuditAuth } from '#sdk/audit.ts'
import type { Call, Operation } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Known } from './authenticate.ts'
import { auditAuth, callOf, policyLimit } from './call.ts'
import type { Core } from './core.ts'
import { rightsOf } from './rights.ts'

declare const mark: unique symbol
export interface Allowed extends Known {
  readonly [mark]: true
  call: Call | undefined
  auth: AuditAuth
  verdict: Verdict | undefined
}

export async function authorize(core: Core, known: Known): Promise<Allowed> {
  const allowed = known as Allowed
  const token = known.token
  if (!token) {
    allowed.call = callOf(known)
    allowed.auth = anonymousAllowed
    return allowed
  }
  allowed.auth = token.auditAuth
  const { incoming, match } = known
  // Only the engine can tell create from update, and it needs the fields for that. For all else the fields come after the
  // policies: who may not ask learns nothing of what was wrong with the question.
  const needsLook = incoming.operation === 'update' && match?.path.exists !== undefined
  allowed.call = needsLook ? callOf(known) : undefined
  const operation = await operationOf(allowed)
  known.record.operation = operation
  const acl = await aclOf(core, token)
  const needsSudo = match?.path.sudo === true
  const verdict = acl.check({
    operation,
    path: known.path,
    body: incoming.body,
    wrapTtlSeconds: incoming.wrapTtlSeconds,
    needsSudo,
  })
  allowed.verdict = verdict
  allowed.auth = auditAuth(token, verdict)
  if (!verdict.allowed) throw refused(verdict.reason ?? 'no policy allows it')
  if (needsSudo && !verdict.sudo) throw refused('the path needs the sudo capability')
  if (!needsLook) {
    const lists = operation === 'list' || operation === 'scan'
    allowed.call = callOf(known, lists ? policyLimit(incoming, verdict) : 0)
  }
  if (match?.path.asksRights && allowed.call && known.mounted) {
    allowed.call.rights = rightsOf(acl, known.mounted.route)
  }
  return allowed
}

const anonymousAllowed: AuditAuth = Object.freeze({ policy_results: { allowed: true }, token_type: 'default' })

function refused(reason: string): ApiError {
  return new ApiError('permission_denied', oneError('permission denied'), { reason })
}

/** Create or update? Only the engine knows, and only it needs to look. */
async function operationOf({ incoming, match, call }: Allowed): Promise<Operation> {
  if (incoming.operation !== 'update' || !match?.path.exists || !call) return incoming.operation
  return (await match.path.exists(call)) ? 'update' : 'create'
}
