/** Looking at tokens, renewing and ending them, each by the token, by its accessor, or one's own. */
import { authBlock } from '#core/tokens/auth.ts'
import { hasLease } from '#core/tokens/expiry.ts'
import type { Token } from '#core/tokens/token.ts'
import type { RenewLimits } from '#core/tokens/ttl.ts'
import { secondsLeft } from '#core/tokens/ttl.ts'
import { rfc3339 } from '#lib/time.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { roleOf } from './role.ts'
import { hasSudo, identityPoliciesOf, ownToken, refuse, type TokenServices } from './services.ts'

const token = { type: 'string', about: 'The token.' } as const
const accessor = { type: 'string', about: 'Accessor of the token.' } as const
const increment = { type: 'duration', about: 'For how long, from now.', default: 0 } as const
const tokenFields = { token } satisfies Fields
const selfFields = { token: { ...token, about: 'Ignored: the token of the request counts.' } } satisfies Fields
const accessorFields = { accessor } satisfies Fields
const renewFields = { token, increment } satisfies Fields
const renewAccessorFields = { accessor, increment } satisfies Fields
const noFields = {} satisfies Fields

export function lookPaths(services: TokenServices): Path[] {
  const lookup = endpoint('What a token is.', tokenFields, async (call) =>
    lookOf(services, call, await named(services, call)),
  )
  const self = endpoint('What the token of the request is.', selfFields, async (call) =>
    lookOf(services, call, await ownToken(services, call)),
  )
  return [
    { pattern: 'lookup', seesToken: true, operations: { read: lookup, update: lookup } },
    { pattern: 'lookup-self', seesToken: true, operations: { read: self, update: self } },
    {
      pattern: 'lookup-accessor',
      operations: {
        update: endpoint('What the token of an accessor is.', accessorFields, async (call) =>
          lookOf(services, call, await byAccessor(services, call.data.accessor)),
        ),
      },
    },
  ]
}

export function renewPaths(services: TokenServices): Path[] {
  return [
    {
      pattern: 'renew',
      operations: {
        update: endpoint('Renew a token.', renewFields, async (call) => {
          if (!call.data.token) refuse('missing token ID')
          const found = (await services.tokens.lookup(call.data.token)) ?? refuse('token not found')
          return await renew(services, call, found, call.data.increment)
        }),
      },
    },
    {
      pattern: 'renew-self',
      seesToken: true,
      operations: {
        update: endpoint('Renew the token of the request.', renewFields, async (call) =>
          renew(services, call, await ownToken(services, call), call.data.increment),
        ),
      },
    },
    {
      pattern: 'renew-accessor',
      operations: {
        update: endpoint('Renew the token of an accessor.', renewAccessorFields, async (call) =>
          renew(services, call, await byAccessor(services, call.data.accessor), call.data.increment),
        ),
      },
    },
  ]
}

export function revokePaths(services: TokenServices): Path[] {
  return [
    {
      pattern: 'revoke',
      operations: {
        update: endpoint('End a token and all below it.', tokenFields, async ({ data }) => {
          if (!data.token) refuse('missing token ID')
          const found = await services.tokens.lookup(data.token)
          if (found) await services.tokens.revoke(found)
          return {}
        }),
      },
    },
    {
      pattern: 'revoke-self',
      seesToken: true,
      operations: {
        update: endpoint('End the token of the request and all below it.', noFields, async (call) => {
          await services.tokens.revoke(await ownToken(services, call))
          return {}
        }),
      },
    },
    {
      pattern: 'revoke-accessor',
      operations: {
        update: endpoint('End the token of an accessor and all below it.', accessorFields, async ({ data }) => {
          await services.tokens.revoke(await byAccessor(services, data.accessor))
          return {}
        }),
      },
    },
    {
      pattern: 'revoke-orphan',
      seesToken: true,
      operations: {
        update: endpoint('End a token, but not those below it.', tokenFields, (call) => revokeOrphan(services, call)),
      },
    },
  ]
}

async function revokeOrphan(services: TokenServices, call: Call<typeof tokenFields>): Promise<Reply> {
  if (!call.data.token) refuse('missing token ID')
  if (!(await hasSudo(services, await ownToken(services, call), call))) {
    refuse('root or sudo privileges required to revoke and orphan')
  }
  const found = (await services.tokens.lookup(call.data.token)) ?? refuse('token to revoke not found')
  await services.tokens.revokeOrphan(found)
  return {}
}

