/**
 * The seal: what stands between the start of a server and its barrier.
 *
 *     shares (people) or auto-unseal → root key → key ring → entries
 *
 * Not initialized → sealed → unsealed → sealed … One object for the whole process: shares of one attempt have to meet.
 * Other threads open barriers of their own with `rootKey` (a KeyObject crosses threads without being copied into
 * JavaScript's memory) and `KeyRing.load`.
 */
import { createSecretKey, randomBytes, randomUUID, timingSafeEqual, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Clock } from '#sdk/engine.ts'
import type { AutoUnseal, InitOptions, InitResult, SealStatus } from '#sdk/seal.ts'
import type { Driver, StorageTransaction } from '#sdk/storage.ts'
import { across, Barrier } from './barrier.ts'
import { checkShare, invalidKey, unwrapByShares, wrapByShares } from './by-shares.ts'
import { damaged } from './envelope.ts'
import { checkInitOptions } from './init-options.ts'
import { KeyChanges } from './key-changes.ts'
import { KeyRing } from './keyring.ts'
import { type PgpKey, readPgpKeys } from './pgp/keys.ts'
import { autoUnseals, type AutoUnsealName } from './registry.ts'
import { KEY_BYTES } from './ring-data.ts'
import { joinShares } from './shamir/shares.ts'
import { sharesFor } from './shares-for.ts'
import {
  CONFIG_ENTRY,
  isRecoveryKey,
  readConfig,
  readRootKey,
  writeConfig,
  writeRecoveryKey,
  writeRootKey,
  type StoredConfig,
} from './stored.ts'

/** From the server's configuration; without a stanza it is `shamir`. Options are those of the stanza, as text. */
export type SealConfig = { type: 'shamir' } | { type: AutoUnsealName; options: Readonly<Record<string, string>> }

/** Writes what belongs to a new store from its first moment: part of the transaction that initializes it. */
export type SetUp = (barrier: Barrier, transaction: Pick<StorageTransaction, 'in'>) => Promise<void>

/** Requests that may wait while one of them changes the state of the seal. */
const MAX_WAITING = 256

interface Opened {
  ring: KeyRing
  barrier: Barrier
  /** What the shares made, where people unseal: it wraps the next root key, when only that changes. */
  unsealKey: KeyObject | undefined
}

export class Seal {
  /** Rekeying, and all else that takes shares of an open seal. */
  readonly keys: KeyChanges
  readonly #driver: Driver
  readonly #clock: Clock
  readonly #type: string
  readonly #auto: AutoUnseal | undefined
  #config: StoredConfig | undefined
  #opened: Opened | undefined
  #attempt: { nonce: string; shares: Uint8Array[] } | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #trouble: string | undefined

