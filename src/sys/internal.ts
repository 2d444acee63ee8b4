/** `sys/internal/ui/mounts`: which mounts a caller may see. The CLI and the UI find a path's mount and its version here. */
import { type AccessServices, aclOf } from '#core/access.ts'
import type { Acl } from '#core/policies/acl.ts'
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'
import { allowedFrom } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { apiVersion } from '#lib/version.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { describeMount } from './mounts.ts'
import { openApiDocument } from './openapi/document.ts'

export interface InternalServices extends AccessServices {
  mounts: Mounts
  tokens: Tokens
  /** Paths that are answered without the barrier, from `sys/…` on. */
  barePaths(): readonly Path[]
}

const noFields = {} satisfies Fields
const documentFields = {
  generic_mount_paths: {
    type: 'boolean',
    about: 'One mount of each kind, at a path that is a parameter.',
    default: false,
  },
  context: { type: 'string', about: 'Accepted for compatibility.' },
} satisfies Fields
const pathFields = { path: { type: 'string', about: 'A path below the mount.', required: true } } satisfies Fields

export function internalPaths(services: InternalServices): Path[] {
  const openApi = endpoint(
    'This API as an OpenAPI 3.0 document, as far as the caller may see mounts.',
    documentFields,
    (call) => document(services, call),
  )
  return [
    {
      pattern: 'internal/specs/openapi',
      unauthenticated: true,
      seesToken: true,
      operations: { read: openApi, update: openApi },
    },
    {
      pattern: 'internal/ui/namespaces',
      unauthenticated: true,
      seesToken: true,
      operations: {
        read: endpoint('The namespaces a caller may see.', noFields, (call) => namespaces(services, call)),
      },
    },
    {
      pattern: 'internal/ui/feature-flags',
      unauthenticated: true,
      operations: {
        read: endpoint('What the web interface has to know of the server.', noFields, async () =>
          bare({ feature_flags: [] }),
        ),
      },
    },
    {
      pattern: 'internal/ui/version',
      operations: {
        read: endpoint('The version of the API.', noFields, async () => ({ data: { version: apiVersion } })),
      },
    },
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

function isShown(acl: Acl | undefined, mounted: Mounted): boolean {
  return mounted.entry.config.listing_visibility === 'unauth' || (acl?.mayReachBelow(mounted.route) ?? false)
}

async function document(services: InternalServices, call: Call<typeof documentFields>): Promise<Reply> {
  const acl = await callersAcl(services, call)
  const all = [...(await services.mounts.all('secret')), ...(await services.mounts.all('auth'))]
  const mounts = all.filter((mounted) => !mounted.entry.tainted && isShown(acl, mounted))
  const options = {
    mounts,
    bare: services.barePaths(),
    generic: call.data.generic_mount_paths,
    version: call.hidesVersion ? '' : apiVersion,
  }
  return { raw: { contentType: 'application/json', body: await openApiDocument(options) } }
}

/** There is one, and who has no token learns nothing of it. */
async function namespaces(services: InternalServices, call: Call): Promise<Reply> {
  return (await callersAcl(services, call)) ? { data: { keys: [''] } } : {}
}

function bare(data: Record<string, unknown>): Reply {
  return { raw: { contentType: 'application/json', body: `${JSON.stringify(data)}\n` } }
}

async function visible(services: InternalServices, call: Call): Promise<Reply> {
  const acl = await callersAcl(services, call)
  const view = async (kind: 'auth' | 'secret') => {
    const seen = (await services.mounts.all(kind)).filter((mounted) => isShown(acl, mounted))
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
