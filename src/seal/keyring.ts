/**
 * The key ring: one AES-256 key for each term, encrypted under the root key in the driver entry `seal/keyring`.
 *
 * A key may make 2^32 encryptions with random IVs before two of them are too likely to meet (NIST SP 800-38D §8.3), so
 * encryptions are counted. Each process takes them from the term in blocks and writes down the block before it uses any of
 * it: after a crash the count in the store is too high, never too low. A term whose blocks are used up is replaced.
 */
import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Clock } from '#sdk/engine.ts'
import type { KeyStatus, RotationPolicy } from '#sdk/seal.ts'
import type { Driver, Entry, Transaction } from '#sdk/storage.ts'
import { damaged, decrypt, encrypt, ROOT_TERM } from './envelope.ts'
import { KEY_BYTES, MAX_TERMS, packRing, unpackRing, type RingData } from './ring-data.ts'

export const KEYRING_ENTRY = 'seal/keyring'
/** Encryptions one process reserves at a time: one more commit in 65,536. */
export const BLOCK = 65_536
/** Where writes begin to wait for the next block. More than one transaction of a driver may write. */
const LOW = BLOCK / 4

/** 90 % of 2^32, the API's own limit, and the lowest limit that may be set. */
export const MAX_OPERATIONS = 3_865_470_566
export const MIN_MAX_OPERATIONS = 1_000_000
export const MIN_INTERVAL_SECONDS = 86_400

export interface Term {
  readonly term: number
  readonly key: KeyObject
}

/** What a ring works with. */
export interface Context {
  driver: Driver
  rootKey: KeyObject
  clock: Clock
  /** Another thread of this process may replace the root key: what opens the stored ring as that one knows it. */
  rootKeys?: () => Promise<readonly KeyObject[]>
}

/** What a look at the stored ring or a change of it left for this process to know. */
interface Snapshot {
  terms: Term[]
  current: { term: number; installedAt: Date; reserved: number }
  rotation: RotationPolicy
}

export class KeyRing {
  readonly #context: Context
  /** What may open the stored ring: one, and beside it the next while it is being replaced. */
  #rootKeys: readonly KeyObject[]
  readonly #terms = new Map<number, KeyObject>()
  /** The term this process has a block of, or had last. */
  #spending: Term
  #remaining: number
  #snapshot: Snapshot
  #reserving: Promise<void> | undefined
  #closed = false
  #trouble: string | undefined

  private constructor(context: Context, snapshot: Snapshot, remaining: number) {
    this.#context = context
    this.#rootKeys = [context.rootKey]
    this.#snapshot = snapshot
    this.#remaining = remaining
    for (const { term, key } of snapshot.terms) this.#terms.set(term, key)
    this.#spending = { term: snapshot.current.term, key: this.#terms.get(snapshot.current.term)! }
    this.#watch()
  }

  /**
   * Write a new ring with its first term, inside the transaction that initializes the store. It can encrypt at once, but
   * is good for nothing unless that transaction commits.
   *
   * @param firstKey  32 random bytes
   * @param wipe  takes what the caller has to wipe once the transaction is over
   */
  static create(context: Context, transaction: Transaction, firstKey: Uint8Array, wipe: Uint8Array[]): KeyRing {
    const ring: RingData = {
      rotation: { enabled: true, maxOperations: MAX_OPERATIONS, intervalSeconds: 0 },
      terms: [{ term: 1, installedAt: context.clock.now(), reserved: BLOCK, key: firstKey }],
    }
    writeRing(context.rootKey, transaction, ring, wipe)
    return new KeyRing(context, snapshotOf(ring), BLOCK)
  }

  /** @throws ApiError `internal` if the root key does not open the stored ring, or there is none */
  static async load(context: Context): Promise<KeyRing> {
    const snapshot = useRing([context.rootKey], await context.driver.get(KEYRING_ENTRY), snapshotOf)
    return new KeyRing(context, snapshot, 0)
  }

  /** The key that opens entries of this term; undefined if this process does not know the term (yet). */
  key(term: number): KeyObject | undefined {
    return this.#terms.get(term)
  }