  private constructor(driver: Driver, clock: Clock, type: string, auto: AutoUnseal | undefined) {
    this.#driver = driver
    this.#clock = clock
    this.#type = type
    this.#auto = auto
    this.keys = new KeyChanges({
      driver,
      auto,
      ring: () => this.#openedOrSealed().ring,
      config: () => (this.#openedOrSealed(), this.#config!),
      unsealKey: () => this.#openedOrSealed().unsealKey,
      exclusive: (work) => this.#exclusive(work),
      took: (stored, unsealKey) => {
        this.#config = stored
        if (this.#opened) this.#opened = { ...this.#opened, unsealKey }
      },
    })
  }

  /** @throws ApiError `invalid_request` if the store was initialized with a seal of another type */
  static async open(driver: Driver, config: SealConfig, clock: Clock): Promise<Seal> {
    const auto = 'options' in config ? await (await autoUnseals[config.type]()).kind.open(config.options) : undefined
    const seal = new Seal(driver, clock, config.type, auto)
    await seal.#readConfig()
    // Another process may initialize the store, or change the number of shares.
    driver.onCommit(({ keys }) => {
      if (keys.includes(CONFIG_ENTRY)) seal.#readConfig().catch((error: unknown) => (seal.#trouble = String(error)))
    })
    return seal
  }

  get barrier(): Barrier | undefined {
    return this.#opened?.barrier
  }

  get keyRing(): KeyRing | undefined {
    return this.#opened?.ring
  }

  /** For the other threads of this process, and for whatever wraps the root key anew. */
  get rootKey(): KeyObject | undefined {
    return this.#opened?.ring.rootKey
  }

  #openedOrSealed(): Opened {
    if (this.#opened === undefined) throw new ApiError('sealed', 'Vault is sealed')
    return this.#opened
  }

  status(): SealStatus {
    const config = this.#config
    const recoverySeal = this.#auto !== undefined
    return {
      type: this.#type,
      initialized: config !== undefined,
      sealed: this.#opened === undefined,
      threshold: (recoverySeal ? config?.recovery_threshold : config?.threshold) ?? 0,
      shares: (recoverySeal ? config?.recovery_shares : config?.shares) ?? 0,
      progress: this.#attempt?.shares.length ?? 0,
      nonce: this.#attempt?.nonce ?? '',
      migration: false,
      recoverySeal,
    }
  }

  /** Undefined while all is well, else what an operator should know. */
  trouble(): string | undefined {
    return this.#trouble ?? this.#opened?.ring.trouble()
  }

  /**
   * Make the keys of a new store and write them in one transaction, with what `setUp` adds: after a crash there is either
   * all of it or nothing. The store stays sealed: then come the shares, or `unsealAutomatically`.
   *
   * @param setUp  may run more than once
   * @returns the shares, which exist nowhere else; the caller wipes them
   * @throws ApiError `invalid_request` for numbers that do not fit and for a store that is initialized already
   */
  async initialize(options: InitOptions, setUp?: SetUp): Promise<InitResult> {
    checkInitOptions(this.#type, this.#auto !== undefined, options)
    const pgp = {
      shares: await readPgpKeys(options.pgpKeys ?? []),
      recovery: await readPgpKeys(options.recoveryPgpKeys ?? []),
    }
    return await this.#exclusive(async () => {
      await this.#readConfig()
      if (this.#config !== undefined) throw alreadyInitialized()
      const wipe: Uint8Array[] = []
      try {
        return await this.#makeStore(options, pgp, setUp, wipe)
      } finally {
        for (const bytes of wipe) bytes.fill(0)
      }
    })
  }

  /**
   * One more share of the attempt under way. The one that reaches the threshold opens the barrier, or ends the attempt.
   * A share that was given before does not count again. With auto-unseal these are shares of the recovery key, for a
   * server that somebody sealed by hand.
   *
   * @throws ApiError `invalid_request` with the text of the Vault API if the shares make no key of this store
   */
  async submitShare(share: Uint8Array): Promise<SealStatus> {
    return await this.#exclusive(async () => {
      if (this.#config === undefined) throw new ApiError('invalid_request', 'Vault is not initialized')
      if (this.#opened !== undefined) return this.status()
      checkShare(share)
      const { threshold } = this.status()
      if (threshold === 0) throw new ApiError('invalid_request', 'this server unseals itself and has no recovery key')
      this.#attempt ??= { nonce: randomUUID(), shares: [] }
      const { shares } = this.#attempt
      if (shares.some((each) => each.length === share.length && timingSafeEqual(each, share))) return this.status()
      shares.push(Uint8Array.from(share))
      if (shares.length < threshold) return this.status()
      try {
        await this.#unsealWith(shares)
      } finally {
        this.#forgetShares()
      }
      return this.status()
    })
  }

  /** Start over: shares given so far are forgotten. */
  async resetUnseal(): Promise<SealStatus> {
    return await this.#exclusive(async () => {
      this.#forgetShares()
      return this.status()
    })
  }

