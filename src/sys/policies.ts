/** `sys/policies/acl` and its older form `sys/policy`. */
import type { Policies } from '#core/policies/store.ts'
import { GO_ZERO_TIME } from '#lib/time.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, found } from '#sdk/errors.ts'
import { pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import type { Page } from '#sdk/storage.ts'

const name = { type: 'string', about: 'Name of the policy.', required: true } as const
const noFields = {} satisfies Fields
const writeFields = {
  name,
  policy: { type: 'string', about: 'The policy in HCL or JSON, plain or base64.' },
  rules: { type: 'string', about: 'Old name of `policy`.', deprecated: true },
  cas: { type: 'integer', about: 'Write only over this version; -1: only if there is none.' },
  cas_required: { type: 'boolean', about: 'From now on a write has to name the version it replaces.' },
  ttl: { type: 'duration', about: 'The policy ends after this time.' },
  expiration: { type: 'string', about: 'The policy ends at this moment (RFC 3339).' },
} satisfies Fields

export function policyPaths(policies: Policies): Path[] {
  const remove = endpoint('Delete a policy.', { name }, async ({ data }) => {
    await policies.delete(data.name)
    return {}
  })
  const write = endpoint('Write a policy.', writeFields, (call) => put(policies, call))
  const list = endpoint('Names of all policies.', pageFields, async ({ data }) => ({
    data: { keys: await policies.list(pageOf(data)) },
  }))
  return [
    { pattern: 'policies/acl', operations: { list } },
    {
      pattern: 'policies/acl/:name',
      operations: {
        read: endpoint('Read a policy.', { name }, (call) => read(policies, call, 'policy')),
        update: write,
        delete: remove,
      },
    },
    {
      pattern: 'policy',
      repeatsData: true,
      operations: {
        read: endpoint('Names of all policies.', noFields, async () => {
          const keys = await policies.list()
          return { data: { keys, policies: keys } }
        }),
        list: endpoint('Names of all policies.', pageFields, async ({ data }) => {
          const keys = await policies.list(pageOf(data))
          return { data: { keys, policies: keys } }
        }),
      },
    },
    {
      pattern: 'policy/:name',
      repeatsData: true,
      operations: {
        read: endpoint('Read a policy.', { name }, (call) => read(policies, call, 'rules')),
        update: write,
        delete: remove,
      },
    },
  ]
}

/** No limit, 0 and less are the same: all. */
function pageOf({ after, limit }: Data<typeof pageFields>): Page {
  return { after, limit: limit !== undefined && limit > 0 ? limit : undefined }
}

async function read(
  policies: Policies,
  { data }: Call<{ name: typeof name }>,
  member: 'policy' | 'rules',
): Promise<Reply> {
  const { text, modified = GO_ZERO_TIME, ...rest } = found(await policies.get(data.name))
  return { data: { ...rest, modified, [member]: text } }
}

async function put(policies: Policies, { data, mount: { clock } }: Call<typeof writeFields>): Promise<Reply> {
  const given = data.policy || data.rules
  if (!given) throw new ApiError('invalid_request', `'policy' parameter not supplied or empty`)
  const expiresAt = data.expiration
    ? new Date(data.expiration)
    : data.ttl
      ? new Date(clock.now().getTime() + data.ttl * 1000)
      : undefined
  if (expiresAt && Number.isNaN(expiresAt.getTime()))
    throw new ApiError('invalid_request', 'expiration is not a moment such as 2030-01-02T03:04:05Z')
  await policies.put(data.name, plainText(given), { cas: data.cas, casRequired: data.cas_required, expiresAt })
  return {}
}

/** A policy may come in base64, as clients send it that cannot quote HCL; no policy text is itself base64. */
export function plainText(given: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(given) || given.length % 4 !== 0) return given
  return Buffer.from(given, 'base64').toString('utf8')
}
