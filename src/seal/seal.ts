/**
 * The seal: what stands between the start of a server and its barrier.
 *
 *     shares (people) or auto-unseal → root key → key ring → entries
 *
 * Not initialized → sealed → unsealed → sealed … One object for the whole process: shares of one attempt have to meet.
 * Other threads open barriers of their own with `rootKey` (a KeyObject crosses threads without being copied into
 * JavaScript's memory) and `KeyRing.load`.
 */
import { createSecretKey, randomUUID, timingSafeEqual, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Clock } from '#sdk/engine.ts'
import type { AutoUnseal, InitOptions, InitResult, SealStatus } from '#sdk/seal.ts'
import type { Driver } from '#sdk/storage.ts'
import { Barrier } from './barrier.ts'
import { checkShare, invalidKey, unwrapByShares } from './by-shares.ts'
import { SealCheck } from './check.ts'
import { checkInitOptions } from './init-options.ts'
import { KeyChanges } from './key-changes.ts'
import { KeyRing } from './keyring.ts'
import { changeSeal, checkMigrate, checkSeals, isMigrationPending, type ConfiguredSeals } from './migration.ts'
import { alreadyInitialized, giveBack, makeStore, type SetUp } from './new-store.ts'
import { readPgpKeys } from './pgp/keys.ts'
import { autoUnseals, type AutoUnsealName } from './registry.ts'
import { joinShares } from './shamir/shares.ts'
import { CONFIG_ENTRY, isRecoveryKey, readConfig, readRootKey, type StoredConfig } from './stored.ts'

export interface AutoUnsealConfig {
  type: AutoUnsealName
  options: Readonly<Record<string, string>>
}

