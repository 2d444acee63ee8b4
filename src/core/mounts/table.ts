/** The table of mounts as it is stored: `table` → MountEntry[], and each mount's data below `data/<uuid>/`. */
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import type { MountEntry } from './entry.ts'

const DELETE_BATCH = 500

export class MountTable {
  readonly #storage: Storage
  /** By uuid: what this process is doing to a mount, one thing at a time. */
  readonly #working = new Map<string, Promise<unknown>>()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** See Storage.moment. */
  moment(): number {
    return this.#storage.moment()
  }

  /** The same object as long as nothing changed. */
  async entries(): Promise<readonly MountEntry[] | undefined> {
    return await this.#storage.getShared<MountEntry[]>('table')
  }

  async entry(uuid: string): Promise<MountEntry | undefined> {
    return (await this.entries())?.find((each) => each.uuid === uuid)
  }

  data(uuid: string): Storage {
    return this.#storage.below(`data/${uuid}/`)
  }

  async change(change: (table: MountEntry[]) => MountEntry[]): Promise<void> {
    await this.#storage.update<MountEntry[]>('table', (table) => change(table ?? []))
  }

  /** @param change  gets the entry as it is now */
  async replace(uuid: string, change: (entry: MountEntry) => MountEntry): Promise<void> {
    await this.change((table) => {
      if (!table.some((each) => each.uuid === uuid)) throw new ApiError('invalid_request', 'the mount was removed')
      return table.map((each) => (each.uuid === uuid ? change(each) : each))
    })
  }

  /** With all its data, which goes first: cut off, the entry is still there to go on with. */
  async remove(uuid: string): Promise<void> {
    const area = this.data(uuid)
    for (;;) {
      const keys = await area.keys('', { limit: DELETE_BATCH })
      if (keys.length === 0) break
      await area.transact(async (transaction) => {
        for (const key of keys) transaction.delete(key)
      })
    }
    await this.change((table) => table.filter((each) => each.uuid !== uuid))
  }

  isWorkedOn(uuid: string): boolean {
    return this.#working.has(uuid)
  }

  /** Does it when nothing else is being done to this mount. */
  async alone<T>(uuid: string, go: () => Promise<T>): Promise<T> {
    let other: Promise<unknown> | undefined
    while ((other = this.#working.get(uuid)) !== undefined) await other.catch(() => {})
    const work = go()
    this.#working.set(uuid, work)
    try {
      return await work
    } finally {
      this.#working.delete(uuid)
    }
  }
}

/** @throws ApiError `invalid_request` when a mount is there, above or below */
export function refuseTaken(table: readonly MountEntry[], entry: Pick<MountEntry, 'kind' | 'path'>): void {
  // Where a mount is on its way to is taken as well.
  const paths = table
    .filter(({ kind }) => kind === entry.kind)
    .flatMap(({ path, moving }) => [path, ...(moving ? [moving.to] : [])])
  const taken = paths.find((path) => entry.path.startsWith(path) || path.startsWith(entry.path))
  if (taken !== undefined) throw new ApiError('invalid_request', `path is already in use at ${taken}`)
}
