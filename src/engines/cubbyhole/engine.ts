/**
 * Cubbyhole secrets engine: secrets that belong to one token, that nobody else can reach and that go with it.
 *
 * Storage below the mount: <cubbyhole>/<path> → Exact, where <cubbyhole> is the name of the token's area.
 */
import { type Exact, exactOf, restoreExact } from '#lib/exact-json.ts'
import { type Call, type Engine, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { folder, listNames, pageFields, scanNames } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import type { Storage } from '#sdk/storage.ts'

/** Storage keys have at most 1,024 bytes; the rest is for what stands before the path. */
const MAX_PATH_BYTES = 896

const DELETED_AT_ONCE = 500

const fields = { path: { type: 'string', about: 'Path of the secret.', required: true } } as const satisfies Fields
const listFields = {
  path: { type: 'string', about: 'Path of the folder; empty for the top.', default: '' },
  ...pageFields,
} as const satisfies Fields

export const engine: Engine = {
  name: 'cubbyhole',
  about: 'Keeps secrets of one token, which go with it.',
  paths: () => [
    {
      pattern: '*path',
      readsOnly: true,
      about: 'Secrets of the calling token; a secret is any JSON object.',
      arbitrary: true,
      exists: async (call) => (await area(call).get<Exact>(checked(call.data['path'] as string))) !== undefined,
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
  ],
}

/**
 * Removes all that a token kept here, when the token has ended. May be called again if it was cut off.
 *
 * @param storage    of the cubbyhole mount
 * @param cubbyhole  name of the token's area
 */
export async function dropCubbyhole(storage: Storage, cubbyhole: string): Promise<void> {
  // An empty name would mean the areas of all tokens.
  if (cubbyhole === '' || cubbyhole.includes('/')) throw new Error('not the name of a cubbyhole')
  const own = storage.below(`${cubbyhole}/`)
  for (;;) {
    const keys = await own.keys('', { limit: DELETED_AT_ONCE })
    if (keys.length === 0) return
    await own.transact(async (transaction) => {
      for (const key of keys) transaction.delete(key)
    })
  }
}

async function read(call: Call<typeof fields>): Promise<Reply> {
  const entry = await area(call).get<Exact>(checked(call.data.path))
  return entry ? { data: restoreExact(entry) } : {}
}

async function write(call: Call<typeof fields>): Promise<Reply> {
  if (Object.keys(call.body).length === 0) throw new ApiError('invalid_request', 'missing data fields')
  await area(call).put<Exact>(checked(call.data.path), exactOf(call.body, call.bodyText))
  return {}
}

async function remove(call: Call<typeof fields>): Promise<Reply> {
  await area(call).delete(checked(call.data.path))
  return {}
}

async function listing(call: Call<typeof listFields>, lister: typeof listNames): Promise<Reply> {
  const { path, after, limit } = call.data
  const names = await lister(area(call), path === '' ? '' : checked(folder(path)), { after, limit })
  return names.length === 0 ? {} : { data: { keys: names } }
}

/** Where the caller's secrets lie; every key of a handler is below it. */
function area({ mount, caller }: Pick<Call, 'mount' | 'caller'>): Storage {
  if (!caller || caller.cubbyhole === '') {
    throw new ApiError('invalid_request', 'cubbyhole operations are only supported by "service" type tokens')
  }
  return mount.storage.below(`${caller.cubbyhole}/`)
}

function checked(path: string): string {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new ApiError('invalid_request', `the path is too long: at most ${MAX_PATH_BYTES} bytes`)
  }
  if (path.includes('\0')) throw new ApiError('invalid_request', 'the path has a NUL character')
  return path
}