/** From the server's configuration; without a stanza it is `shamir`. Options are those of the stanza, as text. */
export type SealConfig = ({ type: 'shamir' } | AutoUnsealConfig) & {
  /** The stanza with `disabled = "true"`: what a store is migrated from. */
  leaving?: AutoUnsealConfig | undefined
}

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
  readonly #leaving: { type: string; auto: AutoUnseal } | undefined
  readonly #check: SealCheck | undefined
  #config: StoredConfig | undefined
  #proven = false
  #opened: Opened | undefined
  #attempt: { nonce: string; shares: Uint8Array[] } | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #trouble: string | undefined

  private constructor(
    driver: Driver,
    clock: Clock,
    { type, auto }: { type: string; auto: AutoUnseal | undefined },
    leaving: { type: string; auto: AutoUnseal } | undefined,
  ) {
    this.#driver = driver
    this.#clock = clock
    this.#type = type
    this.#auto = auto
    this.#leaving = leaving
    this.#check = auto && new SealCheck(driver, auto, clock)
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
    const auto = 'options' in config ? await openAuto(config) : undefined
    // A stanza that is left over after a migration may name files and variables that are gone.
    const needed =
      config.leaving && (await readConfig(driver))?.type === config.leaving.type ? config.leaving : undefined
    const leaving = needed && { type: needed.type, auto: await openAuto(needed) }
    const seal = new Seal(driver, clock, { type: config.type, auto }, leaving)
    await seal.#readConfig()
    // Another process may initialize the store, or change the number of shares.
    driver.onCommit(({ keys, others }) => {
      if (others || keys.includes(CONFIG_ENTRY))
        seal.#readConfig().catch((error: unknown) => (seal.#trouble = String(error)))
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
    // While a migration is pending, the shares to give are those of the seal that the store has.
    const recoveryShares = config ? config.type !== 'shamir' : recoverySeal
    return {
      type: this.#type,
      initialized: config !== undefined,
      sealed: this.#opened === undefined,
      threshold: (recoveryShares ? config?.recovery_threshold : config?.threshold) ?? 0,
      shares: (recoveryShares ? config?.recovery_shares : config?.shares) ?? 0,
      progress: this.#attempt?.shares.length ?? 0,
      nonce: this.#attempt?.nonce ?? '',
      migration: isMigrationPending(config?.type, this.#seals()),
      recoverySeal,
    }
  }

  /** Undefined while all is well, else what an operator should know. */
  trouble(): string | undefined {
    return this.#trouble ?? this.#opened?.ring.trouble() ?? (this.#opened && this.#check?.trouble())
  }

  /** The store has the seal that unseals it without people. */
  get unsealsItself(): boolean {
    return this.#auto !== undefined && this.#config?.type === this.#type
  }

  /** For a clock that calls now and then: whether the seal would still open the store, before a restart needs it. */
  async check(): Promise<void> {
    if (this.#opened) await this.#check?.run()
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
        const from = { driver: this.#driver, clock: this.#clock, type: this.#type, auto: this.#auto }
        const { config, result } = await makeStore(from, options, pgp, setUp, wipe)
        this.#config = config
        return result
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
   * @param migrate  the one that reaches the threshold also changes the seal
   * @throws ApiError `invalid_request` with the text of the Vault API if the shares make no key of this store
   */
  async submitShare(share: Uint8Array, { migrate = false } = {}): Promise<SealStatus> {
    return await this.#exclusive(async () => {
      if (this.#opened !== undefined) return this.status()
      checkMigrate(migrate, this.status().migration)
      if (this.#config === undefined) throw new ApiError('invalid_request', 'Vault is not initialized')
      checkShare(share)
      const { threshold } = this.status()
      if (threshold === 0) {
        throw new ApiError(
          'invalid_request',
          `this server unseals itself and has no recovery key${migrate ? ', which a seal migration needs' : ''}`,
        )
      }
      this.#attempt ??= { nonce: randomUUID(), shares: [] }
      const { shares } = this.#attempt
      if (shares.some((each) => each.length === share.length && timingSafeEqual(each, share))) return this.status()
      shares.push(Uint8Array.from(share))
      if (shares.length < threshold) return this.status()
      try {
        await this.#unsealWith(shares, this.#config)
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
      checkMigrate(false, !this.unsealsItself)
      const rootBytes = await auto.unwrap(await readRootKey(this.#driver))
      try {
        this.#open(await this.#load(createSecretKey(rootBytes)))
      } finally {
        rootBytes.fill(0)
      }
      await this.#check!.renew()
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

  /** For good: also lets go of what the ways of unsealing hold. */
  async close(): Promise<void> {
    await this.seal()
    await Promise.all([this.#auto?.close?.(), this.#leaving?.auto.close?.()])
  }

  async #unsealWith(shares: readonly Uint8Array[], config: StoredConfig): Promise<void> {
    const joined = await joinShares(shares)
    if (!joined.ok) throw invalidKey(`failed to compute combined key: ${joined.message}`)
    let rootBytes: Uint8Array | undefined
    try {
      const wrapped = await readRootKey(this.#driver)
      const migrating = this.status().migration
      const auto = migrating ? this.#leaving?.auto : this.#auto
      rootBytes = config.type === 'shamir' ? unwrapByShares(joined.key, wrapped) : await auto!.unwrap(wrapped)
      const rootKey = createSecretKey(rootBytes)
      if (config.type !== 'shamir' && !(await isRecoveryKey(this.#driver, rootKey, joined.key))) {
        throw invalidKey('failed to verify recovery key: recovery key does not match submitted values')
      }
      const peoplesKey = createSecretKey(joined.key)
      const opened = await this.#load(rootKey, this.#auto ? undefined : peoplesKey)
      if (migrating) {
        const change = { before: config, wrappedBefore: wrapped, rootBytes, rootKey, peoplesKey }
        const to = { type: this.#type, auto: this.#auto }
        this.#config = await changeSeal({ driver: this.#driver, to, ...change })
      }
      this.#open(opened)
    } finally {
      joined.key.fill(0)
      rootBytes?.fill(0)
    }
  }

  async #load(rootKey: KeyObject, unsealKey?: KeyObject): Promise<Opened> {
    const ring = await KeyRing.load({ driver: this.#driver, clock: this.#clock, rootKey })
    return { ring, barrier: new Barrier(this.#driver, ring), unsealKey }
  }

  #open(opened: Opened): void {
    this.#opened = opened
    this.#proven = true
  }

  #seals(): ConfiguredSeals {
    return { used: this.#type, leaving: this.#leaving?.type, proven: this.#proven }
  }

  async #readConfig(): Promise<void> {
    const config = await readConfig(this.#driver)
    if (config !== undefined) checkSeals(config.type, this.#seals())
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

async function openAuto({ type, options }: AutoUnsealConfig): Promise<AutoUnseal> {
  return await (await autoUnseals[type]()).kind.open(options)
}
