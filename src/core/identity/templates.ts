/** Identity templates for engines: names that a role allows by who asks. As in policies, no value acts as a wildcard. */
import { expandPath } from '#core/policies/template.ts'
import type { Templates } from '#sdk/engine.ts'
import type { Identity } from './identity.ts'

export function templatesOf(identity: Identity): Templates {
  return {
    async fill(text, entityId) {
      const standing = entityId === '' ? undefined : await identity.standing(entityId)
      return standing && expandPath(text, standing.subject.expand)
    },
  }
}
