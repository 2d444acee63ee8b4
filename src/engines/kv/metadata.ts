/** What is known of a secret beside its data: settings of its own, notes of its users, the table of versions. */
import { formatDuration } from '#lib/duration.ts'
import { type Call, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { MAX_LISTED, folder, listNames, pageFields, scanNames } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import type { Storage } from '#sdk/storage.ts'
import { checkCustomMetadata, customMetadata } from './custom.ts'
import { secretExists } from './data.ts'
import { describeOwnership, expiryWarnings, newOwnership, ownershipFields } from './expiry.ts'
import { followNotes } from './notes.ts'
import { folderPath, listingPrefix, path, secretKey, versionKey } from './paths.ts'
import { describeReads, forgetCounted, removeReads } from './reads.ts'
import {
  type Metadata,
  type SecretEntry,
  type Stored,
  asSecret,
  firstVersion,
  newSecret,
  packed,
  timeText,
} from './secret.ts'
import {
  type Settings,
  SETTINGS_KEY,
  casRequired,
  checkedMaxVersions,
  deleteVersionAfter,
  lifetime,
  maxVersions,
  metadataCasRequired,
  noSettings,
} from './settings.ts'

const readFields = {
  path,
  reads: { type: 'boolean', about: 'Tell who read it last, when, and how often it was read.', query: true },
} as const satisfies Fields
const deleteFields = { path } as const satisfies Fields
const listFields = { path: folderPath, ...pageFields } as const satisfies Fields
const writeFields = {
  path,
  max_versions: maxVersions,
  cas_required: casRequired,
  delete_version_after: deleteVersionAfter,
  custom_metadata: { type: 'map', about: 'Names and texts to keep with the secret.' },
  metadata_cas: { type: 'integer', about: 'Version of the metadata that this change replaces; 0: none yet.' },
  metadata_cas_required: metadataCasRequired,
  ...ownershipFields,
} as const satisfies Fields

type WriteCall = Call<typeof writeFields>

/** The most secrets whose metadata one answer tells: each costs a look-up. */
const MAX_DETAILED = 10_000
const DETAILED_AT_ONCE = 64

export const metadataPaths: readonly Path[] = [
  {
    pattern: 'metadata/*path',
    readsOnly: true,
    about: 'Settings and versions of a secret.',
    exists: secretExists,
    operations: {
      read: endpoint('Read the metadata of a secret.', readFields, readMetadata),
      list: endpoint('List the names in a folder.', listFields, (call) => listing(call, listNames)),
      scan: endpoint('List the names in a folder and in all folders below.', listFields, (call) =>
        listing(call, scanNames),
      ),
      update: endpoint('Change the settings that are given.', writeFields, writeMetadata),
      patch: endpoint('Change the settings that are given, by JSON merge patch.', writeFields, patchMetadata),
      delete: endpoint('Remove a secret with all its versions for good.', deleteFields, deleteSecret),
    },
  },
  {
    pattern: 'detailed-metadata/*path',
    readsOnly: true,
    about: 'Listings with the metadata of each secret.',
    operations: {
      list: endpoint('List the secrets in a folder with their metadata.', listFields, (call) =>
        detailed(call, listNames),
      ),
      scan: endpoint('List the secrets in a folder and below with their metadata.', listFields, (call) =>
        detailed(call, scanNames),
      ),
    },
  },
]

async function readMetadata({ mount, data }: Call<typeof readFields>): Promise<Reply> {
  const stored = await mount.storage.get<Stored>(secretKey(data.path))
  if (!stored) return {}
  const secret = asSecret(stored)
  const reads = data.reads ? await describeReads(mount, data.path, secret) : {}
  const warnings = expiryWarnings(secret, mount.clock.now().getTime())
  return { data: { ...describe(secret), ...reads }, ...(warnings && { warnings }) }
}

function describe(secret: SecretEntry): Record<string, unknown> {
  const first = firstVersion(secret)
  const versions = secret.versions.map(([createdMs, deletionMs, destroyed], index): [string, unknown] => [
    String(first + index),
    { created_time: timeText(createdMs), deletion_time: timeText(deletionMs), destroyed: destroyed === 1 },
  ])
  return {
    cas_required: secret.cas_required,
    created_time: timeText(secret.created_ms),
    current_metadata_version: secret.metadata_version,
    current_version: secret.current_version,
    custom_metadata: secret.custom_metadata,
    delete_version_after: formatDuration(secret.delete_version_after_seconds),
    max_versions: secret.max_versions,
    metadata_cas_required: secret.metadata_cas_required,
    ...describeOwnership(secret),
    oldest_version: secret.oldest_version,
    updated_time: timeText(secret.updated_ms),
    versions: Object.fromEntries(versions),
  }
}

type ListCall = Call<typeof listFields>
type Lister = typeof listNames

async function listing({ mount, data }: ListCall, lister: Lister): Promise<Reply> {
  const names = await lister(mount.storage, listingPrefix(folder(data.path)), { after: data.after, limit: data.limit })
  return names.length === 0 ? {} : { data: { keys: names } }
}

async function detailed({ mount, data }: ListCall, lister: Lister): Promise<Reply> {
  const prefix = listingPrefix(folder(data.path))
  const asked = data.limit !== undefined && data.limit > 0 ? data.limit : MAX_LISTED
  const names = await lister(mount.storage, prefix, { after: data.after, limit: Math.min(asked, MAX_DETAILED + 1) })
  if (names.length > MAX_DETAILED) {
    throw new ApiError('too_large', `more than ${MAX_DETAILED} names here: list them in pages with "after" and "limit"`)
  }
  if (names.length === 0) return {}
  const info: [string, unknown][] = []
  for (let start = 0; start < names.length; start += DETAILED_AT_ONCE) {
    info.push(...(await describeAll(mount.storage, prefix, names.slice(start, start + DETAILED_AT_ONCE))))
  }
  return { data: { key_info: Object.fromEntries(info), keys: names } }
}

async function describeAll(storage: Storage, prefix: string, names: string[]): Promise<[string, unknown][]> {
  const secrets = names.filter((name) => !name.endsWith('/'))
  const stored = await Promise.all(secrets.map((name) => storage.get<Stored>(prefix + name)))
  return secrets.flatMap((name, index): [string, unknown][] => {
    const entry = stored[index]
    return entry ? [[name, describe(asSecret(entry))]] : []
  })
}

function writeMetadata(call: WriteCall): Promise<Reply> {
  const notes = customMetadata(call.data.custom_metadata)
  return change(call, true, (secret) => (given(call, 'custom_metadata') ? notes.all : secret.custom_metadata))
}

function patchMetadata(call: WriteCall): Promise<Reply> {
  const notes = customMetadata(call.data.custom_metadata)
  return change(call, false, (secret) => {
    if (!given(call, 'custom_metadata')) return secret.custom_metadata
    return call.data.custom_metadata === undefined ? null : notes.mergedInto(secret.custom_metadata)
  })
}

/** Whether a field was given, be it as null: null puts a setting back to what it was at first. */
function given({ body }: WriteCall, name: keyof typeof writeFields): boolean {
  return Object.hasOwn(body, name)
}

type NewNotes = (secret: SecretEntry) => Record<string, string> | null

async function change(call: WriteCall, creates: boolean, newNotes: NewNotes): Promise<Reply> {
  const { mount, data } = call
  const settingNames = [
    'max_versions',
    'cas_required',
    'delete_version_after',
    'custom_metadata',
    'metadata_cas_required',
    'owner',
    'expires_at',
    'expires_in',
  ] as const
  const changes = settingNames.some((name) => given(call, name))
  if (!changes && creates) return {}
  const versions = checkedMaxVersions(data.max_versions ?? 0)
  return mount.storage.transact(async (transaction): Promise<Reply> => {
    const settings = (await transaction.get<Settings>(SETTINGS_KEY)) ?? noSettings
    const stored = await transaction.get<Stored>(secretKey(data.path))
    if (!stored && !creates) return { status: 404 }
    if (!changes) return {}
    const nowMs = mount.clock.now().getTime()
    const secret = stored ? asSecret(stored) : newSecret(nowMs)
    checkMetadataReplaced(stored ? secret : undefined, settings, data.metadata_cas)
    const next: SecretEntry = {
      ...secret,
      updated_ms: nowMs,
      metadata_version: secret.metadata_version + 1,
      custom_metadata: checkCustomMetadata(newNotes(secret)),
      ...newOwnership(data, (name) => given(call, name), nowMs),
      last: { kind: 'metadata', before: stored ? metadataOf(secret) : null },
    }
    if (given(call, 'max_versions')) next.max_versions = versions
    if (given(call, 'cas_required')) next.cas_required = data.cas_required ?? false
    if (given(call, 'metadata_cas_required')) next.metadata_cas_required = data.metadata_cas_required ?? false
    if (given(call, 'delete_version_after')) {
      next.delete_version_after_seconds = lifetime(data.delete_version_after ?? 0)
    }
    transaction.put(secretKey(data.path), packed(next))
    followNotes(transaction, data.path, stored && secret, next)
    const warnings = overruled(settings, data)
    return warnings.length > 0 ? { warnings } : {}
  })
}

/** Check and set for the metadata, in the transaction of the change. */
export function checkMetadataReplaced(
  secret: SecretEntry | undefined,
  settings: Settings,
  replaced: number | undefined,
): void {
  if (replaced === undefined) {
    if (settings.metadata_cas_required || secret?.metadata_cas_required) {
      throw new ApiError('invalid_request', 'metadata check-and-set parameter required for this call')
    }
  } else if (!secret) {
    if (replaced !== 0) throw new ApiError('invalid_request', 'metadata_cas must be 0 when creating new metadata')
  } else if (replaced !== secret.metadata_version) {
    throw new ApiError('invalid_request', 'metadata check-and-set parameter does not match the current version')
  }
}

/** Settings that the mount's own make useless. */
function overruled(settings: Settings, data: WriteCall['data']): string[] {
  const useless = [
    ['cas_required', settings.cas_required && data.cas_required === false],
    ['metadata_cas_required', settings.metadata_cas_required && data.metadata_cas_required === false],
  ] as const
  return useless
    .filter(([, is]) => is)
    .map(([name]) => `"${name}" set to false, but is mandated by backend config. This value will be ignored.`)
}

export function metadataOf(secret: SecretEntry): Metadata {
  const { max_versions, cas_required, metadata_cas_required, delete_version_after_seconds } = secret
  const { custom_metadata, owner, expires_ms } = secret
  return {
    max_versions,
    cas_required,
    metadata_cas_required,
    delete_version_after_seconds,
    custom_metadata,
    owner,
    expires_ms,
  }
}

async function deleteSecret({ mount, data }: Call<typeof deleteFields>): Promise<Reply> {
  await mount.storage.transact(async (transaction) => {
    const stored = await transaction.get<Stored>(secretKey(data.path))
    if (!stored) return
    const secret = asSecret(stored)
    for (let number = firstVersion(secret); number < secret.current_version; number++) {
      transaction.delete(versionKey(data.path, number))
    }
    transaction.delete(secretKey(data.path))
    followNotes(transaction, data.path, secret, undefined)
    removeReads(transaction, data.path)
  })
  forgetCounted(mount, data.path)
  return {}
}
