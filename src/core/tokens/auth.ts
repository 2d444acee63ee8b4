/** The `auth` block of an answer that made or renewed a token. */
import type { AuthBlock } from '#sdk/engine.ts'
import type { Token } from './token.ts'

/**
 * @param text  what the block names as client_token: the token, or nothing where it was reached by its accessor
 * @param leaseSeconds  how long it lives from now
 */
export function authBlock(
  token: Token,
  { text = token.text, leaseSeconds = token.entry.ttl_seconds, identityPolicies = [] as readonly string[] } = {},
): AuthBlock {
  const { entry } = token
  const policies =
    identityPolicies.length === 0 ? entry.policies : [...new Set([...entry.policies, ...identityPolicies])].toSorted()
  return {
    client_token: text,
    accessor: token.accessor,
    policies: [...policies],
    token_policies: [...entry.policies],
    ...(identityPolicies.length > 0 && { identity_policies: [...identityPolicies] }),
    metadata: entry.metadata ? { ...entry.metadata } : null,
    lease_duration: leaseSeconds,
    renewable: entry.renewable ?? false,
    entity_id: token.entityId,
    token_type: token.type,
    orphan: entry.parent === undefined,
    mfa_requirement: null,
    num_uses: token.numUses,
  }
}
