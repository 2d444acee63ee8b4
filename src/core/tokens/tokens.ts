/**
 * Tokens: who is asking, how long and how often they may, and what ends with them.
 *
 * Stored below the prefix given:
 *   salt                        the key that names tokens: an accessor is a keyed hash of its token
 *   id/<accessor>               TokenEntry
 *   child/<parent>/<accessor>   {}: who ends when the parent does
 *   gone/<accessor>             {}: dead, but what hung on it is not all cleaned up (revocation.ts)
 *   batch/<term>                keys of batch tokens (batch.ts)
 *
 * A token is good only while every token above it is: lookups walk up. So one write ends a whole tree at once, and the
 * entries below it may go in their own time.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { countNames } from '#sdk/listing.ts'
import type { Page, Storage, StorageTransaction } from '#sdk/storage.ts'
import { BATCH_PREFIX, BatchTokens, MAX_BATCH_BYTES } from './batch.ts'
import { Expiry, type ExpiryIndex, type LeaseCounter } from './expiry.ts'
import { checkCustomId, isTokenName, newServiceToken, tokenName } from './ids.ts'
import { type CreateSpec, entryOf, type Issued, type Login, loginSpec, ROOT_SPEC } from './issue.ts'
import { type RevokeListener, Revocation } from './revocation.ts'
import { endOf, isAlive, makeToken, newCubbyhole, SPENT, type Token, type TokenEntry } from './token.ts'
import { effectiveTtl, type RenewLimits } from './ttl.ts'

/** Lookups walk up this far at most. */
export const MAX_GENERATIONS = 256
const MAX_TOKEN_BYTES = MAX_BATCH_BYTES
const MAX_CACHED_TOKENS = 10_000
const PAGE = 1000
/** How long the request that took the last use may take before the rest of the token is cleaned up under it. */
const LAST_USE_MS = 60_000

interface Kept {
  token: Token
  /** Of the store, when it was found there with all above it. */
  moment: number
  /** When it ends by time alone. */
  untilMs: number
}

