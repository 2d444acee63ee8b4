/** The end of leases: those that are due, those that somebody ends, and those that end with a token. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Clock } from '#sdk/engine.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { endNow, forget, postpone } from './changes.ts'
import { parseDueKey, pathIn, type Pointer, type SecretLease } from './entry.ts'
import { tokenOfLease, tokensBelow } from './of-tokens.ts'

/** Read and ended together. */
const BATCH = 200
/** Calls to engines under way; also how many tokens that are due end in one go. */
const AT_ONCE = 16
/**
 * Between two such steps of a round, for the requests: a hundred thousand leases that are due in one moment must not be felt
 * by those who read meanwhile. Some 2,000 end in a second.
 */
const PAUSE_MS = 10

export interface SecretCall {
  leaseId: string
  path: string
  /** Accessor of the mount. */
  mount: string
  revoke: Record<string, unknown>
}

/** Within the transaction in which a lease comes (1) or is gone (-1). */
export type CountLease = (transaction: StorageTransaction, leaseId: string, path: string, step: 1 | -1) => Promise<void>

export interface EndingOptions {
  storage: Storage
  clock: Clock
  tokens: Tokens
  revokeSecret: (call: SecretCall) => Promise<void>
  count: CountLease
}

export interface RevokeOptions {
  /** Wait until it is done; true unless said otherwise. */
  sync?: boolean
  /** Forget what cannot be taken back. */
  force?: boolean
}

export class Ending {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #tokens: Tokens
  readonly #revokeSecret: (call: SecretCall) => Promise<void>
  readonly #count: CountLease

  constructor({ storage, clock, tokens, revokeSecret, count }: EndingOptions) {
    this.#storage = storage
    this.#clock = clock
    this.#tokens = tokens
    this.#revokeSecret = revokeSecret
    this.#count = count
  }