  /** @throws ApiError with a text for the operator if the configured key does not open this store */
  async unsealAutomatically(): Promise<SealStatus> {
    return await this.#exclusive(async () => {
      const auto = this.#auto
      if (auto === undefined)
        throw new ApiError('invalid_request', `a seal of type ${this.#type} is opened with shares`)
      if (this.#config === undefined) throw new ApiError('invalid_request', 'Vault is not initialized')
      if (this.#opened !== undefined) return this.status()
      const wrapped = await readRootKey(this.#driver)
      const rootKey = await auto.unwrap(wrapped)
      try {
        await this.#open(createSecretKey(rootKey))
        if (wrapped.keyId !== auto.keyId) await this.#wrapAnew(auto, rootKey)
      } finally {
        rootKey.fill(0)
      }
      return this.status()
    })
  }

  /** Close the barrier and forget the keys. Refusals begin at once, before what this returns is awaited. */
  async seal(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    this.#forgetShares()
    this.keys.forget()
    opened?.barrier.seal()
    if (opened !== undefined) await giveBack(opened.ring)
  }

  async #makeStore(
    options: InitOptions,
    pgp: { shares: PgpKey[]; recovery: PgpKey[] },
    setUp: SetUp | undefined,
    wipe: Uint8Array[],
  ): Promise<InitResult> {
    const make = () => {
      const key = randomBytes(KEY_BYTES)
      wipe.push(key)
      return key
    }
    const rootBytes = make()
    const rootKey = createSecretKey(rootBytes)
    const unsealKey = this.#auto ? undefined : make()
    const recoveryKey = this.#auto && options.recoveryShares > 0 ? make() : undefined
    const firstKey = make()
    const wrapped = unsealKey ? wrapByShares(createSecretKey(unsealKey), rootBytes) : await this.#auto!.wrap(rootBytes)
    // Encrypted before anything is written: what cannot be told must not become the key of a store.
    const result = {
      shares: unsealKey ? await sharesFor(pgp.shares, unsealKey, options.shares, options.threshold) : [],
      recoveryShares: recoveryKey
        ? await sharesFor(pgp.recovery, recoveryKey, options.recoveryShares, options.recoveryThreshold)
        : [],
    }
    const context = { driver: this.#driver, clock: this.#clock, rootKey }
    try {
      const { ring, barrier } = await this.#driver.transact(async (transaction) => {
        // Looked at again in here, since two servers on one store may have come this far at once.
        if ((await transaction.get(CONFIG_ENTRY)) !== undefined) throw alreadyInitialized()
        // New keys on top of these would make a store that has lost one entry lose all of them.
        if ((await transaction.list('seal/')).length > 0) throw damaged(CONFIG_ENTRY)
        writeConfig(transaction, this.#configFor(options))
        writeRootKey(transaction, wrapped)
        if (recoveryKey) writeRecoveryKey(transaction, rootKey, recoveryKey)
        const fresh = KeyRing.create(context, transaction, firstKey, wipe)
        const freshBarrier = new Barrier(this.#driver, fresh)
        await setUp?.(freshBarrier, across(transaction, freshBarrier))
        return { ring: fresh, barrier: freshBarrier }
      })
      this.#config = this.#configFor(options)
      barrier.seal()
      await giveBack(ring)
      return result
    } catch (error) {
      wipe.push(...result.shares, ...result.recoveryShares)
      throw error
    }
  }

  #configFor(options: InitOptions): StoredConfig {
    return {
      type: this.#type,
      shares: options.shares,
      threshold: options.threshold,
      recovery_shares: options.recoveryShares,
      recovery_threshold: options.recoveryThreshold,
    }
  }

  async #unsealWith(shares: readonly Uint8Array[]): Promise<void> {
    const joined = await joinShares(shares)
    if (!joined.ok) throw invalidKey(`failed to compute combined key: ${joined.message}`)
    let rootBytes: Uint8Array | undefined
    try {
      const wrapped = await readRootKey(this.#driver)
      rootBytes = this.#auto ? await this.#auto.unwrap(wrapped) : unwrapByShares(joined.key, wrapped)
      const rootKey = createSecretKey(rootBytes)
      if (this.#auto && !(await isRecoveryKey(this.#driver, rootKey, joined.key))) {
        throw invalidKey('failed to verify recovery key: recovery key does not match submitted values')
      }
      await this.#open(rootKey, this.#auto ? undefined : createSecretKey(joined.key))
    } finally {
      joined.key.fill(0)
      rootBytes?.fill(0)
    }
  }

  async #open(rootKey: KeyObject, unsealKey?: KeyObject): Promise<void> {
    const ring = await KeyRing.load({ driver: this.#driver, clock: this.#clock, rootKey })
    this.#opened = { ring, barrier: new Barrier(this.#driver, ring), unsealKey }
  }

  async #wrapAnew(auto: AutoUnseal, rootKey: Uint8Array): Promise<void> {
    try {
      const wrapped = await auto.wrap(rootKey)
      await this.#driver.transact(async (transaction) => writeRootKey(transaction, wrapped))
      this.#trouble = undefined
    } catch (error) {
      // The server is open and can serve, so it does; the old key has to stay configured until this succeeds.
      this.#trouble = `the root key could not be sealed with key ${auto.keyId}: ${String(error)}`
    }
  }

  async #readConfig(): Promise<void> {
    const config = await readConfig(this.#driver)
    if (config !== undefined && config.type !== this.#type) {
      throw new ApiError(
        'invalid_request',
        `this store was initialized with a seal of type ${config.type}, the configuration says ${this.#type}`,
      )
    }
    this.#config = config
  }

  #forgetShares(): void {
    for (const share of this.#attempt?.shares ?? []) share.fill(0)
    this.#attempt = undefined
  }

  /** One change of state at a time: a share must not meet another that is still being tried. */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) throw new ApiError('too_many_requests', 'too many requests to the seal at once')
    this.#waiting++
    const before = this.#turn
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = promise
    try {
      await before
      return await work()
    } finally {
      this.#waiting--
      resolve()
    }
  }
}

async function giveBack(ring: KeyRing): Promise<void> {
  try {
    await ring.close()
  } catch {
    // Only the unused rest of the reserved encryptions was not given back. The count is then too high, which is the
    // safe side; a store in trouble must not keep anybody from sealing, nor take away the shares of a new one.
  }
}

function alreadyInitialized(): ApiError {
  return new ApiError('invalid_request', 'Vault is already initialized')
}