export class Tokens {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #batch: BatchTokens
  readonly #expiry = new Expiry()
  readonly #revocation: Revocation
  /** By the token itself. The store alone decides; this is what it said, and when. Oldest first. */
  readonly #cache = new Map<string, Kept>()
  #salt: Buffer | undefined

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
    this.#batch = new BatchTokens(storage)
    this.#revocation = new Revocation(storage, this.#expiry)
  }

  /** After every unseal, before anything else. */
  async prepare(): Promise<void> {
    const made = randomBytes(32).toString('base64')
    await this.#storage.update<string>('salt', (salt) => salt ?? made)
    this.#salt = Buffer.from((await this.#storage.get<string>('salt'))!, 'base64')
  }

  /**
   * At initialisation, as part of its transaction: the salt and the first token, which may do anything and never ends.
   *
   * @param id  the token itself, for dev mode; else a random one
   * @returns the token
   */
  setup(transaction: Pick<StorageTransaction, 'in'>, id?: string): string {
    const here = transaction.in(this.#storage)
    const salt = randomBytes(32)
    here.put('salt', salt.toString('base64'))
    if (id !== undefined) checkCustomId(id)
    const text = id ?? newServiceToken()
    here.put(`id/${tokenName(salt, text)}`, entryOf(ROOT_SPEC, this.#clock.now()))
    return text
  }

  /** On seal: keeps nothing in memory that was behind it. */
  forget(): void {
    this.#salt = undefined
    this.#batch.forget()
    this.#cache.clear()
  }

  /** Who keeps the order of expiry; told within the transaction that changes a token. */
  indexExpiry(index: ExpiryIndex): void {
    this.#expiry.index = index
  }

  /** Who counts leases. */
  countLeases(counter: LeaseCounter): void {
    this.#expiry.counter = counter
  }

  /** What else ends with a token. May be called more than once for one, and must not mind. */
  onRevoke(listener: RevokeListener): void {
    this.#revocation.listeners.push(listener)
  }

  /**
   * The token that was presented, if it may be used now.
   *
   * @param options.spent  also one whose last use was just taken: for the request that took it
   */
  lookup(text: string, options: { spent?: boolean } = {}): Token | undefined | Promise<Token | undefined> {
    const kept = this.#cache.get(text)
    // Nothing was committed since it was found good: then only time can have ended it.
    const proven =
      kept !== undefined && kept.moment === this.#storage.moment() && this.#clock.now().getTime() < kept.untilMs
    return proven && kept.token.numUses === 0 ? kept.token : this.#find(text, options)
  }

  /**
   * Take one use of a token that has a limited number of them. Of many at once, only as many pass as there are uses.
   *
   * @returns the token with what is left, `spent` if that was the last: then `finish` after the request. Undefined: none was left.
   */
  async use(token: Token): Promise<Token | undefined> {
    if (token.numUses === 0) return token
    const after = await this.#storage.transact(async (transaction) => {
      const entry = await transaction.get<TokenEntry>(`id/${token.id}`)
      if (!entry?.uses_left || entry.uses_left === SPENT) return undefined
      const last = entry.uses_left === 1
      const used: TokenEntry = { ...entry, uses_left: last ? SPENT : entry.uses_left - 1 }
      if (last) used.due_at_ms = this.#clock.now().getTime() + LAST_USE_MS
      transaction.put(`id/${token.id}`, used)
      if (last) this.#expiry.change(transaction, token.id, entry, used)
      return used
    })
    // The audit tells how many uses there were when the request came.
    return after && Object.freeze({ ...makeToken(token.id, token.text, 'service', after), auditAuth: token.auditAuth })
  }

  /** After the request that took the last use. */
  async finish(token: Token): Promise<void> {
    await this.#revocation.revoke([token.id])
  }

  /**
   * Make a token and all that belongs to it in one transaction.
   *
   * @throws ApiError `invalid_request` for an explicit id that is taken, `permission_denied` when the parent died meanwhile
   */
  async create(spec: CreateSpec): Promise<Issued> {
    const now = this.#clock.now()
    const entry = entryOf(spec, now)
    if ((entry.generation ?? 0) > MAX_GENERATIONS) {
      throw new ApiError('invalid_request', `tokens may not have more than ${MAX_GENERATIONS} generations above them`)
    }
    if (spec.type === 'batch') {
      const text = await this.#batch.seal(entry, now.getTime())
      return { text, token: makeToken(this.#id(text), text, 'batch', entry), warnings: [] }
    }
    if (spec.id !== undefined) {
      checkCustomId(spec.id)
      // Another token of this name may have been here: its storage area must never be this one's.
      entry.cubbyhole ??= newCubbyhole()
    }
    const text = spec.id ?? spec.text ?? newServiceToken()
    const id = this.#id(text)
    const token = makeToken(id, text, 'service', entry)
    // What hung on an earlier token of the same name must not be taken for this one's.
    if (spec.id !== undefined) await this.#revocation.clean([id])
    await this.#storage.transact(async (transaction) => {
      if (spec.id !== undefined && (await isTaken(transaction, id))) {
        throw new ApiError('invalid_request', 'cannot create a token with a duplicate ID')
      }
      if (entry.parent !== undefined) {
        const parent = await transaction.get<TokenEntry>(`id/${entry.parent}`)
        if (!parent || !isAlive(parent, now.getTime())) {
          throw new ApiError('permission_denied', 'permission denied', { reason: 'the parent token is gone' })
        }
        transaction.put(`child/${entry.parent}/${id}`, {})
      }
      transaction.put(`id/${id}`, entry)
      this.#expiry.change(transaction, id, undefined, entry)
      await this.#expiry.count(transaction, id, entry, 1, spec.unlimited !== true)
      spec.also?.(transaction, token)
    })
    return { text, token, warnings: [] }
  }

  /** The token of a successful log-in. */
  async login(login: Login): Promise<Issued> {
    const { spec, warnings } = loginSpec(login, this.#clock.now())
    return { ...(await this.create(spec)), warnings }
  }

  /** A token that may do anything and never ends. @param text  the token itself, from `newServiceToken` */
  async createRoot(text: string): Promise<Issued> {
    return await this.create({ ...ROOT_SPEC, text })
  }

  async lookupByAccessor(accessor: string): Promise<Token | undefined> {
    this.#saltOrSealed()
    return isTokenName(accessor) ? await this.byId(accessor) : undefined
  }

  /** By what `Token.id` holds. Its `text` is empty. */
  async byId(id: string): Promise<Token | undefined> {
    const entry = await this.#storage.getShared<TokenEntry>(`id/${id}`)
    const nowMs = this.#clock.now().getTime()
    if (!entry || entry.uses_left === SPENT || nowMs >= (await this.#endsAt(entry))) return undefined
    return makeToken(id, '', 'service', entry)
  }

  /** What is kept of one, alive or yet to be cleaned up. */
  async entry(id: string): Promise<Readonly<TokenEntry> | undefined> {
    return await this.#storage.get<TokenEntry>(`id/${id}`)
  }

  /** All there are, in the order of their names, a page in memory at a time. */
  async *all(): AsyncGenerator<{ id: string; entry: TokenEntry }> {
    let after: string | undefined
    let keys: string[]
    do {
      keys = await this.#storage.keys('id/', { after, limit: PAGE })
      after = keys.at(-1)
      for (const key of keys) {
        const entry = await this.#storage.get<TokenEntry>(key)
        if (entry) yield { id: key.slice('id/'.length), entry }
      }
    } while (keys.length === PAGE)
  }

  /** Some of all there are, in the order of their names, as part of a transaction. Fewer than `limit`: the last ones. */
  async page(
    transaction: StorageTransaction,
    after: string,
    limit: number,
  ): Promise<{ id: string; entry: Readonly<TokenEntry> }[]> {
    const here = transaction.in(this.#storage)
    const found: { id: string; entry: Readonly<TokenEntry> }[] = []
    for (const key of await here.keys('id/', { limit, ...(after !== '' && { after: `id/${after}` }) })) {
      const entry = await here.get<TokenEntry>(key)
      if (entry) found.push({ id: key.slice('id/'.length), entry })
    }
    return found
  }

  /** Service tokens there are, by their names alone. */
  async count(): Promise<number> {
    return await countNames(this.#storage, 'id/')
  }

  async accessors(page?: Page): Promise<string[]> {
    return await this.#storage.list('id/', page)
  }

  /**
   * Whether a token is there, as part of somebody else's transaction, which then fails if the token ends at the same
   * time: what is made for a token must not outlive it unseen.
   */
  async stands(transaction: StorageTransaction, id: string): Promise<boolean> {
    return (await transaction.in(this.#storage).get<TokenEntry>(`id/${id}`)) !== undefined
  }

  /** @throws ApiError `invalid_request` when it cannot be renewed: batch, no lease, not renewable, past its end */
  async renew(token: Token, limits: RenewLimits): Promise<{ token: Token; seconds: number; warnings: string[] }> {
    if (token.type === 'batch') throw new ApiError('invalid_request', 'batch tokens cannot be renewed')
    const now = this.#clock.now()
    let renewed: { entry: TokenEntry; seconds: number; warnings: string[] } | undefined
    await this.#storage.transact(async (transaction) => {
      const entry = await transaction.get<TokenEntry>(`id/${token.id}`)
      if (!entry) throw new ApiError('invalid_request', 'token not found')
      if (!entry.renewable || entry.expires_at_ms === 0) throw new ApiError('invalid_request', 'lease is not renewable')
      if (!isAlive(entry, now.getTime())) throw new ApiError('invalid_request', 'lease expired')
      const ttl = effectiveTtl({
        defaultSeconds: limits.defaultSeconds,
        maxSeconds: limits.maxSeconds,
        incrementSeconds: limits.incrementSeconds,
        ttlSeconds: limits.ttlSeconds ?? entry.granted_ttl_seconds ?? entry.ttl_seconds,
        periodSeconds: limits.periodSeconds ?? entry.period_seconds ?? 0,
        ownMaxSeconds: limits.ownMaxSeconds ?? 0,
        explicitMaxSeconds: limits.explicitMaxSeconds ?? entry.explicit_max_ttl_seconds ?? 0,
        startedAt: new Date(entry.created_at_ms),
        now,
      })
      const after: TokenEntry = { ...entry, last_renewal_at_ms: now.getTime() }
      after.expires_at_ms = now.getTime() + ttl.seconds * 1000
      after.granted_ttl_seconds = ttl.seconds
      if (limits.grant) after.grant = limits.grant
      transaction.put(`id/${token.id}`, after)
      this.#expiry.change(transaction, token.id, entry, after)
      renewed = { entry: after, ...ttl }
    })
    const { entry, seconds, warnings } = renewed!
    return { token: makeToken(token.id, token.text, 'service', entry), seconds, warnings }
  }

  /** End it and every token below it. When this returns, all are gone and what hung on them was told. */
  async revoke(token: Token): Promise<void> {
    if (token.type === 'batch') throw new ApiError('invalid_request', 'batch tokens cannot be revoked')
    await this.#revocation.revoke([token.id])
  }

  /** End it, but let its children live on without a parent. */
  async revokeOrphan(token: Token): Promise<void> {
    if (token.type === 'batch') throw new ApiError('invalid_request', 'batch tokens cannot be revoked')
    await this.#revocation.revokeOrphan(token.id)
  }

  /** For the expiry worker: end those that are due, by id. */
  async expire(ids: readonly string[]): Promise<void> {
    await this.#revocation.expire(ids, this.#clock.now().getTime())
  }

  /** End those, due or not, with all below them. */
  async revokeByIds(ids: readonly string[]): Promise<void> {
    await this.#revocation.revoke(ids)
  }

  /** Go on with revocations that a crash or a failure cut off. */
  async resume(): Promise<void> {
    await this.#revocation.resume()
  }

  /** Remove index entries that point nowhere. */
  async tidy(): Promise<void> {
    await this.#revocation.resume()
    await this.#revocation.tidy()
  }

  async #find(text: string, options: { spent?: boolean }): Promise<Token | undefined> {
    if (text === '' || text.length > MAX_TOKEN_BYTES) return undefined
    // Looked at before anything is read: what is committed meanwhile makes this proof worth nothing.
    const moment = this.#storage.moment()
    const token = await this.#current(text)
    if (!token) {
      this.#cache.delete(text)
      return undefined
    }
    const untilMs = await this.#endsAt(token.entry)
    this.#keep(text, { token, moment, untilMs })
    if (this.#clock.now().getTime() >= untilMs) return undefined
    return token.numUses === SPENT && !options.spent ? undefined : token
  }

  /** As the store has it now, whether or not it may be used; the same object while its entry is the same. */
  async #current(text: string): Promise<Token | undefined> {
    const kept = this.#cache.get(text)?.token
    if (kept?.type === 'batch') {
      this.#saltOrSealed()
      return kept
    }
    if (!kept && text.startsWith(BATCH_PREFIX)) {
      this.#saltOrSealed()
      const entry = await this.#batch.open(text)
      return entry && makeToken(this.#id(text), text, 'batch', freezeEntry(entry))
    }
    const id = kept?.id ?? this.#id(text)
    const entry = await this.#storage.getShared<TokenEntry>(`id/${id}`)
    if (kept && kept.entry === entry) return kept
    return entry && makeToken(id, text, 'service', entry)
  }

  #keep(text: string, kept: Kept): void {
    this.#cache.set(text, kept)
    if (this.#cache.size > MAX_CACHED_TOKENS) this.#cache.delete(this.#cache.keys().next().value!)
  }

  /** When it ends, by its own time or that of one above it; 0 if one of those is gone. Milliseconds; Infinity for never. */
  async #endsAt(entry: Readonly<TokenEntry>): Promise<number> {
    let untilMs = endOf(entry)
    let parent = entry.parent
    for (let generation = 0; parent !== undefined; generation++) {
      const above: Readonly<TokenEntry> | undefined = await this.#storage.getShared<TokenEntry>(`id/${parent}`)
      if (!above || generation > MAX_GENERATIONS) return 0
      untilMs = Math.min(untilMs, endOf(above))
      parent = above.parent
    }
    return untilMs
  }

  #id(text: string): string {
    return tokenName(this.#saltOrSealed(), text)
  }

  #saltOrSealed(): Buffer {
    if (!this.#salt) throw new ApiError('sealed', 'Vault is sealed')
    return this.#salt
  }
}

async function isTaken(transaction: StorageTransaction, id: string): Promise<boolean> {
  const [token, remains] = await Promise.all([transaction.get(`id/${id}`), transaction.get(`gone/${id}`)])
  return token !== undefined || remains !== undefined
}

function freezeEntry(entry: TokenEntry): Readonly<TokenEntry> {
  Object.freeze(entry.policies)
  if (entry.metadata) Object.freeze(entry.metadata)
  return Object.freeze(entry)
}
