/**
 * The barrier: everything the system keeps goes through here on its way to the driver, encrypted and bound to its place.
 * Names (storage keys) stay readable in the store, values do not. What the store hands back is believed only after it
 * opened as the write it claims to be.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Driver, Entry, Page, Reads, Storage, StorageTransaction, Transaction } from '#sdk/storage.ts'
import { damaged, decrypt, encrypt, termOf } from './envelope.ts'
import type { KeyRing } from './keyring.ts'
import { SharedValues } from './shared-values.ts'

/** Where the seal keeps its own entries; no view may reach them. */
const RESERVED_PREFIX = 'seal/'

/** How often a change is run again because the process had no encryptions reserved. */
const MAX_TRIES = 10

export class Barrier {
  readonly driver: Driver
  readonly shared = new SharedValues()
  #ring: KeyRing | undefined

  constructor(driver: Driver, ring: KeyRing) {
    this.driver = driver
    this.#ring = ring
  }

  /** The area below `prefix`, which ends in '/'. Areas may lie within each other; `seal/` is nobody's. */
  storage(prefix: string): Storage {
    if (!prefix.endsWith('/') || prefix.startsWith(RESERVED_PREFIX)) {
      throw new ApiError('internal', 'no storage area can be there', { reason: `prefix ${JSON.stringify(prefix)}` })
    }
    return new View(this, prefix)
  }

  /** @throws ApiError `sealed` once the barrier is sealed */
  ring(): KeyRing {
    if (this.#ring === undefined) throw new ApiError('sealed', 'Vault is sealed')
    return this.#ring
  }

  get sealed(): boolean {
    return this.#ring === undefined
  }

  /** Forget the keys and all that was decoded. Every view refuses from here on, also in calls that are under way. */
  seal(): void {
    this.#ring = undefined
    this.shared.clear()
  }

  /** Whether `open` has what it needs. If not, another process rotated, or somebody tampered: `learn` tells. */
  knows(entry: Entry): boolean {
    const term = termOf(entry.value)
    return term === undefined || this.ring().key(term) !== undefined
  }

  async learn(): Promise<void> {
    await this.ring().refresh()
  }

  /** The JSON text of an entry. */
  open(storageKey: string, entry: Entry): string {
    const term = termOf(entry.value)
    const key = term === undefined ? undefined : this.ring().key(term)
    const plain = key && decrypt(key, storageKey, entry.version, entry.value)
    if (plain === undefined) throw damaged(storageKey)
    return plain.toString('utf8')
  }

  encode(storageKey: string, version: number, text: string): Uint8Array {
    const { term, key } = this.ring().spend()
    return encrypt(key, term, storageKey, version, text)
  }
}

/** One area of the store. */
class View implements Storage {
  readonly barrier: Barrier
  readonly prefix: string

  constructor(barrier: Barrier, prefix: string) {
    this.barrier = barrier
    this.prefix = prefix
  }

  moment(): number {
    this.barrier.ring()
    return this.barrier.driver.moment()
  }

  async get<T>(key: string): Promise<T | undefined> {
    this.barrier.ring()
    const storageKey = this.prefix + key
    const entry = await this.barrier.driver.get(storageKey)
    if (entry === undefined) return undefined
    if (!this.barrier.knows(entry)) await this.barrier.learn()
    return parse<T>(storageKey, this.barrier.open(storageKey, entry))
  }

  async getShared<T>(key: string): Promise<Readonly<T> | undefined> {
    const { barrier } = this
    barrier.ring()
    const storageKey = this.prefix + key
    const entry = await barrier.driver.get(storageKey)
    if (entry === undefined) {
      barrier.shared.drop(storageKey)
      return undefined
    }
    const kept = barrier.shared.get(storageKey, entry.version)
    if (kept !== undefined) return kept.value as T
    if (!barrier.knows(entry)) await barrier.learn()
    const text = barrier.open(storageKey, entry)
    return barrier.shared.keep(storageKey, entry.version, parse<T>(storageKey, text), text.length) as T
  }

  async list(prefix: string, page?: Page): Promise<string[]> {
    this.barrier.ring()
    return await this.barrier.driver.list(this.prefix + prefix, page)
  }

  async keys(prefix: string, page?: Page): Promise<string[]> {
    this.barrier.ring()
    return await keysBelow(this.barrier.driver, this.prefix, prefix, page)
  }