/** The token that was named, or without a name the one of the request. */
async function named(services: TokenServices, call: Call<typeof tokenFields>): Promise<Token> {
  if (!call.data.token) return await ownToken(services, call)
  const found = await services.tokens.lookup(call.data.token, { spent: call.data.token === call.token })
  if (!found) throw new ApiError('permission_denied', 'bad token')
  return found
}

async function byAccessor(services: TokenServices, given: string | undefined): Promise<Token> {
  if (!given) refuse(oneError('missing accessor'))
  return (await services.tokens.lookupByAccessor(given)) ?? refuse(oneError('invalid accessor'))
}

async function lookOf(services: TokenServices, { mount }: Call<Fields>, found: Token): Promise<Reply> {
  const { entry } = found
  const identityPolicies = await identityPoliciesOf(services, found)
  const ends = entry.expires_at_ms > 0
  return {
    data: {
      accessor: found.accessor,
      ...(entry.bound_cidrs && { bound_cidrs: entry.bound_cidrs }),
      creation_time: Math.floor(entry.created_at_ms / 1000),
      creation_ttl: entry.ttl_seconds,
      display_name: entry.display_name,
      entity_id: found.entityId,
      expire_time: ends ? rfc3339(new Date(entry.expires_at_ms)) : null,
      explicit_max_ttl: entry.explicit_max_ttl_seconds ?? 0,
      id: found.text,
      ...(identityPolicies.length > 0 && { identity_policies: identityPolicies }),
      ...(hasLease(entry) && { issue_time: rfc3339(new Date(entry.created_at_ms)) }),
      ...(entry.last_renewal_at_ms !== undefined && {
        last_renewal: rfc3339(new Date(entry.last_renewal_at_ms)),
        last_renewal_time: Math.floor(entry.last_renewal_at_ms / 1000),
      }),
      meta: entry.metadata ?? null,
      num_uses: found.numUses,
      orphan: entry.parent === undefined,
      path: entry.path,
      ...(entry.period_seconds !== undefined && { period: entry.period_seconds }),
      policies: entry.policies,
      ...(hasLease(entry) && { renewable: entry.renewable ?? false }),
      ...(entry.role !== undefined && { role: entry.role }),
      ttl: ends ? secondsLeft(entry.expires_at_ms, mount.clock.now()) : 0,
      type: found.type,
    },
  }
}

async function renew(
  services: TokenServices,
  call: Call<Fields>,
  found: Token,
  incrementSeconds: number,
): Promise<Reply> {
  if (found.type === 'batch') refuse('batch tokens cannot be renewed')
  if (!hasLease(found.entry)) refuse('invalid lease ID')
  if (!found.entry.renewable) refuse('lease is not renewable')
  const limits = await limitsOf(services, call, found)
  const renewed = await services.tokens.renew(found, { ...limits, incrementSeconds })
  const identityPolicies = await identityPoliciesOf(services, renewed.token)
  return {
    auth: authBlock(renewed.token, { leaseSeconds: renewed.seconds, identityPolicies }),
    warnings: renewed.warnings,
  }
}

/** What the role, or the auth method that logged it in, says now about a token that wants to go on. */
async function limitsOf(
  { mounts }: TokenServices,
  { mount }: Call<Fields>,
  found: Token,
): Promise<Omit<RenewLimits, 'incrementSeconds'>> {
  const { mount: mountAccessor, grant, role: roleName } = found.entry
  if (mountAccessor !== undefined && grant) {
    const mounted = await mounts.byAccessor(mountAccessor)
    if (!mounted) refuse('the auth method that made the token is gone, not renewing')
    const next = mounted.engine.renew ? await mounted.engine.renew({ mount: mounted.mount, grant }) : grant
    const { defaultLeaseTtlSeconds, maxLeaseTtlSeconds } = mounted.mount.settings()
    return {
      defaultSeconds: defaultLeaseTtlSeconds,
      maxSeconds: maxLeaseTtlSeconds,
      ttlSeconds: next.ttlSeconds,
      periodSeconds: next.periodSeconds,
      ownMaxSeconds: next.maxTtlSeconds,
      explicitMaxSeconds: found.entry.explicit_max_ttl_seconds ?? 0,
      grant: next,
    }
  }
  const { defaultLeaseTtlSeconds: defaultSeconds, maxLeaseTtlSeconds: maxSeconds } = mount.settings()
  if (roleName === undefined) return { defaultSeconds, maxSeconds }
  const role =
    (await roleOf(mount, roleName)) ?? refuse(`original token role "${roleName}" could not be found, not renewing`)
  return { defaultSeconds, maxSeconds, ...(role.token_period > 0 && { periodSeconds: role.token_period }) }
}
