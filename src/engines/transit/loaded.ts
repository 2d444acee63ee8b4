/**
 * Parsed material of the versions in use. It hangs on the entry of its key, an object that lives until the key changes or
 * the server is sealed: so nothing here can outlive either, and no look-up can find what belongs to an older key.
 */
import type { Mount } from '#sdk/engine.ts'
import type { Storage } from '#sdk/storage.ts'
import { type KeyEntry, refuse, type VersionEntry, versionPath } from './key.ts'
import { type Material, parse } from './material.ts'
import { keyTypes } from './types.ts'

/** Storage of the settings: `cache` → CacheSettings. */
export interface CacheSettings {
  /** How many keys' material is kept; 0: as many as MAX_KEYS. */
  size: number
}

export const CACHE_KEY = 'config/cache'

export const MAX_KEYS = 10_000
const MAX_VERSIONS_OF_A_KEY = 64

/** Frozen by storage, and one object until the key changes. */
type Shared = Readonly<KeyEntry>

const loaded = new WeakMap<Shared, Map<number, Material>>()

/** Of each mount the keys whose material is kept, the oldest first. */
const recent = new WeakMap<Storage, Set<WeakRef<Shared>>>()

/** What is known already; on most requests this is all. */
export function kept(key: Shared, version: number): Material | undefined {
  return loaded.get(key)?.get(version)
}

/** @throws ApiError `invalid_request` if the key was trimmed or deleted since it was looked up */
export async function materialOf(mount: Mount, key: Shared, version: number): Promise<Material> {
  const known = kept(key, version)
  if (known) return known
  const stored = await mount.storage.get<VersionEntry>(versionPath(key.id, version))
  if (!stored) refuse('this version of the key is not there any more')
  const material = parse(keyTypes[key.type], stored)
  await keep(mount, key, version, material)
  return material
}

async function keep(mount: Mount, key: Shared, version: number, material: Material): Promise<void> {
  const versions = loaded.get(key) ?? (await remember(mount, key))
  if (versions.size >= MAX_VERSIONS_OF_A_KEY) versions.delete(versions.keys().next().value!)
  versions.set(version, material)
}

async function remember({ storage }: Mount, key: Shared): Promise<Map<number, Material>> {
  const size = (await storage.getShared<CacheSettings>(CACHE_KEY))?.size ?? 0
  const limit = size === 0 ? MAX_KEYS : Math.min(size, MAX_KEYS)
  let keys = recent.get(storage)
  if (!keys) recent.set(storage, (keys = new Set()))
  for (const oldest of keys) {
    if (keys.size < limit) break
    const gone = oldest.deref()
    if (gone) loaded.delete(gone)
    keys.delete(oldest)
  }
  const other = loaded.get(key)
  if (other) return other
  keys.add(new WeakRef(key))
  const versions = new Map<number, Material>()
  loaded.set(key, versions)
  return versions
}
