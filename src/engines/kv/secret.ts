/**
 * A secret with versions, as it is stored: settings, version table and the data of the current version in one entry, so
 * that the usual read costs one look-up. Data of older versions lies in entries of their own. Pure.
 */
import { type Exact, plainData } from '#lib/exact-json.ts'
import { rfc3339 } from '#lib/time.ts'

/** When made, when deleted or to be deleted (0: never), both in milliseconds since 1970; 1 when destroyed. */
export type Version = [createdMs: number, deletionMs: number, destroyed: 0 | 1]

/** The settings of a secret that a change of its metadata changes. */
export type Metadata = Pick<
  SecretEntry,
  | 'max_versions'
  | 'cas_required'
  | 'metadata_cas_required'
  | 'delete_version_after_seconds'
  | 'custom_metadata'
  | 'owner'
  | 'expires_ms'
>

export type Change =
  /** Versions were deleted or restored: what stood in their table before, `deletionMs` by number. */
  | { kind: 'delete' | 'undelete'; before: [number: number, deletionMs: number][] }
  /** Null: there was no secret before. */
  | { kind: 'metadata'; before: Metadata | null }
  | { kind: 'destroy' }
  | { kind: 'undo' }

export interface SecretEntry {
  created_ms: number
  updated_ms: number
  /** Counts changes of the settings, not of the data. */
  metadata_version: number
  /** 0: as the mount says. */
  max_versions: number
  cas_required: boolean
  metadata_cas_required: boolean
  /** 0: as the mount says; -1: never. */
  delete_version_after_seconds: number
  custom_metadata: Record<string, string> | null
  /** Empty: nobody. */
  owner: string
  /** When it should have been replaced, in milliseconds since 1970; 0: never. */
  expires_ms: number
  /** What undo would take back, unless it is a write; that is the usual case and leaves no trace of its own. */
  last?: Change | undefined
  /** 0 until a version has been dropped or is about to be, as the Vault API shows it. */
  oldest_version: number
  current_version: number
  /** One each for consecutive versions, the current one last. */
  versions: Version[]
  /** Of the current version; absent when that is destroyed or there is none yet. */
  data?: Record<string, unknown>
}

/** A secret as version 1 of the engine keeps it, in the same place. */
export type PlainEntry = Exact & { written_ms: number }

/** A secret in storage: members with their usual value are left out, since most secrets have nothing else. */
export type PackedSecret = Pick<SecretEntry, 'created_ms' | 'current_version' | 'versions'> & Partial<SecretEntry>

export type Stored = PackedSecret | PlainEntry

/** Data of a version that is not the current one. */
export interface VersionEntry {
  data: Record<string, unknown>
}

export function newSecret(nowMs: number): SecretEntry {
  return {
    created_ms: nowMs,
    updated_ms: nowMs,
    metadata_version: 0,
    max_versions: 0,
    cas_required: false,
    metadata_cas_required: false,
    delete_version_after_seconds: 0,
    custom_metadata: null,
    owner: '',
    expires_ms: 0,
    oldest_version: 0,
    current_version: 0,
    versions: [],
  }
}

/**
 * What version 2 sees of an entry. One that version 1 wrote is seen as a secret with a single version, and becomes one
 * in storage when it is next changed: so an upgrade of the mount is done at once, and nothing can cut it in half.
 */
export function asSecret(stored: Stored): SecretEntry {
  if ('versions' in stored) return { ...newSecret(stored.created_ms), ...stored }
  const secret = newSecret(stored.written_ms)
  return { ...secret, current_version: 1, versions: [[stored.written_ms, 0, 0]], data: plainData(stored) }
}

export function packed(secret: SecretEntry): PackedSecret {
  const usual: Partial<Record<string, unknown>> = { ...newSecret(secret.created_ms) }
  const { created_ms, current_version, versions } = secret
  const unusual = Object.entries(secret).filter(([name, value]) => value !== usual[name])
  return { created_ms, current_version, versions, ...Object.fromEntries(unusual) }
}

/** The number of the first version in the table. */
export function firstVersion(secret: SecretEntry): number {
  return secret.current_version - secret.versions.length + 1
}

export function versionOf(secret: SecretEntry, number: number): Version | undefined {
  return secret.versions[number - firstVersion(secret)]
}

export function isDeleted([, deletionMs]: Version, nowMs: number): boolean {
  return deletionMs > 0 && deletionMs <= nowMs
}

/** Empty for never. */
export function timeText(ms: number): string {
  return ms === 0 ? '' : rfc3339(new Date(ms))
}

export interface VersionInfo extends Record<string, unknown> {
  created_time: string
  custom_metadata: Record<string, string> | null
  deletion_time: string
  destroyed: boolean
  version: number
}

/** Facts of versions that were neither deleted nor given metadata, by when they were made. */
const usual = new Map<number, VersionInfo>()
const MAX_USUAL = 10_000

/** What replies say of one version. The usual ones are made once and frozen: a secret that is read often says the same. */
export function versionInfo(secret: SecretEntry, number: number): VersionInfo {
  const version = versionOf(secret, number)!
  const [createdMs, deletionMs, destroyed] = version
  if (deletionMs !== 0 || destroyed === 1 || secret.custom_metadata !== null) return makeInfo(secret, version, number)
  const kept = usual.get(createdMs)
  if (kept?.version === number) return kept
  const info = Object.freeze(makeInfo(secret, version, number))
  if (usual.size >= MAX_USUAL) usual.clear()
  usual.set(createdMs, info)
  return info
}

function makeInfo(secret: SecretEntry, [createdMs, deletionMs, destroyed]: Version, number: number): VersionInfo {
  return {
    created_time: timeText(createdMs),
    custom_metadata: secret.custom_metadata,
    deletion_time: timeText(deletionMs),
    destroyed: destroyed === 1,
    version: number,
  }
}
