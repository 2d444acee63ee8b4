/** Settings of a versioned mount, which hold for every secret that does not say more. Storage: config → Settings. */
import { formatDuration } from '#lib/duration.ts'
import { type Call, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Field, Fields } from '#sdk/schema.ts'

export interface Settings {
  max_versions: number
  cas_required: boolean
  metadata_cas_required: boolean
  /** 0: never, unless the secret says so; -1: never. */
  delete_version_after_seconds: number
}

export const SETTINGS_KEY = 'config'

export const noSettings: Settings = {
  max_versions: 0,
  cas_required: false,
  metadata_cas_required: false,
  delete_version_after_seconds: 0,
}

/** How many versions are kept where neither the mount nor the secret says. */
const DEFAULT_VERSIONS = 10

/**
 * The version table is part of the entry of a secret, and all versions are removed in one transaction: both need an end.
 */
export const MAX_VERSIONS = 5000

export const maxVersions = { type: 'integer', about: 'How many versions to keep; 0: not set.' } as const satisfies Field
export const casRequired = {
  type: 'boolean',
  about: 'Whether each write must say which version it replaces.',
} as const satisfies Field
export const metadataCasRequired = {
  type: 'boolean',
  about: 'Whether each change of the metadata must say which version of the metadata it replaces.',
} as const satisfies Field
export const deleteVersionAfter = {
  type: 'duration',
  about: 'How long after it was written a version is deleted; 0: not set, negative: never.',
} as const satisfies Field

const fields = {
  max_versions: maxVersions,
  cas_required: casRequired,
  metadata_cas_required: metadataCasRequired,
  delete_version_after: deleteVersionAfter,
} as const satisfies Fields

export const settingsPath: Path = {
  pattern: 'config',
  readsOnly: true,
  about: 'Settings for all secrets of this mount.',
  operations: {
    read: endpoint('Read the settings.', {}, readSettings),
    update: endpoint('Change the settings that are given.', fields, writeSettings),
  },
}

async function readSettings({ mount }: Call<Record<never, never>>): Promise<Reply> {
  const settings = (await mount.storage.get<Settings>(SETTINGS_KEY)) ?? noSettings
  return {
    data: {
      cas_required: settings.cas_required,
      delete_version_after: formatDuration(settings.delete_version_after_seconds),
      max_versions: settings.max_versions,
      metadata_cas_required: settings.metadata_cas_required,
    },
  }
}

async function writeSettings({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const versions = data.max_versions === undefined ? undefined : checkedMaxVersions(data.max_versions)
  await mount.storage.update<Settings>(SETTINGS_KEY, (stored) => {
    const settings = stored ?? noSettings
    return {
      max_versions: versions ?? settings.max_versions,
      cas_required: data.cas_required ?? settings.cas_required,
      metadata_cas_required: data.metadata_cas_required ?? settings.metadata_cas_required,
      delete_version_after_seconds: lifetime(data.delete_version_after) ?? settings.delete_version_after_seconds,
    }
  })
  return {}
}

export function checkedMaxVersions(given: number): number {
  if (given < 0 || given > MAX_VERSIONS) {
    throw new ApiError('invalid_request', `max_versions must be between 0 and ${MAX_VERSIONS}`)
  }
  return given
}

/** Every negative time means the same: never. */
export function lifetime<T extends number | undefined>(seconds: T): T | -1 {
  return seconds !== undefined && seconds < 0 ? -1 : seconds
}

/** The greater of the two counts, as the Vault API has it, whatever its documentation says of one overriding the other. */
export function versionsToKeep(mountVersions: number, secretVersions: number): number {
  return Math.max(mountVersions, secretVersions) || DEFAULT_VERSIONS
}

/** When a version written now is deleted, in milliseconds since 1970; 0 for never. The shorter time counts. */
export function deletionMs(nowMs: number, mountSeconds: number, secretSeconds: number): number {
  if (mountSeconds < 0 || secretSeconds < 0) return 0
  const given = [mountSeconds, secretSeconds].filter((seconds) => seconds > 0)
  return given.length === 0 ? 0 : nowMs + Math.min(...given) * 1000
}
