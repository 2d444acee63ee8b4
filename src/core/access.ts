/** What a token may do: its own policies and those of the entity behind it, with the entity for templates. */
import type { Identity } from '#core/identity/identity.ts'
import { Acl } from '#core/policies/acl.ts'
import type { Policies } from '#core/policies/store.ts'
import type { Token } from '#core/tokens/token.ts'

export interface AccessServices {
  policies: Policies
  identity: Identity
}

/** Found once for a token, and good as long as nothing was committed since and no policy ended by itself. */
interface Kept {
  moment: number
  acl: Acl
}

const kept = new WeakMap<Token, Kept>()
const nothing = Acl.compile([])

export function aclOf(services: AccessServices, token: Token): Acl | Promise<Acl> {
  const known = kept.get(token)
  const holds = known && known.moment === services.policies.moment() && services.policies.stillHolds(known.acl)
  return holds ? known.acl : findAcl(services, token)
}

async function findAcl(services: AccessServices, token: Token): Promise<Acl> {
  // Looked at before anything is read: what is committed meanwhile makes this worth nothing.
  const moment = services.policies.moment()
  const acl = await makeAcl(services, token)
  kept.set(token, { moment, acl })
  return acl
}

async function makeAcl({ policies, identity }: AccessServices, token: Token): Promise<Acl> {
  if (token.entityId === '') return policies.acl(token.policies)
  const standing = await identity.standing(token.entityId)
  // The entity is gone or disabled: whatever its tokens were given before counts no more.
  if (!standing) return nothing
  const names =
    standing.policies.length === 0 ? token.policies : [...new Set([...token.policies, ...standing.policies])]
  return policies.acl(names, standing.subject)
}
