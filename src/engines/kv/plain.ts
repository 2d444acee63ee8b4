/** Version 1 of the engine: a path has one value, and no history. */
import { exactNumberText, exactOf, restoreExact } from '#lib/exact-json.ts'
import { formatDuration, parseDuration } from '#lib/duration.ts'
import { type Call, type MountSettings, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { folder, listNames, pageFields, scanNames } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import { secretExists } from './data.ts'
import { folderPath, listingPrefix, path, secretKey } from './paths.ts'
import type { PlainEntry, Stored } from './secret.ts'

const fields = { path } as const satisfies Fields
const listFields = { path: folderPath, ...pageFields } as const satisfies Fields

type PlainCall = Call<typeof fields>
type ListCall = Call<typeof listFields>

export const plainPaths: readonly Path[] = [
  {
    pattern: '*path',
    readsOnly: true,
    about: 'Secrets by path; a secret is any JSON object.',
    arbitrary: true,
    exists: secretExists,
    operations: {
      read: endpoint('Read a secret.', fields, read),
      list: endpoint('List the names in a folder.', listFields, (call) => listing(call, listNames)),
      scan: endpoint('List the names in a folder and in all folders below.', listFields, (call) =>
        listing(call, scanNames),
      ),
      update: endpoint('Write a secret.', fields, write),
      delete: endpoint('Remove a secret.', fields, remove),
    },
  },
]

async function read({ mount, data }: PlainCall): Promise<Reply> {
  const stored = await mount.storage.get<Stored>(secretKey(data.path))
  if (!stored) return {}
  if ('versions' in stored)
    throw new ApiError('internal', 'internal error', { reason: 'version 2 of kv wrote this entry' })
  const secret = restoreExact(stored)
  const { seconds, warning } = refresh(secret, mount.settings())
  return { data: secret, refreshSeconds: seconds, ...(warning && { warnings: [warning] }) }
}

async function write({ mount, data, body, bodyText }: PlainCall): Promise<Reply> {
  if (Object.keys(body).length === 0) throw new ApiError('invalid_request', 'missing data fields')
  const entry: PlainEntry = { ...exactOf(body, bodyText), written_ms: mount.clock.now().getTime() }
  await mount.storage.put(secretKey(data.path), entry)
  return {}
}

async function remove({ mount, data }: PlainCall): Promise<Reply> {
  await mount.storage.delete(secretKey(data.path))
  return {}
}

async function listing({ mount, data }: ListCall, lister: typeof listNames): Promise<Reply> {
  const names = await lister(mount.storage, listingPrefix(folder(data.path)), { after: data.after, limit: data.limit })
  return names.length === 0 ? {} : { data: { keys: names } }
}

/** How soon to read again: as the secret's own `ttl` or `lease` says, else as long as leases of this mount last. */
function refresh(
  secret: Record<string, unknown>,
  { defaultLeaseTtlSeconds, maxLeaseTtlSeconds }: MountSettings,
): { seconds: number; warning?: string } {
  const given = Object.hasOwn(secret, 'ttl')
    ? secret['ttl']
    : Object.hasOwn(secret, 'lease')
      ? secret['lease']
      : undefined
  const seconds = typeof given === 'number' && !Number.isInteger(given) ? undefined : parseDuration(exactInteger(given))
  if (seconds === undefined || seconds <= 0) return { seconds: defaultLeaseTtlSeconds }
  if (seconds <= maxLeaseTtlSeconds) return { seconds }
  const [asked, most] = [seconds, maxLeaseTtlSeconds].map((each) =>
    formatDuration(each).replace(/m0s$/, 'm').replace(/h0m$/, 'h'),
  )
  return {
    seconds: maxLeaseTtlSeconds,
    warning: `TTL of "${asked}" exceeded the effective max_ttl of "${most}"; TTL value is capped accordingly`,
  }
}

/** A number that kept its text counts if that is an integer: `1.50` is no number of seconds. */
function exactInteger(given: unknown): unknown {
  const text = exactNumberText(given)
  return text === undefined ? given : /^-?\d+$/.test(text) ? text : undefined
}
