/**
 * A mount leaves its path: it is disabled or moved. Requests are refused, those under way waited for, and what the mount
 * gave out is taken back, before anything else changes. A crash at any point leaves a tainted mount that `goOn` goes on with.
 *
 * Storage: `moves` → MoveStatus[], the last ones.
 */
import { randomUUID } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import { isFixed, type Move, type MountEntry, mountPath, routeOf } from './entry.ts'
import { type MountTable, refuseTaken } from './table.ts'
import type { MountUsage } from './usage.ts'

/** Takes back all that a mount gave out: leases, and tokens of an auth method. */
export type RevokeAll = (route: string) => Promise<void>

export interface MoveStatus {
  id: string
  source: string
  target: string
  status: 'in-progress' | 'success' | 'failure'
}

export interface Moving {
  id: string
  /** Never rejects: how it ended stands in its status. */
  done: Promise<void>
}

const MAX_MOVES_KEPT = 100
/** How long requests under way may keep a mount from being moved or disabled. */
const DRAIN_MS = 30_000

/** The other threads of this process that answer for the same mounts. */
export interface OtherThreads {
  /** As MountUsage: nobody comes in there either. @returns whether everybody left within `timeoutMs` */
  close(uuid: string, timeoutMs: number): Promise<boolean>
  open(uuid: string): void
  /** Their engines forget what they keep in memory. */
  reopen(routes: readonly string[]): Promise<void>
}

export class Departure {
  readonly #storage: Storage
  readonly #table: MountTable
  readonly #usageOf: (uuid: string) => MountUsage
  readonly #others: OtherThreads | undefined
  readonly #report: (text: string) => void

  constructor(options: {
    storage: Storage
    table: MountTable
    usageOf: (uuid: string) => MountUsage
    others?: OtherThreads | undefined
    report: (text: string) => void
  }) {
    this.#storage = options.storage
    this.#table = options.table
    this.#usageOf = options.usageOf
    this.#others = options.others
    this.#report = options.report
  }

