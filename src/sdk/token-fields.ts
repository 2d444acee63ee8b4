/** What a role says about the tokens of its log-ins: the `token_` fields that all auth methods of this API have. Pure. */
import { isCidr } from '#lib/cidr.ts'
import type { Grant } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Data, Fields } from '#sdk/schema.ts'

/** As it is stored, and shown: times in seconds, 0 where not set. */
export interface TokenSettings {
  token_bound_cidrs: string[]
  token_explicit_max_ttl: number
  token_max_ttl: number
  token_no_default_policy: boolean
  token_num_uses: number
  token_period: number
  token_policies: string[]
  token_strictly_bind_ip: boolean
  token_ttl: number
  token_type: Grant['tokenType']
}

const tokenTypes: readonly Grant['tokenType'][] = ['default', 'default-service', 'default-batch', 'service', 'batch']

export const tokenFields = {
  token_bound_cidrs: { type: 'strings', about: 'Address ranges that may log in and that tokens may be used from.' },
  token_explicit_max_ttl: { type: 'duration', about: 'No token lives longer, however it is renewed.' },
  token_max_ttl: { type: 'duration', about: 'How long a token may live with all its renewals.' },
  token_no_default_policy: { type: 'boolean', about: 'Tokens do not get the default policy.' },
  token_num_uses: { type: 'integer', about: 'How often a token may be used; 0: no limit.' },
  token_period: { type: 'duration', about: 'Tokens are periodic, with this period.' },
  token_policies: { type: 'strings', about: 'Policies of the tokens.' },
  token_strictly_bind_ip: { type: 'boolean', about: 'A token may only be used from the address that logged in.' },
  token_ttl: { type: 'duration', about: 'How long a token lives until it is renewed.' },
  token_type: { type: 'string', about: 'service, batch, default-service, default-batch or default.' },
} as const satisfies Fields

export const noTokenSettings: TokenSettings = {
  token_bound_cidrs: [],
  token_explicit_max_ttl: 0,
  token_max_ttl: 0,
  token_no_default_policy: false,
  token_num_uses: 0,
  token_period: 0,
  token_policies: [],
  token_strictly_bind_ip: false,
  token_ttl: 0,
  token_type: 'default',
}

/** Only what was given changes. */
export function changedTokenSettings(
  settings: Readonly<TokenSettings>,
  given: Partial<Data<typeof tokenFields>>,
): TokenSettings {
  return {
    token_bound_cidrs: given.token_bound_cidrs ? ranges(given.token_bound_cidrs) : settings.token_bound_cidrs,
    token_explicit_max_ttl: given.token_explicit_max_ttl ?? settings.token_explicit_max_ttl,
    token_max_ttl: given.token_max_ttl ?? settings.token_max_ttl,
    token_no_default_policy: given.token_no_default_policy ?? settings.token_no_default_policy,
    token_num_uses: given.token_num_uses ?? settings.token_num_uses,
    token_period: given.token_period ?? settings.token_period,
    token_policies: given.token_policies ? policyNames(given.token_policies) : settings.token_policies,
    token_strictly_bind_ip: given.token_strictly_bind_ip ?? settings.token_strictly_bind_ip,
    token_ttl: given.token_ttl ?? settings.token_ttl,
    token_type: given.token_type === undefined ? settings.token_type : tokenType(given.token_type),
  }
}

/** @throws ApiError `invalid_request` for settings that contradict each other */
export function checkTokenSettings(settings: TokenSettings): void {
  const amounts = ['token_ttl', 'token_max_ttl', 'token_explicit_max_ttl', 'token_period', 'token_num_uses'] as const
  for (const name of amounts) if (settings[name] < 0) refuse(`'${name}' cannot be negative`)
  if (settings.token_max_ttl > 0 && settings.token_ttl > settings.token_max_ttl) {
    refuse("'token_ttl' cannot be greater than 'token_max_ttl'")
  }
  if (settings.token_type !== 'batch' && settings.token_type !== 'default-batch') return
  if (settings.token_period !== 0) {
    refuse("'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens")
  }
  if (settings.token_num_uses !== 0) {
    refuse("'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count")
  }
}

/** The part of a grant that these settings make. */
export function tokenGrant(settings: Readonly<TokenSettings>) {
  return {
    policies: settings.token_policies,
    noDefaultPolicy: settings.token_no_default_policy,
    ttlSeconds: settings.token_ttl,
    maxTtlSeconds: settings.token_max_ttl,
    periodSeconds: settings.token_period,
    explicitMaxTtlSeconds: settings.token_explicit_max_ttl,
    numUses: settings.token_num_uses,
    tokenType: settings.token_type,
  } satisfies Partial<Grant>
}

function policyNames(given: readonly string[]): string[] {
  const names = given.map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  return [...new Set(names)].toSorted()
}

/** A range of one address is shown as that address, as this API does for the ranges of tokens and for no others. */
function ranges(given: readonly string[]): string[] {
  return given.map((range) => {
    if (!isCidr(range)) refuse(`error parsing token_bound_cidrs: ${JSON.stringify(range)} is not an address range`)
    return range.replace(range.includes(':') ? /\/128$/ : /\/32$/, '')
  })
}

function tokenType(given: string): Grant['tokenType'] {
  const asked = given === '' ? 'default' : given
  return tokenTypes.find((type) => type === asked) ?? refuse(`invalid 'token_type' value ${JSON.stringify(given)}`)
}

function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
