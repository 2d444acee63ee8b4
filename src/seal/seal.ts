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
import type { AutoUnseal, InitOptions, InitResult, SealStatus, WrappedKey } from '#sdk/seal.ts'
import type { Driver, StorageTransaction } from '#sdk/storage.ts'
import { across, Barrier } from './barrier.ts'
import { damaged, decrypt, encrypt, ROOT_TERM } from './envelope.ts'
import { checkInitOptions } from './init-options.ts'
import { KeyRing } from './keyring.ts'
import { autoUnseals, type AutoUnsealName } from './registry.ts'
import { KEY_BYTES } from './ring-data.ts'
import { joinShares, splitKey } from './shamir/shares.ts'
import {
  CONFIG_ENTRY,
  isRecoveryKey,
  readConfig,
  readRootKey,
  ROOT_KEY_ENTRY,
  writeConfig,
  writeRecoveryKey,
  writeRootKey,
  type StoredConfig,
} from './stored.ts'

/** From the server's configuration; without a stanza it is `shamir`. Options are those of the stanza, as text. */
export type SealConfig = { type: 'shamir' } | { type: AutoUnsealName; options: Readonly<Record<string, string>> }

/** Writes what belongs to a new store from its first moment: part of the transaction that initializes it. */
export type SetUp = (barrier: Barrier, transaction: Pick<StorageTransaction, 'in'>) => Promise<void>

/** What a share may weigh: shortest key of AES, and a key of 32 bytes with its x coordinate. */
const MIN_SHARE_BYTES = 16
const MAX_SHARE_BYTES = KEY_BYTES + 1
/** Requests that may wait while one of them changes the state of the seal. */
const MAX_WAITING = 256

interface Opened {
  rootKey: KeyObject
  ring: KeyRing
  barrier: Barrier
}

export class Seal {
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
    return this.#opened?.rootKey
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
    return await this.#exclusive(async () => {
      await this.#readConfig()
      if (this.#config !== undefined) throw alreadyInitialized()
      const wipe: Uint8Array[] = []
      try {
        return await this.#makeStore(options, setUp, wipe)
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
      if (share.length < MIN_SHARE_BYTES) throw invalidKey(`key is shorter than minimum ${MIN_SHARE_BYTES} bytes`)
      if (share.length > MAX_SHARE_BYTES) throw invalidKey(`key is longer than maximum ${MAX_SHARE_BYTES} bytes`)
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
    opened?.barrier.seal()
    if (opened !== undefined) await giveBack(opened.ring)
  }

  async #makeStore(options: InitOptions, setUp: SetUp | undefined, wipe: Uint8Array[]): Promise<InitResult> {
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
    const wrapped = unsealKey ? wrapByShares(unsealKey, rootBytes) : await this.#auto!.wrap(rootBytes)
    const result = {
      shares: unsealKey ? await splitKey(unsealKey, options.shares, options.threshold) : [],
      recoveryShares: recoveryKey ? await splitKey(recoveryKey, options.recoveryShares, options.recoveryThreshold) : [],
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
      await this.#open(rootKey)
    } finally {
      joined.key.fill(0)
      rootBytes?.fill(0)
    }
  }

  async #open(rootKey: KeyObject): Promise<void> {
    const ring = await KeyRing.load({ driver: this.#driver, clock: this.#clock, rootKey })
    this.#opened = { rootKey, ring, barrier: new Barrier(this.#driver, ring) }
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
    if (this.#waiting >= MAX_WAITING) throw new ApiError('too_many_requests', 'too many requests to unseal at once')
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

/** Not bound to the entry's version: rekeying writes it anew, and an older one holds a key that opens nothing more. */
function wrapByShares(unsealKey: Uint8Array, rootKey: Uint8Array): WrappedKey {
  return { keyId: 'shamir', bytes: encrypt(createSecretKey(unsealKey), ROOT_TERM, ROOT_KEY_ENTRY, 0, rootKey) }
}

function unwrapByShares(unsealKey: Uint8Array, { bytes }: WrappedKey): Uint8Array {
  // The texts are those of the Vault API, down to its cipher's: clients and scripts look for them.
  if (unsealKey.length !== KEY_BYTES) {
    throw invalidKey(`failed to setup unseal key: crypto/aes: invalid key size ${unsealKey.length}`)
  }
  const rootKey = decrypt(createSecretKey(unsealKey), ROOT_KEY_ENTRY, 0, bytes)
  if (rootKey !== undefined) return rootKey
  const reason = 'failed to decrypt keys from storage: cipher: message authentication failed'
  throw new ApiError('invalid_request', `unable to retrieve stored keys: invalid key: ${reason}`)
}

function invalidKey(reason: string): ApiError {
  return new ApiError('invalid_request', `invalid key: ${reason}`)
}

function alreadyInitialized(): ApiError {
  return new ApiError('invalid_request', 'Vault is already initialized')
}