  async update<T>(key: string, change: (value: T | undefined) => T | undefined): Promise<void> {
    await this.transact(async (transaction) => {
      const before = await transaction.get<T>(key)
      const after = change(before)
      if (after !== undefined) transaction.put(key, after)
      else if (before !== undefined) transaction.delete(key)
    })
  }

  async put<T>(key: string, value: T): Promise<void> {
    // Made here, so that a value that is no JSON is refused before anything is asked of the store.
    const text = textFor(value)
    await this.#commit(async (transaction) => {
      transaction.putText(key, text)
    })
  }

  async delete(key: string): Promise<void> {
    await this.#commit(async (transaction) => {
      transaction.delete(key)
    })
  }

  async transact<T>(change: (transaction: StorageTransaction) => Promise<T>): Promise<T> {
    return await this.#commit(change)
  }

  below(prefix: string): Storage {
    return this.barrier.storage(this.prefix + prefix)
  }

  async #commit<T>(change: (transaction: TransactionView) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const ring = this.barrier.ring()
      await ring.ready()
      try {
        return await this.#attempt(change)
      } catch (error) {
        // Many large transactions at once may use up what was reserved before any of them: then for more, and again.
        if (!ring.isSpent || tries === MAX_TRIES) throw error
      }
    }
  }

  async #attempt<T>(change: (transaction: TransactionView) => Promise<T>): Promise<T> {
    return await this.barrier.driver.transact(async (transaction) => {
      const result = await change(new TransactionView(transaction, this))
      // Sealed in the meantime: then nothing of this is written either.
      this.barrier.ring()
      return result
    })
  }
}

class TransactionView implements StorageTransaction {
  readonly #transaction: Transaction
  readonly #view: View

  constructor(transaction: Transaction, view: View) {
    this.#transaction = transaction
    this.#view = view
  }

  async get<T>(key: string): Promise<T | undefined> {
    const { barrier, prefix } = this.#view
    barrier.ring()
    const storageKey = prefix + key
    const entry = await this.#transaction.get(storageKey)
    if (entry === undefined) return undefined
    if (!barrier.knows(entry)) await barrier.learn()
    return parse<T>(storageKey, barrier.open(storageKey, entry))
  }

  async list(prefix: string, page?: Page): Promise<string[]> {
    this.#view.barrier.ring()
    return await this.#transaction.list(this.#view.prefix + prefix, page)
  }

  async keys(prefix: string, page?: Page): Promise<string[]> {
    this.#view.barrier.ring()
    return await keysBelow(this.#transaction, this.#view.prefix, prefix, page)
  }

  put<T>(key: string, value: T): void {
    this.putText(key, textFor(value))
  }

  putText(key: string, text: string): void {
    const { barrier, prefix } = this.#view
    barrier.ring()
    const storageKey = prefix + key
    this.#transaction.put(storageKey, (version) => barrier.encode(storageKey, version, text))
  }

  delete(key: string): void {
    this.#view.barrier.ring()
    this.#transaction.delete(this.#view.prefix + key)
  }

  in(storage: Storage): StorageTransaction {
    if (!(storage instanceof View) || storage.barrier.driver !== this.#view.barrier.driver) {
      throw new ApiError('internal', 'a transaction cannot reach another store')
    }
    return new TransactionView(this.#transaction, storage)
  }
}

/** One transaction over several areas, seen from none of them yet. */
export function across(transaction: Transaction, barrier: Barrier): Pick<StorageTransaction, 'in'> {
  return new TransactionView(transaction, new View(barrier, ''))
}

async function keysBelow(
  reads: Pick<Reads, 'keys'>,
  area: string,
  prefix: string,
  page: Page | undefined,
): Promise<string[]> {
  const after = page?.after === undefined ? undefined : area + page.after
  const found = await reads.keys(area + prefix, { after, limit: page?.limit })
  return found.map((key) => key.slice(area.length))
}

// `JSON.parse` makes a key named __proto__ an ordinary one and `JSON.stringify` writes it as such, so it needs no care.
function parse<T>(storageKey: string, text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    // Without the parser's own error: it quotes the text, and that may be a secret.
    throw new ApiError('internal', 'an entry of the store cannot be read', {
      reason: `the entry at storage key ${JSON.stringify(storageKey)} opens but is no JSON`,
    })
  }
}

function textFor(value: unknown): string {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new ApiError('internal', 'a value that is no JSON cannot be stored')
  return text
}