  /** @throws ApiError `internal` when requests are under way for too long, or what `revokeAll` throws: it stays tainted */
  async disable(entry: MountEntry, revokeAll: RevokeAll): Promise<void> {
    const { uuid } = entry
    if (isFixed(entry)) {
      const auth = entry.kind === 'auth'
      const text = auth ? 'token credential backend cannot be disabled' : `cannot unmount "${routeOf(entry)}"`
      throw new ApiError('invalid_request', text)
    }
    await this.#table.alone(uuid, async () => {
      const current = await this.#table.entry(uuid)
      // Somebody else was faster.
      if (!current) return
      await this.#table.replace(uuid, (each) => ({ ...settled(each), tainted: true }))
      await this.#finish(current, revokeAll)
    })
  }

  /** What the mount gave out is taken back, since leases and tokens are named by the path they came from. */
  async move(entry: MountEntry, to: string, revokeAll: RevokeAll): Promise<Moving> {
    if (isFixed(entry)) throw new ApiError('invalid_request', `cannot remount "${routeOf(entry)}"`)
    if (entry.tainted || this.#table.isWorkedOn(entry.uuid)) throw busy()
    const move: Move = { id: randomUUID(), to: mountPath(entry.kind, to) }
    const moving: MountEntry = { ...entry, moving: move }
    const begun = Promise.withResolvers<void>()
    const done = this.#table.alone(entry.uuid, async () => {
      try {
        await this.#table.change((table) => withMove(table, moving, move))
        await this.#begin(moving)
        begun.resolve()
      } catch (error) {
        begun.reject(error)
        return
      }
      await this.#moveOrStay(moving, revokeAll)
    })
    await begun.promise
    return { id: move.id, done }
  }

  async moveStatus(id: string): Promise<MoveStatus | undefined> {
    return ((await this.#storage.get<MoveStatus[]>('moves')) ?? []).find((each) => each.id === id)
  }

  /**
   * Goes on with what a crash or a failure cut off. One that fails again does not keep the others.
   *
   * @throws Error with the reasons
   */
  async goOn(revokeAll: RevokeAll): Promise<void> {
    const failures: string[] = []
    for (const { uuid, tainted } of (await this.#table.entries()) ?? []) {
      if (!tainted || this.#table.isWorkedOn(uuid)) continue
      try {
        await this.#table.alone(uuid, () => this.#goOnWith(uuid, revokeAll))
      } catch (error) {
        failures.push(textOf(error))
      }
    }
    if (failures.length > 0) throw new Error(failures.join('; '))
  }

  async #goOnWith(uuid: string, revokeAll: RevokeAll): Promise<void> {
    // As it is now: it may have been settled since the list was read, and then it is in use.
    const entry = await this.#table.entry(uuid)
    if (!entry?.tainted) return
    if (entry.moving) await this.#moveOrStay(entry, revokeAll)
    else await this.#finish(entry, revokeAll)
  }

  async #begin(entry: MountEntry): Promise<void> {
    try {
      await this.#note(entry, 'in-progress')
    } catch (error) {
      await this.#stay(entry)
      throw error
    }
  }

  async #finish(entry: MountEntry, revokeAll: RevokeAll): Promise<void> {
    await this.#takeBack(entry, revokeAll)
    await this.#table.remove(entry.uuid)
  }

  async #takeBack(entry: MountEntry, revokeAll: RevokeAll): Promise<void> {
    // Who found it before it was tainted either is inside by now, and is waited for, or is refused at the door.
    const usage = this.#usageOf(entry.uuid)
    usage.close()
    const drained = [usage.drained(DRAIN_MS), ...(this.#others ? [this.#others.close(entry.uuid, DRAIN_MS)] : [])]
    if ((await Promise.all(drained)).includes(false)) {
      throw new ApiError('internal', `requests to ${routeOf(entry)} are under way for too long; it takes no new ones`)
    }
    try {
      await revokeAll(routeOf(entry))
    } catch (error) {
      const code = error instanceof ApiError ? error.code : 'internal'
      throw new ApiError(code, `what ${routeOf(entry)} gave out cannot all be taken back: ${textOf(error)}`, {
        cause: error,
      })
    }
  }

  async #moveOrStay(entry: MountEntry, revokeAll: RevokeAll): Promise<void> {
    const { to } = entry.moving!
    try {
      await this.#takeBack(entry, revokeAll)
      await this.#table.replace(entry.uuid, (current) => ({ ...settled(current), path: to }))
      await this.#note(entry, 'success')
    } catch (error) {
      this.#report(`moving ${routeOf(entry)} to ${to} failed: ${textOf(error)}`)
      await this.#stay(entry)
    } finally {
      this.#usageOf(entry.uuid).open()
      this.#others?.open(entry.uuid)
    }
  }

  /** Where it is, and in use again. */
  async #stay(entry: MountEntry): Promise<void> {
    try {
      await this.#table.replace(entry.uuid, settled)
      await this.#note(entry, 'failure')
    } catch (error) {
      this.#report(`${routeOf(entry)} stays closed, and its move is gone on with later: ${textOf(error)}`)
    }
  }

  async #note(entry: MountEntry, status: MoveStatus['status']): Promise<void> {
    const { id, to } = entry.moving!
    const told = { id, source: routeOf(entry), target: routeOf({ kind: entry.kind, path: to }), status }
    await this.#storage.update<MoveStatus[]>('moves', (moves = []) =>
      [...moves.filter((each) => each.id !== id), told].slice(-MAX_MOVES_KEPT),
    )
  }
}

function withMove(table: MountEntry[], entry: MountEntry, moving: Move): MountEntry[] {
  const current = table.find((each) => each.uuid === entry.uuid)
  if (!current || current.tainted) throw busy()
  refuseTaken(table, { kind: entry.kind, path: moving.to })
  return table.map((each) => (each === current ? { ...each, tainted: true, moving } : each))
}

function settled(entry: MountEntry): MountEntry {
  const { tainted: _, moving: __, ...rest } = entry
  return rest
}

function busy(): ApiError {
  return new ApiError('invalid_request', 'the mount is being made, moved or disabled')
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
