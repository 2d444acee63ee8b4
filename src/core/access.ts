/** What a token may do: its own policies and those of the entity behind it, with the entity for templates. */
import type { Identity } from '#core/identity/identity.ts'
import { Acl } from '#core/policies/acl.ts'
import type { Policies } from '#core/policies/store.ts'
import type { Token } from '#core/tokens/token.ts'

export interface AccessServices {
  policies: Policies
  identity: Identity
}

const nothing = Acl.compile([])

export async function aclOf({ policies, identity }: AccessServices, token: Token): Promise<Acl> {
  if (token.entityId === '') return policies.acl(token.policies)
  const standing = await identity.standing(token.entityId)
  // The entity is gone or disabled: whatever its tokens were given before counts no more.
  if (!standing) return nothing
  return policies.acl(allNames(token.policies, standing.policies), standing.subject)
}

const joined = new WeakMap<readonly string[], WeakMap<readonly string[], readonly string[]>>()

/** The same list for the same two lists, since ACLs are kept by it. */
function allNames(own: readonly string[], more: readonly string[]): readonly string[] {
  if (more.length === 0) return own
  let byMore = joined.get(own)
  if (!byMore) joined.set(own, (byMore = new WeakMap()))
  let names = byMore.get(more)
  if (!names) byMore.set(more, (names = [...new Set([...own, ...more])]))
  return names
}
