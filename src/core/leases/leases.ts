/**
 * Leases: what was given for a time, in the order in which it ends. Nothing of it is loaded at start: the worker reads
 * only what is due.
 *
 * Stored below the prefix given:
 *   id/<lease id>                     SecretLease; for a token's lease see of-tokens.ts
 *   due/<ms>/t<accessor>              {}
 *   due/<ms>/s<hash of the lease id>  Pointer
 *   owner/<accessor>/<hash>           Pointer: what ends with a token
 *   stuck/<hash>                      Pointer: given up after MAX_ATTEMPTS, shown to operators
 */
import { trimLastSlashes } from '#lib/slashes.ts'
import type { Census } from '#core/quotas/census.ts'
import { randomBase62 } from '#core/tokens/ids.ts'
import type { Expiring } from '#core/tokens/expiry.ts'
import type { Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { effectiveTtl, secondsLeft } from '#core/tokens/ttl.ts'
import type { Clock, MountSettings, Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { countNames } from '#sdk/listing.ts'
import { MAX_PAGE, type Page, type Storage, type StorageTransaction } from '#sdk/storage.ts'
import { capped, checkRenewable, putDue } from './changes.ts'
import { type CountLease, Ending, type RevokeOptions, type SecretCall } from './ending.ts'
import { dueKey, nameOf, pathIn, type Pointer, type SecretLease } from './entry.ts'
import { listBelow, tokenOfLease, tokensBelow } from './of-tokens.ts'
import { eachKey, leaseSource, tidy } from './pages.ts'
import { Worker } from './worker.ts'

/** Requests that may be making something at the same time. */
const MAX_OPEN_SLOTS = 10_000
/** Room for the random end and the prefix, so that every key stays below what the store takes. */
const MAX_PATH_BYTES = 800
const LEASE_LETTERS = 24
/** Read and ended together. */
const BATCH = 200
/** Shown at once. */
const PAGE = 1000

export interface LeaseOptions {
  storage: Storage
  clock: Clock
  tokens: Tokens
  /** Find the mount and let its engine take back what it made. Must not mind if that is gone already. */
  revokeSecret: (call: SecretCall) => Promise<void>
  renewSecret: (call: SecretCall & { ttlSeconds: number }) => Promise<void>
  /** Who counts leases of secrets, beside those of tokens. */
  census: Census
}

export interface LeaseMount {
  accessor: string
  settings: MountSettings
}

export interface Kept {
  leaseId: string
  ttlSeconds: number
  renewable: boolean
  warnings: string[]
}

export interface LeaseSlot {
  /** @throws ApiError `permission_denied` if the token ended meanwhile; then take back what was made */
  fill(lease: NonNullable<Reply['lease']>): Promise<Kept>
  /** Always, in the end. */
  release(): void
}

export interface LeaseInfo {
  leaseId: string
  issuedAt: Date
  expiresAt: Date | undefined
  renewedAt: Date | undefined
  renewable: boolean
  ttlSeconds: number
}

export class Leases {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #tokens: Tokens
  readonly #ending: Ending
  readonly #renewSecret: LeaseOptions['renewSecret']
  readonly #worker: Worker
  readonly #count: CountLease
  #openSlots = 0

  constructor({ storage, clock, tokens, revokeSecret, renewSecret, census }: LeaseOptions) {
    this.#storage = storage
    this.#clock = clock
    this.#tokens = tokens
    const source = census.addSource(leaseSource(storage))
    this.#count = (transaction, key, path, step) =>
      census.change(transaction, source, { key, path, role: undefined }, step, true)
    this.#ending = new Ending({ storage, clock, tokens, revokeSecret, count: this.#count })
    this.#renewSecret = renewSecret
    this.#worker = new Worker(clock, () => this.round())
    tokens.indexExpiry({ change: (...change) => this.#indexToken(...change) })
    tokens.onRevoke(async ({ id }) => {
      if (await this.#ending.endOf(id)) this.wake()
    })
  }

  /** Start the worker. On one thread of one process; the others only make leases. */
  run(): void {
    this.#worker.run()
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
  }

  /** What is wrong with the worker right now, for health: undefined while all is well. */
  trouble(): string | undefined {
    return this.#worker.trouble
  }

  /** Somebody else made something due: look soon. */
  wake(): void {
    this.#worker.wakeAt(0)
  }

  /**
   * A slot first, the credential after.
   *
   * @throws ApiError `too_many_requests` when too many are being made, `invalid_request` for a path too long to track
   */
  reserve({ path, token, mount }: { path: string; token: Token; mount: LeaseMount }): LeaseSlot {
    if (this.#openSlots >= MAX_OPEN_SLOTS)
      throw new ApiError('too_many_requests', 'too many requests are making leases')
    let open = true
    this.#openSlots++
    return {
      fill: (lease) => this.#register(path, token, mount, lease),
      release: () => {
        if (open) this.#openSlots--
        open = false
      },
    }
  }

  /** @throws ApiError `invalid_request` for a lease that is not there, over, or not renewable */
  async renew(leaseId: string, incrementSeconds: number, settings?: MountSettings): Promise<Kept> {
    const now = this.#clock.now()
    const entry = await this.#storage.get<SecretLease>(`id/${leaseId}`)
    if (!entry) {
      const ofToken = (await tokenOfLease(this.#tokens, leaseId)) !== undefined
      throw new ApiError(
        'invalid_request',
        ofToken ? 'tokens cannot be renewed through this endpoint' : 'lease not found',
      )
    }
    checkRenewable(entry, now)
    const ttl = effectiveTtl({
      defaultSeconds: settings?.defaultLeaseTtlSeconds ?? entry.ttl_seconds,
      maxSeconds: Math.min(settings?.maxLeaseTtlSeconds ?? entry.max_ttl_seconds, entry.max_ttl_seconds),
      incrementSeconds,
      ttlSeconds: entry.ttl_seconds,
      startedAt: new Date(entry.issued_at_ms),
      now,
    })
    const ttlSeconds = capped(ttl.seconds, entry.latest_ms, now)
    await this.#renewSecret({ leaseId, path: entry.path, mount: entry.mount, revoke: entry.revoke, ttlSeconds })
    await this.#storage.transact(async (transaction) => {
      const current = await transaction.get<SecretLease>(`id/${leaseId}`)
      if (!current) throw new ApiError('invalid_request', 'lease not found')
      checkRenewable(current, now)
      const expiresAtMs = now.getTime() + ttlSeconds * 1000
      const renewed = { ...current, expires_at_ms: expiresAtMs, last_renewal_at_ms: now.getTime() }
      putDue(transaction, leaseId, renewed, expiresAtMs)
    })
    return { leaseId, ttlSeconds, renewable: true, warnings: ttl.warnings }
  }

  /**
   * End a lease now. One that is not there is over already.
   *
   * @param options.sync   wait until it is taken back, and fail if that fails (it is tried again later in any case)
   * @param options.force  forget it even if it cannot be taken back
   */
  async revoke(leaseId: string, options: RevokeOptions = {}): Promise<void> {
    const [failure] = await this.#ending.revoke([leaseId], options)
    if (options.sync === false) this.wake()
    if (failure !== undefined) throw failure
  }

  /** End all below a path, or the one lease of that id. Goes through all of them before it tells of failures. */
  async revokePrefix(prefix: string, options: RevokeOptions = {}): Promise<void> {
    if (!prefix.endsWith('/')) {
      if ((await this.lookup(prefix)) !== undefined) return await this.revoke(prefix, options)
      prefix = `${prefix}/`
    }
    let failed = 0
    let cause: unknown
    let after: string | undefined
    let keys: string[]
    do {
      keys = await this.#storage.keys(`id/${prefix}`, { after, limit: BATCH })
      after = keys.at(-1)
      const failures = await this.#ending.revoke(
        keys.map((key) => key.slice('id/'.length)),
        options,
      )
      failed += failures.length
      cause ??= failures[0]
    } while (keys.length === BATCH)
    await this.#ending.revokeTokensBelow(prefix)
    if (options.sync === false) this.wake()
    const message = `failed to revoke ${failed} leases below "${prefix}"`
    if (failed > 0) throw new ApiError('upstream_failed', message, { cause })
  }

  async lookup(leaseId: string): Promise<LeaseInfo | undefined> {
    const entry = await this.#storage.get<SecretLease>(`id/${leaseId}`)
    const kept = entry ?? (await tokenOfLease(this.#tokens, leaseId))?.entry
    if (!kept) return undefined
    return {
      leaseId,
      issuedAt: new Date('issued_at_ms' in kept ? kept.issued_at_ms : kept.created_at_ms),
      expiresAt: kept.expires_at_ms === 0 ? undefined : new Date(kept.expires_at_ms),
      renewedAt: kept.last_renewal_at_ms === undefined ? undefined : new Date(kept.last_renewal_at_ms),
      renewable: kept.renewable ?? false,
      ttlSeconds: kept.expires_at_ms === 0 ? 0 : secondsLeft(kept.expires_at_ms, this.#clock.now()),
    }
  }

  /** Names one level below a path, as the store lists them. */
  async list(prefix: string, page: Page = {}): Promise<string[]> {
    const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
    const [secrets, tokens] = await Promise.all([
      this.#storage.list(`id/${folder}`, page),
      listBelow(this.#tokens, folder, page),
    ])
    if (tokens.length === 0) return secrets
    return [...new Set([...secrets, ...tokens])].toSorted().slice(0, page.limit ?? MAX_PAGE)
  }

  /** @param prefix  empty, or a path with a slash at its end */
  async count(prefix = ''): Promise<number> {
    let count = 0
    await eachKey(this.#storage, `id/${prefix}`, async () => {
      count++
    })
    for await (const _ of tokensBelow(this.#tokens, prefix)) count++
    return count
  }

  /** Leases of secrets, by their names alone. */
  async countSecrets(): Promise<number> {
    return await countNames(this.#storage, 'id/')
  }

  async countIrrevocable(): Promise<number> {
    return await countNames(this.#storage, 'stuck/')
  }

  /** Leases that could not be taken back, with what was said last. */
  async irrevocable(page: Page = {}): Promise<{ leaseId: string; error: string }[]> {
    const found: { leaseId: string; error: string }[] = []
    for (const name of await this.#storage.list('stuck/', { limit: PAGE, ...page })) {
      const pointer = await this.#storage.get<Pointer>(`stuck/${name}`)
      const entry = pointer && (await this.#storage.get<SecretLease>(`id/${pointer.lease}`))
      if (pointer && entry) found.push({ leaseId: pointer.lease, error: entry.error ?? '' })
    }
    return found
  }

  /** Remove index entries that point nowhere. */
  async tidy(): Promise<void> {
    await tidy(this.#storage, this.#tokens)
  }

  /**
   * End all that is due, in order, some at a time.
   *
   * @returns when the next one is due
   */
  async round(): Promise<number | undefined> {
    return await this.#ending.round()
  }

  async #register(path: string, token: Token, mount: LeaseMount, lease: NonNullable<Reply['lease']>): Promise<Kept> {
    if (token.spent) {
      throw new ApiError(
        'invalid_request',
        'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
      )
    }
    if (Buffer.byteLength(path) > MAX_PATH_BYTES)
      throw new ApiError('invalid_request', 'the path is too long for a lease')
    const now = this.#clock.now()
    const { defaultLeaseTtlSeconds: defaultSeconds, maxLeaseTtlSeconds: maxSeconds } = mount.settings
    const ttl = effectiveTtl({
      defaultSeconds,
      maxSeconds,
      ttlSeconds: lease.ttlSeconds,
      ownMaxSeconds: lease.maxTtlSeconds,
      startedAt: now,
      now,
    })
    const batch = token.type === 'batch'
    const latestMs = batch ? token.entry.expires_at_ms : undefined
    const ttlSeconds = capped(ttl.seconds, latestMs, now)
    const leaseId = `${trimLastSlashes(path)}/${randomBase62(LEASE_LETTERS)}`
    const owner = batch ? token.entry.parent : token.id
    const dueAtMs = now.getTime() + ttlSeconds * 1000
    const entry: SecretLease = {
      mount: mount.accessor,
      path,
      revoke: lease.revoke,
      issued_at_ms: now.getTime(),
      expires_at_ms: dueAtMs,
      due_at_ms: 0,
      ttl_seconds: ttl.seconds,
      max_ttl_seconds: lease.maxTtlSeconds > 0 ? Math.min(lease.maxTtlSeconds, maxSeconds) : maxSeconds,
      renewable: lease.renewable,
      ...(owner !== undefined && { owner }),
      ...(latestMs !== undefined && { latest_ms: latestMs }),
    }
    await this.#storage.transact(async (transaction) => {
      if (owner !== undefined && !(await this.#tokens.stands(transaction, owner))) {
        throw new ApiError('permission_denied', 'permission denied', {
          reason: 'the token ended while this was made for it',
        })
      }
      await this.#count(transaction, leaseId, pathIn(leaseId), 1)
      putDue(transaction, leaseId, entry, dueAtMs)
      if (owner !== undefined) transaction.put<Pointer>(`owner/${owner}/${nameOf(leaseId)}`, { lease: leaseId })
    })
    this.#worker.wakeAt(dueAtMs)
    return { leaseId, ttlSeconds, renewable: lease.renewable, warnings: ttl.warnings }
  }

  /** Within the transaction that changes the token. */
  #indexToken(transaction: StorageTransaction, before: Expiring | undefined, after: Expiring | undefined): void {
    const here = transaction.in(this.#storage)
    if (before) here.delete(dueKey(before.dueAtMs, 't', before.tokenId))
    if (!after) return
    here.put(dueKey(after.dueAtMs, 't', after.tokenId), {})
    this.#worker.wakeAt(after.dueAtMs)
  }
}