  /** Take one encryption of the block. Before a write, `ready` sees to it that there is one. */
  spend(): Term {
    if (this.#closed) throw new ApiError('sealed', 'Vault is sealed')
    if (this.#remaining === 0) {
      throw new ApiError('storage_failed', 'too many encryptions at once', {
        reason: 'more entries were written at once than this process had reserved encryptions for',
      })
    }
    this.#remaining--
    return this.#spending
  }

  /** Nothing is reserved right now: a change that failed may succeed after `ready`. */
  get isSpent(): boolean {
    return this.#remaining === 0 && !this.#closed
  }

  /** Await this before a write if it is not undefined. Keeps the next block coming while the last one is used. */
  ready(): Promise<void> | undefined {
    const outdated = this.#snapshot.current.term !== this.#spending.term
    if (this.#remaining > BLOCK / 2 && !outdated) return undefined
    this.#reserving ??= this.#reserve().finally(() => (this.#reserving = undefined))
    if (this.#remaining < LOW || outdated) return this.#reserving
    // Nobody waits for this one yet. If it fails it is tried again, in the end with a writer that does wait.
    this.#reserving.catch((error: unknown) => (this.#trouble = `no encryptions could be reserved: ${String(error)}`))
    return undefined
  }

  /** Add a term; from here on it is the one for new entries. @returns its number */
  async rotate(): Promise<number> {
    await this.#change((ring) => {
      addTerm(ring, this.#context.clock.now())
      ring.terms.at(-1)!.reserved += BLOCK
      return BLOCK
    })
    return this.#spending.term
  }

  /** For a clock that calls now and then: rotate if the term is older than the policy allows. @returns whether it was */
  async rotateIfDue(): Promise<boolean> {
    await this.refresh()
    if (!isTooOld(this.#snapshot.rotation, this.#snapshot.current.installedAt, this.#context.clock.now())) return false
    await this.rotate()
    return true
  }

  get rotation(): RotationPolicy {
    return this.#snapshot.rotation
  }

  /** @throws ApiError `invalid_request` for limits outside of what the API allows */
  async setRotation(rotation: RotationPolicy): Promise<void> {
    const { maxOperations, intervalSeconds } = rotation
    if (!Number.isSafeInteger(maxOperations) || maxOperations < MIN_MAX_OPERATIONS || maxOperations > MAX_OPERATIONS) {
      throw new ApiError(
        'invalid_request',
        `max_operations must be in the range [${MIN_MAX_OPERATIONS},${MAX_OPERATIONS}]`,
      )
    }
    if (intervalSeconds !== 0 && !(intervalSeconds >= MIN_INTERVAL_SECONDS)) {
      throw new ApiError('invalid_request', 'interval must be greater or equal to 24h0m0s')
    }
    await this.#change((ring) => {
      ring.rotation = { ...rotation }
      return 0
    })
  }

  status(): KeyStatus {
    const { term, installedAt, reserved } = this.#snapshot.current
    const unspent = this.#spending.term === term ? this.#remaining : 0
    return { term, installedAt, encryptions: Math.max(0, reserved - unspent) }
  }

  /** Look at the stored ring again: another process may have added a term. */
  async refresh(): Promise<void> {
    const entry = await this.#context.driver.get(KEYRING_ENTRY)
    this.#learn(await this.#use(entry, snapshotOf))
  }

  get rootKey(): KeyObject {
    return this.#rootKeys[0]!
  }

  /** What may open the stored ring now. */
  get rootKeys(): readonly KeyObject[] {
    return this.#rootKeys
  }

  /** Opens what is stored, if need be with the root keys that the thread has which changes them. */
  async #use<T>(entry: Entry | undefined, use: (ring: RingData, rootKey: KeyObject) => T): Promise<T> {
    const { rootKeys } = this.#context
    if (rootKeys && entry && !opens(this.#rootKeys, entry)) this.#rootKeys = await rootKeys()
    return useRing(this.#rootKeys, entry, use)
  }

  /**
   * Write the ring under another root key, inside the transaction that replaces it. Until `settle`, either of the two
   * opens it: others look at it between the commit and the news of it.
   *
   * @param wipe  takes what the caller has to wipe once the transaction is over
   */
  async rewrap(transaction: Transaction, rootKey: KeyObject, wipe: Uint8Array[]): Promise<void> {
    if (this.#closed) throw new ApiError('sealed', 'Vault is sealed')
    const before = this.rootKey
    this.#rootKeys = [before, rootKey]
    useRing([before], await transaction.get(KEYRING_ENTRY), (ring) => writeRing(rootKey, transaction, ring, wipe))
  }

  /** After that transaction, however it ended: keep the root key that opens what is stored. @returns that key */
  async settle(): Promise<KeyObject> {
    const entry = await this.#context.driver.get(KEYRING_ENTRY)
    const valid = useRing(this.#rootKeys, entry, (_, rootKey) => rootKey)
    this.#rootKeys = [valid]
    return valid
  }

  /** Undefined while all is well. */
  trouble(): string | undefined {
    return this.#trouble
  }

  /** Nothing is encrypted or opened any more; what is left of the block goes back, so that the count stays true. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const { term } = this.#spending
    const left = this.#remaining
    this.#remaining = 0
    this.#terms.clear()
    if (left === 0) return
    await this.#edit((ring) => {
      const mine = ring.terms.find((each) => each.term === term)
      if (mine) mine.reserved = Math.max(0, mine.reserved - left)
      return 0
    })
  }

  async #reserve(): Promise<void> {
    await this.#change((ring) => {
      const now = this.#context.clock.now()
      const last = ring.terms.at(-1)!
      const limit = ring.rotation.enabled ? ring.rotation.maxOperations : MAX_OPERATIONS
      if (last.reserved + BLOCK > limit || isTooOld(ring.rotation, last.installedAt, now)) addTerm(ring, now)
      ring.terms.at(-1)!.reserved += BLOCK
      return BLOCK
    })
  }

  /** Change the stored ring and take over what it says now. */
  async #change(edit: (ring: RingData) => number): Promise<void> {
    const { snapshot, block } = await this.#edit(edit)
    this.#learn(snapshot)
    const { term } = snapshot.current
    if (block === 0 || this.#closed || term < this.#spending.term) return
    this.#remaining = term === this.#spending.term ? this.#remaining + block : block
    this.#spending = { term, key: this.#terms.get(term)! }
  }

  /** @param edit  changes the ring and returns how many encryptions of its last term it reserved for this process */
  async #edit(edit: (ring: RingData) => number): Promise<{ snapshot: Snapshot; block: number }> {
    const wipe: Uint8Array[] = []
    try {
      return await this.#context.driver.transact(async (transaction) => {
        const entry = await transaction.get(KEYRING_ENTRY)
        return await this.#use(entry, (ring, rootKey) => {
          const block = edit(ring)
          writeRing(rootKey, transaction, ring, wipe)
          return { snapshot: snapshotOf(ring), block }
        })
      })
    } finally {
      for (const bytes of wipe) bytes.fill(0)
    }
  }

  #learn(snapshot: Snapshot): void {
    if (this.#closed) return
    this.#trouble = undefined
    // Answers of two looks may arrive in the wrong order; the ring only ever grows.
    const { current } = this.#snapshot
    const older = snapshot.current.term < current.term
    if (!older) this.#snapshot = snapshot
    for (const { term, key } of snapshot.terms) if (!this.#terms.has(term)) this.#terms.set(term, key)
  }

  #watch(): void {
    // The feed has no way to leave it, so what stays there must not keep a closed ring and its keys alive.
    const self = new WeakRef(this)
    this.#context.driver.onCommit(({ keys, others }) => {
      const ring = self.deref()
      if (!ring || ring.#closed || !(others || keys.includes(KEYRING_ENTRY))) return
      ring
        .refresh()
        .catch((error: unknown) => (ring.#trouble = `the key ring could not be read again: ${String(error)}`))
    })
  }
}

function addTerm(ring: RingData, now: Date): void {
  if (ring.terms.length >= MAX_TERMS)
    throw new ApiError('invalid_request', `the key ring holds ${MAX_TERMS} terms already`)
  ring.terms.push({ term: ring.terms.at(-1)!.term + 1, installedAt: now, reserved: 0, key: randomBytes(KEY_BYTES) })
}

function isTooOld({ enabled, intervalSeconds }: RotationPolicy, installedAt: Date, now: Date): boolean {
  return enabled && intervalSeconds > 0 && now.getTime() - installedAt.getTime() >= intervalSeconds * 1000
}

function snapshotOf(ring: RingData): Snapshot {
  const { term, installedAt, reserved } = ring.terms.at(-1)!
  const terms = ring.terms.map((each) => ({ term: each.term, key: createSecretKey(each.key) }))
  return { terms, current: { term, installedAt, reserved }, rotation: { ...ring.rotation } }
}

/** Open the stored ring for as long as `use` runs, and wipe it. @param use  gets the root key that opened it, too */
function useRing<T>(
  rootKeys: readonly KeyObject[],
  entry: Entry | undefined,
  use: (ring: RingData, rootKey: KeyObject) => T,
): T {
  const opened = entry && openWith(rootKeys, entry)
  const ring = opened && unpackRing(opened.bytes)
  if (!opened || !ring) throw damaged(KEYRING_ENTRY)
  const { bytes, rootKey } = opened
  try {
    return use(ring, rootKey)
  } finally {
    bytes.fill(0)
    for (const { key } of ring.terms) key.fill(0)
  }
}

function opens(rootKeys: readonly KeyObject[], entry: Entry): boolean {
  const opened = openWith(rootKeys, entry)
  opened?.bytes.fill(0)
  return opened !== undefined
}

function openWith(rootKeys: readonly KeyObject[], { version, value }: Entry) {
  for (const rootKey of rootKeys) {
    const bytes = decrypt(rootKey, KEYRING_ENTRY, version, value)
    if (bytes) return { bytes, rootKey }
  }
  return undefined
}

function writeRing(rootKey: KeyObject, transaction: Transaction, ring: RingData, wipe: Uint8Array[]): void {
  const packed = packRing(ring)
  wipe.push(packed)
  transaction.put(KEYRING_ENTRY, (version) => encrypt(rootKey, ROOT_TERM, KEYRING_ENTRY, version, packed))
}
