/** Data of versioned secrets: read, write, patch, delete the current version; and the names in it without the values. */
import { type Call, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { type Field, type Fields, isObject } from '#sdk/schema.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { expiryWarnings } from './expiry.ts'
import { mergePatch } from './merge.ts'
import { changeSecret } from './change.ts'
import { path, secretKey, versionKey } from './paths.ts'
import { countRead } from './reads.ts'
import {
  type Change,
  type SecretEntry,
  type Stored,
  type VersionEntry,
  asSecret,
  firstVersion,
  isDeleted,
  newSecret,
  packed,
  versionInfo,
  versionOf,
} from './secret.ts'
import { type Settings, SETTINGS_KEY, deletionMs, noSettings, versionsToKeep } from './settings.ts'

const version = { type: 'integer', about: 'Version to read; 0: the current one.', query: true } as const satisfies Field
const readFields = { path, version } as const satisfies Fields
const writeFields = {
  path,
  version: { ...version, about: 'Not used by writes.' },
  data: { type: 'map', about: 'Names and values of the secret.' },
  options: { type: 'map', about: 'Options of this write: cas, the version it replaces (0: none yet).' },
} as const satisfies Fields
const subkeyFields = {
  path,
  version,
  depth: { type: 'integer', about: 'How many levels of names to tell; 0: all.', query: true },
} as const satisfies Fields

export const dataPath: Path = {
  pattern: 'data/*path',
  readsOnly: true,
  about: 'Data of a secret.',
  exists: secretExists,
  operations: {
    read: endpoint('Read a version, by default the current one.', readFields, readData),
    update: endpoint('Write a new version.', writeFields, writeData),
    patch: endpoint('Write a new version: the current one with changes (JSON merge patch).', writeFields, patchData),
    delete: endpoint('Delete the current version; it can be restored.', readFields, deleteCurrent),
  },
}

export const subkeysPath: Path = {
  pattern: 'subkeys/*path',
  readsOnly: true,
  about: 'Names in the data of a secret.',
  operations: { read: endpoint('Read the names in a version, without the values.', subkeyFields, readSubkeys) },
}

export async function secretExists({ mount, data }: Call): Promise<boolean> {
  return (await mount.storage.get<Stored>(secretKey(data['path'] as string))) !== undefined
}

async function readData({ mount, data, caller }: Call<typeof readFields>): Promise<Reply> {
  const nowMs = mount.clock.now().getTime()
  const found = await readVersion(mount.storage, data.path, data.version, nowMs)
  if (!found) return {}
  const { secret, info, value } = found
  if (!value) return { data: { data: null, metadata: info }, status: 404 }
  countRead(mount, data.path, secret.created_ms, caller, nowMs)
  const warnings = expiryWarnings(secret, nowMs)
  return warnings ? { data: { data: value, metadata: info }, warnings } : { data: { data: value, metadata: info } }
}

async function readSubkeys({ mount, data }: Call<typeof subkeyFields>): Promise<Reply> {
  const found = await readVersion(mount.storage, data.path, data.version, mount.clock.now().getTime())
  if (!found) return {}
  const { info, value } = found
  if (!value) return { data: { metadata: info, subkeys: null }, status: 404 }
  return { data: { metadata: info, subkeys: namesOnly(value, data.depth ?? 0) } }
}

interface FoundVersion {
  secret: SecretEntry
  info: Record<string, unknown>
  /** Undefined when it is deleted or destroyed. */
  value: Record<string, unknown> | undefined
}

async function readVersion(
  storage: Storage,
  secretPath: string,
  wanted: number | undefined,
  nowMs: number,
): Promise<FoundVersion | undefined> {
  const stored = await storage.get<Stored>(secretKey(secretPath))
  if (!stored) return undefined
  const secret = asSecret(stored)
  const number = wanted !== undefined && wanted > 0 ? wanted : secret.current_version
  const entry = versionOf(secret, number)
  if (!entry) return undefined
  const info = versionInfo(secret, number)
  if (entry[2] === 1 || isDeleted(entry, nowMs)) return { secret, info, value: undefined }
  if (number === secret.current_version) return { secret, info, value: secret.data! }
  const older = await storage.get<VersionEntry>(versionKey(secretPath, number))
  // Dropped or destroyed between the two look-ups: then it is as if it had never been there.
  return older && { secret, info, value: older.data }
}

/** The same object with null in place of each value that is not an object with members, or that lies at `depth`. */
function namesOnly(value: Record<string, unknown>, depth: number): Record<string, unknown> {
  const names = Object.entries(value).map(([name, each]): [string, unknown] => {
    const inner = isObject(each) && Object.keys(each).length > 0 && depth !== 1
    return [name, inner ? namesOnly(each, depth - 1) : null]
  })
  return Object.fromEntries(names)
}

async function writeData({ mount, data, body }: Call<typeof writeFields>): Promise<Reply> {
  const value = givenData(data.data, body)
  return mount.storage.transact(async (transaction) => {
    const nowMs = mount.clock.now().getTime()
    const settings = (await transaction.get<Settings>(SETTINGS_KEY)) ?? noSettings
    const stored = await transaction.get<Stored>(secretKey(data.path))
    const secret = stored ? asSecret(stored) : newSecret(nowMs)
    checkReplaced(secret, settings, data.options)
    return addVersion(transaction, { secretPath: data.path, secret, settings, value, nowMs })
  })
}

async function patchData({ mount, data, body }: Call<typeof writeFields>): Promise<Reply> {
  const patch = givenData(data.data, body)
  return mount.storage.transact(async (transaction): Promise<Reply> => {
    const nowMs = mount.clock.now().getTime()
    const settings = (await transaction.get<Settings>(SETTINGS_KEY)) ?? noSettings
    const stored = await transaction.get<Stored>(secretKey(data.path))
    if (!stored) return { status: 404 }
    const secret = asSecret(stored)
    checkReplaced(secret, settings, data.options)
    const current = versionOf(secret, secret.current_version)
    if (!current) return { status: 404 }
    if (current[2] === 1 || isDeleted(current, nowMs)) {
      return { data: versionInfo(secret, secret.current_version), status: 404 }
    }
    const value = mergePatch(secret.data!, patch)
    return addVersion(transaction, { secretPath: data.path, secret, settings, value, nowMs })
  })
}

/** The data of a write; given as null it is empty, not given at all it is refused. */
function givenData(data: Record<string, unknown> | undefined, body: Record<string, unknown>): Record<string, unknown> {
  if (data !== undefined) return data
  if (Object.hasOwn(body, 'data')) return {}
  throw new ApiError('invalid_request', 'no data provided')
}

/**
 * Check and set: a write that names the version it replaces is refused if that is no longer the current one. Runs in the
 * transaction of the write, since between a check and a write apart from it another write could pass the same check.
 */
export function checkReplaced(
  secret: SecretEntry,
  settings: Settings,
  options: Record<string, unknown> | undefined,
): void {
  if (options && Object.hasOwn(options, 'cas')) {
    if (castVersion(options['cas']) !== secret.current_version) {
      throw new ApiError('invalid_request', 'check-and-set parameter did not match the current version')
    }
  } else if (settings.cas_required || secret.cas_required) {
    throw new ApiError('invalid_request', 'check-and-set parameter required for this call')
  }
}

export function castVersion(given: unknown): number {
  if (given === null || given === '') return 0
  if (typeof given === 'number') return Math.trunc(given)
  if (typeof given === 'boolean') return Number(given)
  if (typeof given === 'string' && /^[+-]?\d+$/.test(given)) return Number(given)
  throw new ApiError('invalid_request', 'error parsing check-and-set parameter')
}

interface Addition {
  secretPath: string
  secret: SecretEntry
  settings: Settings
  value: Record<string, unknown>
  nowMs: number
  /** What undo sees afterwards; a write unless something else is said. */
  last?: Change
}

/** Makes `value` the current version, moves the one before to an entry of its own and drops those that are too many. */
export function addVersion(
  transaction: StorageTransaction,
  { secretPath, secret, settings, value, nowMs, last }: Addition,
): Reply {
  const current = secret.current_version + 1
  const keep = versionsToKeep(settings.max_versions, secret.max_versions)
  const deletedMs = deletionMs(nowMs, settings.delete_version_after_seconds, secret.delete_version_after_seconds)
  const versions = [...secret.versions, [nowMs, deletedMs, 0] as SecretEntry['versions'][number]]
  // As the Vault API counts it: from the moment on that as many versions are there as are kept.
  const full = current - secret.oldest_version >= keep
  const oldest = full ? current - keep + 1 : secret.oldest_version
  const dropped = Math.max(0, oldest - firstVersion(secret))

  const { data: previous, ...rest } = secret
  if (previous && secret.current_version >= oldest) {
    transaction.put<VersionEntry>(versionKey(secretPath, secret.current_version), { data: previous })
  }
  for (let number = firstVersion(secret); number < oldest && number < secret.current_version; number++) {
    transaction.delete(versionKey(secretPath, number))
  }
  const next: SecretEntry = {
    ...rest,
    updated_ms: nowMs,
    current_version: current,
    oldest_version: oldest,
    versions: versions.slice(dropped),
    data: value,
    last,
  }
  transaction.put(secretKey(secretPath), packed(next))
  const warnings = expiryWarnings(next, nowMs)
  return { data: versionInfo(next, current), ...(warnings && { warnings }) }
}

async function deleteCurrent({ mount, data }: Call<typeof readFields>): Promise<Reply> {
  await changeSecret(mount, data.path, (secret, nowMs) => {
    const last = secret.versions.at(-1)
    if (!last || last[2] === 1 || isDeleted(last, nowMs)) return undefined
    const before: [number, number][] = [[secret.current_version, last[1]]]
    const versions: SecretEntry['versions'] = [...secret.versions.slice(0, -1), [last[0], nowMs, 0]]
    return { ...secret, versions, last: { kind: 'delete', before } }
  })
  return {}
}