  /**
   * End them now, at most a page of them.
   *
   * @returns why those that could not be taken back failed
   */
  async revoke(leaseIds: readonly string[], { sync = true, force = false }: RevokeOptions): Promise<unknown[]> {
    const nowMs = this.#clock.now().getTime()
    const unknown: string[] = []
    const secrets = await this.#storage.transact(async (transaction) => {
      unknown.length = 0
      const ending: string[] = []
      for (const leaseId of leaseIds) {
        const entry = await transaction.get<SecretLease>(`id/${leaseId}`)
        if (entry) {
          ending.push(leaseId)
          endNow(transaction, leaseId, entry, nowMs)
        } else unknown.push(leaseId)
      }
      return ending
    })
    const tokens = await Promise.all(unknown.map((leaseId) => tokenOfLease(this.#tokens, leaseId)))
    await this.#tokens.revokeByIds(tokens.flatMap((token) => (token ? [token.id] : [])))
    return sync || force ? await this.#takeBack(secrets, nowMs, force) : []
  }

  async revokeTokensBelow(prefix: string): Promise<void> {
    const some: string[] = []
    for await (const { id } of tokensBelow(this.#tokens, prefix)) {
      some.push(id)
      if (some.length >= BATCH) await this.#tokens.revokeByIds(some.splice(0))
    }
    await this.#tokens.revokeByIds(some)
  }

  /**
   * End all that is due, in order, some at a time.
   *
   * @returns when the next one is due
   */
  async round(): Promise<number | undefined> {
    await this.#tokens.resume()
    let after: string | undefined
    for (;;) {
      const nowMs = this.#clock.now().getTime()
      const keys = await this.#storage.keys('due/', { after, limit: BATCH })
      const due = keys.filter((key) => parseDueKey(key).dueAtMs <= nowMs)
      await this.#endDue(due, nowMs)
      after = due.at(-1) ?? after
      if (due.length < BATCH) break
    }
    // Asked again, since what failed just now has a new time.
    const [next] = await this.#storage.keys('due/', { after, limit: 1 })
    return next === undefined ? undefined : parseDueKey(next).dueAtMs
  }

  async #endDue(due: readonly string[], nowMs: number): Promise<void> {
    const secrets: string[] = []
    const tokens: string[] = []
    for (const key of due) {
      const { kind, name } = parseDueKey(key)
      if (kind === 't') tokens.push(name)
      else secrets.push(key)
    }
    for (let from = 0; from < tokens.length; from += AT_ONCE) {
      await this.#tokens.expire(tokens.slice(from, from + AT_ONCE))
      await sleep(PAUSE_MS)
    }
    const pointers = await Promise.all(secrets.map((key) => this.#storage.get<Pointer>(key)))
    const leaseIds = pointers.flatMap((pointer) => (pointer ? [pointer.lease] : []))
    // What fails is tried again later, and shown when it was tried too often.
    for (let from = 0; from < leaseIds.length; from += AT_ONCE) {
      await this.#takeBack(leaseIds.slice(from, from + AT_ONCE), nowMs, false)
      await sleep(PAUSE_MS)
    }
  }

  /** @returns why those that failed did; they are tried again later, unless `force` has them forgotten */
  async #takeBack(leaseIds: readonly string[], nowMs: number, force: boolean): Promise<unknown[]> {
    const failures: unknown[] = []
    for (let from = 0; from < leaseIds.length; from += AT_ONCE) {
      failures.push(...(await this.#takeSome(leaseIds.slice(from, from + AT_ONCE), nowMs, force)))
    }
    return force ? [] : failures
  }

  async #takeSome(leaseIds: readonly string[], nowMs: number, force: boolean): Promise<unknown[]> {
    const told = await Promise.all(leaseIds.map((leaseId) => this.#tellEngine(leaseId, nowMs)))
    const tried = told.filter((each) => each !== undefined)
    if (tried.length === 0) return []
    await this.#storage.transact(async (transaction) => {
      for (const { leaseId, failure } of tried) {
        const current = await transaction.get<SecretLease>(`id/${leaseId}`)
        if (!current) continue
        if (failure === undefined || force) {
          forget(transaction, leaseId, current)
          await this.#count(transaction, leaseId, pathIn(leaseId), -1)
        } else postpone(transaction, leaseId, current, nowMs, failure)
      }
    })
    return tried.map(({ failure }) => failure).filter((failure) => failure !== undefined)
  }

  async #tellEngine(leaseId: string, nowMs: number): Promise<{ leaseId: string; failure: unknown } | undefined> {
    const entry = await this.#storage.get<SecretLease>(`id/${leaseId}`)
    // Renewed or ended since it was found to be due.
    if (!entry || entry.expires_at_ms > nowMs) return undefined
    try {
      await this.#revokeSecret({ leaseId, path: entry.path, mount: entry.mount, revoke: entry.revoke })
      return { leaseId, failure: undefined }
    } catch (error) {
      return { leaseId, failure: error ?? new Error('failed') }
    }
  }

  /**
   * A token ended: so does what was made for it, which the worker takes back.
   *
   * @returns whether there was any
   */
  async endOf(tokenId: string): Promise<boolean> {
    let any = false
    const prefix = `owner/${tokenId}/`
    let keys: string[]
    while ((keys = await this.#storage.keys(prefix, { limit: BATCH })).length > 0) {
      const nowMs = this.#clock.now().getTime()
      const some = keys
      await this.#storage.transact(async (transaction) => {
        for (const key of some) {
          const pointer = await transaction.get<Pointer>(key)
          const entry = pointer && (await transaction.get<SecretLease>(`id/${pointer.lease}`))
          transaction.delete(key)
          if (!pointer || !entry) continue
          const { owner: _, ...free } = entry
          if (entry.due_at_ms !== 0) endNow(transaction, pointer.lease, free, nowMs)
        }
      })
      any = true
    }
    return any
  }
}
