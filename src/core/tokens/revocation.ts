/**
 * The end of tokens. A token dies in one transaction, which also leaves `gone/<id>`: what hung on it (children, cubbyhole,
 * leases) is cleaned up afterwards, and after a crash by whoever finds that mark. Its descendants are refused from the
 * moment it died, since lookups walk up; each of them dies in the same way when its turn comes.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { dueAt, type Expiry } from './expiry.ts'
import type { TokenEntry } from './token.ts'

/** Tokens of one transaction. */
const BATCH = 100
/** Names of one look into an index. */
const PAGE = 1000
/** To free the children of a token that goes on making some. */
const MAX_ATTEMPTS = 100
/** How many are told at once. */
const AT_ONCE = 16

interface GoneEntry {
  /** If not the id. */
  cubbyhole?: string
}

export interface Revoked {
  id: string
  cubbyhole: string
}

export type RevokeListener = (revoked: Revoked) => Promise<void>

export class Revocation {
  readonly listeners: RevokeListener[] = []
  readonly #storage: Storage
  readonly #expiry: Expiry

  constructor(storage: Storage, expiry: Expiry) {
    this.#storage = storage
    this.#expiry = expiry
  }

  async revoke(ids: readonly string[]): Promise<void> {
    await this.#endAll(ids)
  }

  /** End those of `ids` whose time has come. A renewal that came first wins. */
  async expire(ids: readonly string[], nowMs: number): Promise<void> {
    await this.#endAll(ids, (entry) => dueAt(entry) !== 0 && dueAt(entry) <= nowMs)
  }

  /** Children first become orphans, some at a time; the token itself goes when none is left. Cut off, it simply lives on. */
  async revokeOrphan(id: string): Promise<void> {
    let ended = false
    for (let attempt = 1; !ended; attempt++) {
      if (attempt > MAX_ATTEMPTS)
        throw new ApiError('storage_failed', 'the token makes children faster than they can be freed')
      await this.#freeChildren(id)
      ended = await this.#storage.transact(async (transaction) => {
        if ((await transaction.keys(`child/${id}/`, { limit: 1 })).length > 0) return false
        await this.#endOne(transaction, id)
        return true
      })
    }
    await this.clean([id])
  }

  /** Clean up after dead tokens and all below them. Does nothing where nothing is left to do. */
  async clean(ids: readonly string[]): Promise<void> {
    // Depth first, a page of children at a time: what waits here is bounded by the depth of the tree times a page.
    const open = [...ids]
    const finished: Revoked[] = []
    while (open.length > 0) {
      const id = open.pop()!
      const mark = await this.#storage.get<GoneEntry>(`gone/${id}`)
      if (mark === undefined) continue
      const children = await this.#children(id)
      if (children.length > 0) {
        await this.#storage.transact(async (transaction) => {
          for (const child of children) {
            await this.#endOne(transaction, child)
            transaction.delete(`child/${id}/${child}`)
          }
        })
        open.push(id, ...children)
        continue
      }
      finished.push({ id, cubbyhole: mark.cubbyhole ?? id })
      if (finished.length >= BATCH) await this.#finish(finished.splice(0))
    }
    await this.#finish(finished)
  }

  async resume(): Promise<void> {
    let page: string[]
    while ((page = await this.#storage.list('gone/', { limit: BATCH })).length > 0) await this.clean(page)
  }

  /** Index entries of tokens that are not there. None should be; a restored backup may bring some. */
  async tidy(): Promise<void> {
    await this.#eachName('child/', async (name) => {
      const parent = name.slice(0, -1)
      if ((await this.#storage.get(`id/${parent}`)) !== undefined) return
      await this.#storage.transact(async (transaction) => {
        if ((await transaction.get(`id/${parent}`)) === undefined) transaction.put(`gone/${parent}`, {})
      })
      await this.clean([parent])
    })
  }

  async #eachName(prefix: string, visit: (name: string) => Promise<void>): Promise<void> {
    let after: string | undefined
    let names: string[]
    do {
      names = await this.#storage.list(prefix, { after, limit: PAGE })
      for (const name of names) await visit(name)
      after = names.at(-1)
    } while (names.length === PAGE)
  }

  async #children(id: string): Promise<string[]> {
    const prefix = `child/${id}/`
    return (await this.#storage.keys(prefix, { limit: BATCH })).map((key) => key.slice(prefix.length))
  }

  async #endAll(ids: readonly string[], only?: (entry: TokenEntry) => boolean): Promise<void> {
    for (let from = 0; from < ids.length; from += BATCH) {
      const some = ids.slice(from, from + BATCH)
      await this.#storage.transact(async (transaction) => {
        for (const id of some) await this.#endOne(transaction, id, only)
      })
      await this.clean(some)
    }
  }

  async #endOne(transaction: StorageTransaction, id: string, only?: (entry: TokenEntry) => boolean): Promise<void> {
    const entry = await transaction.get<TokenEntry>(`id/${id}`)
    if (!entry || (only && !only(entry))) return
    transaction.delete(`id/${id}`)
    if (entry.parent !== undefined) transaction.delete(`child/${entry.parent}/${id}`)
    this.#expiry.change(transaction, id, entry, undefined)
    await this.#expiry.count(transaction, id, entry, -1, false)
    const mark: GoneEntry = entry.cubbyhole === undefined ? {} : { cubbyhole: entry.cubbyhole }
    transaction.put(`gone/${id}`, mark)
  }

  async #freeChildren(id: string): Promise<void> {
    let children: string[]
    while ((children = await this.#children(id)).length > 0) {
      const some = children
      await this.#storage.transact(async (transaction) => {
        for (const child of some) {
          const { parent: _, generation: __, ...orphan } = (await transaction.get<TokenEntry>(`id/${child}`)) ?? {}
          if ('path' in orphan) transaction.put(`id/${child}`, orphan)
          transaction.delete(`child/${id}/${child}`)
        }
      })
    }
  }

  /** Tell everybody, and only then forget: a listener that fails is asked again later. */
  async #finish(dead: readonly Revoked[]): Promise<void> {
    for (let from = 0; from < dead.length; from += AT_ONCE) {
      const some = dead.slice(from, from + AT_ONCE)
      await Promise.all(some.flatMap((each) => this.listeners.map((listener) => listener(each))))
    }
    if (dead.length === 0) return
    await this.#storage.transact(async (transaction) => {
      for (const { id } of dead) transaction.delete(`gone/${id}`)
    })
  }
}
