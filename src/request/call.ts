/** What an engine is handed, made of what came in; and who asks, as the audit tells it. */
import type { Verdict } from '#core/policies/verdict.ts'
import type { Token } from '#core/tokens/token.ts'
import type { AuditAuth } from '#sdk/audit.ts'
import type { Call, Caller } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import type { Known } from './authenticate.ts'
import type { Incoming } from './incoming.ts'

export interface PreparedCall extends Call {
  /** Names that the endpoint has no field for. */
  unknown: readonly string[]
  /** Names that body and path both gave; the path's value counts, since policies judged the path. */
  replaced: readonly string[]
}

/**
 * @param limit  what a policy puts in place of the limit of a listing; 0: nothing
 * @returns undefined when nothing answers here
 * @throws ApiError `invalid_request` when a field cannot be read
 */
export function callOf(known: Known, limit = 0): PreparedCall | undefined {
  const { mounted, match, endpoint, incoming } = known
  if (!mounted || !match || !endpoint) return undefined
  const bare = isEmpty(incoming.body)
  const given = bare ? match.params : { ...incoming.body, ...match.params }
  const limited = limit > 0 && Object.hasOwn(endpoint.fields, 'limit') ? { ...given, limit } : given
  const decoded = decode(endpoint.fields, limited)
  if (!decoded.ok) throw new ApiError('invalid_request', fieldMessage(known, decoded.message))
  return {
    mount: mounted.mount,
    operation: incoming.operation,
    path: incoming.path.slice(mounted.route.length),
    data: decoded.value,
    body: incoming.body,
    bodyText: incoming.bodyText,
    caller: known.token && callerOf(known.token),
    token: match.path.seesToken ? incoming.token : undefined,
    remoteAddress: incoming.remoteAddress,
    headers: headersFor(mounted.entry.config.passthrough_request_headers, incoming.headers),
    wrapped: incoming.wrapTtlSeconds !== undefined,
    hidesVersion: incoming.redact?.version === true,
    rights: undefined,
    unknown: decoded.unknown,
    replaced: bare ? none : Object.keys(match.params).filter((name) => Object.hasOwn(incoming.body, name)),
  }
}

/** A listing that names no limit, or the word `max`, gets the one of the policy; 0: it has none. */
export function policyLimit({ body }: Incoming, { paginationLimit = 0 }: Verdict): number {
  const asked = Object.hasOwn(body, 'limit') ? body['limit'] : undefined
  return asked === undefined || asked === null || asked === '' || asked === 'max' ? paginationLimit : 0
}

const none: readonly string[] = []
const noHeaders = Object.freeze({})

function headersFor(names: readonly string[] | undefined, headers: Incoming['headers']): NonNullable<Call['headers']> {
  if (!names || names.length === 0) return noHeaders
  return Object.fromEntries(names.map((name) => name.toLowerCase()).map((name) => [name, headers[name]]))
}

function isEmpty(body: Record<string, unknown>): boolean {
  for (const _ in body) return false
  return true
}

/** Paths that tell create from update look at the fields first, in the Vault API's order, and say so in other words. */
function fieldMessage({ match, incoming }: Known, message: string): string {
  const judgedFirst = incoming.operation === 'update' && match!.path.exists !== undefined
  return judgedFirst || message.startsWith('missing') ? message : `Field validation failed: ${message}`
}

const callers = new WeakMap<Token, Caller>()

function callerOf(token: Token): Caller {
  let caller = callers.get(token)
  if (!caller) {
    const { accessor, displayName, entityId, policies, metadata, cubbyhole } = token
    callers.set(token, (caller = { accessor, displayName, entityId, policies, metadata, cubbyhole }))
  }
  return caller
}

const auths = new WeakMap<Token, WeakMap<readonly string[], AuditAuth>>()

/**
 * Who asked and which policies let them. The same object for the same token and the same granting policies: the
 * formatter keeps its text by identity, and most requests of a token are granted by the same policy.
 */
export function auditAuth(token: Token, verdict: Verdict): AuditAuth {
  let byGrant = auths.get(token)
  if (!byGrant) auths.set(token, (byGrant = new WeakMap()))
  let auth = byGrant.get(verdict.grantingPolicies)
  if (!auth) {
    auth = Object.freeze({ ...token.auditAuth, policy_results: policyResults(verdict) })
    byGrant.set(verdict.grantingPolicies, auth)
  }
  return auth
}

function policyResults(verdict: Verdict): NonNullable<AuditAuth['policy_results']> {
  if (!verdict.allowed) return { allowed: false }
  const granting = verdict.grantingPolicies.map((name) => ({ name, namespace_id: 'root', type: 'acl' }))
  return { allowed: true, granting_policies: granting }
}
