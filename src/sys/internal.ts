/** `sys/internal/ui/mounts`: which mounts a caller may see. The CLI and the UI find a path's mount and its version here. */
import { type AccessServices, aclOf } from '#core/access.ts'
import type { Acl } from '#core/policies/acl.ts'
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'
import { allowedFrom } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { describeMount } from './mounts.ts'

export interface InternalServices extends AccessServices {
  mounts: Mounts
  tokens: Tokens
}

const noFields = {} satisfies Fields
const pathFields = { path: { type: 'string', about: 'A path below the mount.', required: true } } satisfies Fields

export function internalPaths(services: InternalServices): Path[] {
  return [
    {
      pattern: 'internal/ui/mounts',
      unauthenticated: true,
      seesToken: true,
      operations: { read: endpoint('The mounts a caller may see.', noFields, (call) => visible(services, call)) },
    },
    {
      pattern: 'internal/ui/mounts/*path',
      unauthenticated: true,
      seesToken: true,
      operations: {
        read: endpoint('The mount that answers for a path.', pathFields, (call) => ofPath(services, call)),
      },
    },
    {
      pattern: 'internal/ui/resultant-acl',
      seesToken: true,
      operations: {
        read: endpoint('All that the token of this request may do.', noFields, (call) => resultant(services, call)),
      },
    },
  ]
}

async function callersAcl(services: InternalServices, call: Call<Fields>): Promise<Acl | undefined> {
  const token = call.token === undefined || call.token === '' ? undefined : await services.tokens.lookup(call.token)
  // Whoever may not use a token from there is nobody.
  return token && allowedFrom(token, call.remoteAddress) ? await aclOf(services, token) : undefined
}

async function visible(services: InternalServices, call: Call): Promise<Reply> {
  const acl = await callersAcl(services, call)
  const shown = (mounted: Mounted) =>
    mounted.entry.config.listing_visibility === 'unauth' || (acl?.mayReachBelow(mounted.route) ?? false)
  const view = async (kind: 'auth' | 'secret') => {
    const seen = (await services.mounts.all(kind)).filter(shown)
    // Without a token only what a log-in page needs is told.
    return Object.fromEntries(
      seen.map((mounted) => [mounted.entry.path, acl ? describeMount(mounted) : brief(mounted)]),
    )
  }
  return { data: { auth: await view('auth'), secret: await view('secret') } }
}

function brief({ entry }: Mounted): Record<string, unknown> {
  return { description: entry.description, options: entry.options, type: entry.type }
}

async function resultant(services: InternalServices, call: Call): Promise<Reply> {
  const acl = await callersAcl(services, call)
  if (!acl) return {}
  if (acl.root) return { data: { root: true } }
  const { exact, globs, segmentWildcards } = acl.rules()
  const tell = (rules: readonly [string, string[]][]) =>
    Object.fromEntries(rules.map(([path, capabilities]) => [path, { capabilities }]))
  return { data: { root: false, exact_paths: tell(exact), glob_paths: tell([...globs, ...segmentWildcards]) } }
}

async function ofPath(services: InternalServices, call: Call<typeof pathFields>): Promise<Reply> {
  const { path } = call.data
  const acl = await callersAcl(services, call)
  const mounted = await services.mounts.find(path)
  // One text whether the mount is missing or hidden: the answer must not tell which mounts there are.
  if (!acl || !mounted || !acl.mayReachBelow(mounted.route)) {
    throw new ApiError(
      'permission_denied',
      `preflight capability check returned 403, please ensure client's policies grant access to path "${path.endsWith('/') ? path : `${path}/`}"`,
    )
  }
  return { data: { ...describeMount(mounted), path: mounted.route } }
}
