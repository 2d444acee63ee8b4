/** A grant of an auth method becomes a token: the end of every log-in, whatever the method. */
import { authBlock } from '#core/tokens/auth.ts'
import type { AuditAuth } from '#sdk/audit.ts'
import type { Grant, Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'
import type { Answered } from './dispatch.ts'

/** @returns the reply with its auth block, and the new token as the audit tells it */
export async function login(
  core: Core,
  { mounted, incoming, reply }: Answered,
  grant: Grant,
): Promise<{ reply: Reply; issued: AuditAuth }> {
  if (!mounted || mounted.entry.kind !== 'auth') {
    throw new ApiError('internal', 'internal error', { reason: 'a grant from a mount that is no auth method' })
  }
  const entity =
    grant.alias &&
    (await core.identity.entityOf({
      ...grant.alias,
      mountAccessor: mounted.entry.accessor,
      mountType: mounted.entry.type,
      mountPath: mounted.route,
    }))
  const issued = await core.tokens.login({
    grant,
    path: incoming.path,
    mount: { path: mounted.route, accessor: mounted.entry.accessor, settings: mounted.mount.settings() },
    entityId: entity?.id ?? '',
    mountTokenType: mounted.entry.config.token_type,
  })
  const auth = authBlock(issued.token, { text: issued.text, identityPolicies: entity?.policies ?? [] })
  const warnings = [...(reply.warnings ?? []), ...issued.warnings]
  return { reply: { ...reply, auth, warnings }, issued: issued.token.auditAuth }
}
