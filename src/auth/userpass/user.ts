/** Users: what is kept of them, and which names they may have. Storage: user/<name> → UserEntry. */
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { StorageReads } from '#sdk/storage.ts'
import { type TokenSettings, tokenFields } from '#sdk/token-fields.ts'
import type { StoredPassword } from './passwords.ts'

export interface UserEntry extends TokenSettings {
  name: string
  password: StoredPassword
  /** Which settings were last given by their old names: those are shown by both. */
  old_names: OldName[]
}

export type OldName = 'policies' | 'ttl' | 'max_ttl' | 'bound_cidrs'

const MAX_NAME_BYTES = 512

export const username = { type: 'string', about: 'Name of the user.', required: true } as const
export const nameFields = { username } as const satisfies Fields

export const passwordFields = {
  password: { type: 'string', about: 'Password; a user that is made needs one.' },
  password_hash: { type: 'string', about: 'In place of the password: its bcrypt hash.' },
} as const satisfies Fields

export const policyFields = {
  token_policies: tokenFields.token_policies,
  policies: { type: 'strings', about: 'Use token_policies.', deprecated: true },
} as const satisfies Fields

export const userFields = {
  username,
  ...passwordFields,
  ...tokenFields,
  ...policyFields,
  ttl: { type: 'duration', about: 'Use token_ttl.', deprecated: true },
  max_ttl: { type: 'duration', about: 'Use token_max_ttl.', deprecated: true },
  bound_cidrs: { type: 'strings', about: 'Use token_bound_cidrs.', deprecated: true },
} as const satisfies Fields

/** @param name  as checkedName gives it */
export function userKey(name: string): string {
  return `user/${name}`
}

/**
 * Names are the same whatever their case.
 *
 * @throws ApiError `not_found` for what can be no name, as for any address that is none
 */
export function checkedName(name: string): string {
  const fits = /^\w(?:[\w.-]*\w)?$/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES
  if (!fits) throw new ApiError('not_found', oneError('unsupported path'))
  return name.toLowerCase()
}

export async function userOf(storage: Pick<StorageReads, 'get'>, name: string): Promise<UserEntry | undefined> {
  return await storage.get<UserEntry>(userKey(checkedName(name)))
}

export function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
