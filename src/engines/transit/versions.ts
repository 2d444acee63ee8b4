/** Reading the material of several versions, of which a key may have very many. */
import { setImmediate } from 'node:timers/promises'
import type { Mount } from '#sdk/engine.ts'
import { type KeyEntry, refuse, type VersionEntry, versionPath } from './key.ts'

/** How many are read at once. */
const AT_ONCE = 64
/** After so much time others have their turn. */
const TURN_MS = 5

/**
 * From `first` to the latest.
 *
 * @throws ApiError `invalid_request` if the key was trimmed or deleted since it was looked up
 */
export async function allVersions(mount: Mount, key: Readonly<KeyEntry>, first: number): Promise<VersionEntry[]> {
  const versions: VersionEntry[] = []
  for (let start = first; start <= key.latest_version; start += AT_ONCE) {
    const part = Array.from({ length: Math.min(AT_ONCE, key.latest_version - start + 1) }, (_, index) => start + index)
    const found = await Promise.all(
      part.map((version) => mount.storage.get<VersionEntry>(versionPath(key.id, version))),
    )
    for (const version of found) versions.push(version ?? refuse('this version of the key is not there any more'))
    await setImmediate()
  }
  return versions
}

/** What `make` makes of each: for RSA that takes a millisecond or two. */
export async function ofEach<T>(
  versions: readonly VersionEntry[],
  make: (version: VersionEntry, index: number) => T,
): Promise<T[]> {
  const made: T[] = []
  let turnEnds = performance.now() + TURN_MS
  for (const [index, version] of versions.entries()) {
    made.push(make(version, index))
    if (performance.now() < turnEnds) continue
    await setImmediate()
    turnEnds = performance.now() + TURN_MS
  }
  return made
}
