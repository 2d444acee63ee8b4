/** `sys/capabilities*`: what a token may do on paths. */
import { type AccessServices, aclOf } from '#core/access.ts'
import type { Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

export interface CapabilityServices extends AccessServices {
  tokens: Tokens
}

const paths = { type: 'strings', about: 'Paths to ask about.' } as const
const path = { type: 'strings', about: 'Old name of `paths`.', deprecated: true } as const
const token = { type: 'string', about: 'The token to ask about.' } as const
const accessor = { type: 'string', about: 'Accessor of the token to ask about.' } as const

const ofToken = { token, paths, path } satisfies Fields
const ofAccessor = { accessor, paths, path } satisfies Fields

const MAX_PATHS = 1000

export function capabilityPaths(services: CapabilityServices): Path[] {
  return [
    {
      pattern: 'capabilities',
      repeatsData: true,
      operations: {
        update: endpoint('What a token may do.', ofToken, (call) => byToken(services, call, call.data.token)),
      },
    },
    {
      pattern: 'capabilities-self',
      repeatsData: true,
      seesToken: true,
      operations: {
        update: endpoint('What the token of this request may do.', ofToken, (call) =>
          byToken(services, call, call.data.token || call.token),
        ),
      },
    },
    {
      pattern: 'capabilities-accessor',
      repeatsData: true,
      operations: {
        update: endpoint('What the token of an accessor may do.', ofAccessor, (call) => byAccessor(services, call)),
      },
    },
  ]
}

async function byToken(
  services: CapabilityServices,
  { data }: Call<typeof ofToken>,
  text: string | undefined,
): Promise<Reply> {
  if (!text) throw new ApiError('invalid_request', 'no token given')
  const found = await services.tokens.lookup(text)
  if (!found) throw new ApiError('invalid_request', 'invalid token')
  return answer(services, found, data.paths ?? data.path)
}

async function byAccessor(services: CapabilityServices, { data }: Call<typeof ofAccessor>): Promise<Reply> {
  const found = data.accessor ? await services.tokens.lookupByAccessor(data.accessor) : undefined
  if (!found) throw new ApiError('invalid_request', 'invalid accessor')
  return answer(services, found, data.paths ?? data.path)
}

async function answer(services: CapabilityServices, of: Token, asked: string[] | undefined): Promise<Reply> {
  if (!asked || asked.length === 0) throw new ApiError('invalid_request', 'missing path')
  if (asked.length > MAX_PATHS) throw new ApiError('invalid_request', `no more than ${MAX_PATHS} paths at once`)
  const acl = await aclOf(services, of)
  const data: Record<string, unknown> = {}
  for (const each of asked) {
    Object.defineProperty(data, each, {
      value: acl.capabilities(each),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  if (asked.length === 1) data['capabilities'] = acl.capabilities(asked[0]!)
  return { data }
}
