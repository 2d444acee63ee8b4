/** What can be said of a role. */
import type { Fields } from '#sdk/schema.ts'
import { roleName } from './role.ts'
import { tokenFields } from '#sdk/token-fields.ts'

export const roleIdField = {
  type: 'string',
  about: 'What a log-in calls the role; a random UUID unless given.',
} as const

export const roleFields = {
  role_name: roleName,
  role_id: roleIdField,
  bind_secret_id: { type: 'boolean', about: 'A log-in needs a secret id; true unless given.' },
  secret_id_bound_cidrs: { type: 'strings', about: 'Address ranges that may log in.' },
  secret_id_num_uses: { type: 'integer', about: 'How many log-ins a secret id is good for; 0: no limit.' },
  secret_id_ttl: { type: 'duration', about: 'How long a secret id lives; 0: for ever.' },
  local_secret_ids: { type: 'boolean', about: 'Secret ids stay in this cluster. Only when the role is made.' },
  ...tokenFields,
  bound_cidr_list: { type: 'strings', about: 'Use secret_id_bound_cidrs.', deprecated: true },
  period: { type: 'duration', about: 'Use token_period.', deprecated: true },
  policies: { type: 'strings', about: 'Use token_policies.', deprecated: true },
} as const satisfies Fields

/** Whether a value now goes by its old name too: the last change of it decides. */
export function isOldName(before: boolean, byNewName: unknown, byOldName: unknown): boolean {
  return byOldName !== undefined || (byNewName === undefined && before)
}
