/**
 * Looks after an auto-unseal while the server runs: whether it would still open the store, before a restart needs it, and
 * whether its key has a newer version, under which the root key is then wrapped again.
 */
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal, WrappedKey } from '#sdk/seal.ts'
import type { Driver } from '#sdk/storage.ts'
import { wrapProven } from './migration.ts'
import { KEY_BYTES } from './ring-data.ts'
import { readRootKey, writeRootKey } from './stored.ts'

/** How often it is tried: seldom while all is well, since services count and charge calls. */
const EVERY_MS = 600_000
const EVERY_MS_FAILING = 60_000

export class SealCheck {
  readonly #driver: Driver
  readonly #auto: AutoUnseal
  readonly #clock: Clock
  #dueAtMs = 0
  #trouble: string | undefined

  constructor(driver: Driver, auto: AutoUnseal, clock: Clock) {
    this.#driver = driver
    this.#auto = auto
    this.#clock = clock
  }

  /** Undefined while all is well; read by anybody who asks for the server's health. */
  trouble(): string | undefined {
    return this.#trouble
  }

  /** Does nothing until it is due. A probe is tried rather than the root key, which need not travel for this. */
  async run(): Promise<void> {
    if (this.#clock.now().getTime() < this.#dueAtMs) return
    await this.#watched(async () => {
      await this.#wrapWithNewest(await wrapProven(this.#auto, probe()))
      const soon = this.#auto.trouble?.()
      if (soon) throw soon
    })
  }

  /** Right after unsealing, which has shown that the seal opens: only whether it has a newer key by now. */
  async renew(): Promise<void> {
    try {
      await this.#watched(async () => await this.#wrapWithNewest(await this.#auto.wrap(probe())))
    } catch {
      // The server is open and can serve, so it does. `trouble` tells, and the old key has to stay until this succeeds.
    }
  }

  /**
   * What is wrapped again is what the store has, opened once more: the root key in memory may be an older one by then.
   *
   * @param newest  something wrapped just now
   */
  async #wrapWithNewest(newest: WrappedKey): Promise<void> {
    const before = await readRootKey(this.#driver)
    if (newest.keyId === before.keyId) return
    const rootBytes = await this.#auto.unwrap(before)
    try {
      const wrapped = await wrapProven(this.#auto, rootBytes)
      await this.#driver.transact(async (transaction) => {
        // Somebody else wrote it meanwhile: then what is there is newer than what is in hand.
        if (isDeepStrictEqual(await readRootKey(transaction), before)) writeRootKey(transaction, wrapped)
      })
    } finally {
      rootBytes.fill(0)
    }
  }

  async #watched(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#trouble = undefined
      this.#dueAtMs = this.#clock.now().getTime() + EVERY_MS
    } catch (error) {
      this.#trouble = `auto-unseal: ${error instanceof ApiError ? error.message : 'an error inside of this server'}`
      this.#dueAtMs = this.#clock.now().getTime() + EVERY_MS_FAILING
      throw error
    }
  }
}

function probe(): Uint8Array {
  return randomBytes(KEY_BYTES)
}
