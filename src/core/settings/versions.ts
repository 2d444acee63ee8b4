/**
 * Which versions of this program have run on the store, and since when.
 * Storage: `versions` → VersionEntry[], in the order in which they came.
 */
import { rfc3339 } from '#lib/time.ts'
import type { Storage } from '#sdk/storage.ts'

interface VersionEntry {
  version: string
  build_date: string
  timestamp_installed: string
}

export type VersionInfo = Omit<VersionEntry, 'version'> & { previous_version: string | null }

/** The oldest are forgotten first. */
const MAX_VERSIONS = 1000

export class Versions {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** At unseal: nothing is written when this version is known already. */
  async note(version: string, buildDate: string, now: Date): Promise<void> {
    const known = (await this.#storage.get<VersionEntry[]>('versions')) ?? []
    if (known.some((each) => each.version === version)) return
    await this.#storage.update<VersionEntry[]>('versions', (entries = []) =>
      entries.some((each) => each.version === version)
        ? entries
        : [...entries, { version, build_date: buildDate, timestamp_installed: rfc3339(now) }].slice(-MAX_VERSIONS),
    )
  }

  async all(): Promise<Map<string, VersionInfo>> {
    const entries = (await this.#storage.get<VersionEntry[]>('versions')) ?? []
    return new Map(
      entries.map(({ version, ...rest }, at) => [
        version,
        { ...rest, previous_version: at === 0 ? null : entries[at - 1]!.version },
      ]),
    )
  }
}
