/** Single fields of a role, each at an address of its own, so that policies can hand out one and not the others. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Data, Field, Fields } from '#sdk/schema.ts'
import { changeRole, nameFields, refuse, type RoleEntry, roleName, roleOf } from './role.ts'
import { isOldName } from './role-paths.ts'
import { changedTokenSettings, noTokenSettings, tokenFields } from './token-fields.ts'

interface Property {
  /** Last part of the address. */
  at: string
  about: string
  /** The first is the name of the field today. */
  fields: Fields
  show: (role: RoleEntry) => Record<string, unknown>
  /** The values are decoded by `fields`, and at least one is given. */
  set: (role: RoleEntry, given: Record<string, any>) => RoleEntry
  reset: (role: RoleEntry) => RoleEntry
}
