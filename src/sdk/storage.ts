/**
 * The two contracts of storage. `Driver` is what storage/ implements: an ordered map of keys to bytes. `Storage` is what
 * everybody else sees: JSON values below a prefix of their own, encrypted by the barrier on their way to the driver.
 *
 * Keys are text of 1 to 1,024 bytes of UTF-8 without NUL, ordered by their bytes. '/' separates levels.
 */

/** A page of a listing: what comes after `after` (exclusive, in the same order), at most `limit` of it. */
export interface Page {
  after?: string | undefined
  limit?: number | undefined
}

/** The most entries one listing or scan returns when no limit is given, and the most that may be asked for. */
export const MAX_PAGE = 100_000

export interface Entry {
  /** Unique to this write: no other write of the store, on any key, ever had it. Later writes have higher ones. */
  version: number
  value: Uint8Array
}

export interface Reads {
  get(key: string): Promise<Entry | undefined>
  /**
   * Names one level below `prefix` (which is empty or ends in '/'), without it: `a` for an entry, `a/` for entries
   * further down, each once, in key order.
   */
  list(prefix: string, page?: Page): Promise<string[]>
  /** Keys anywhere below `prefix`, whole ones, in order. `after` is a whole key too. Values are not even looked at. */
  keys(prefix: string, page?: Page): Promise<string[]>
  /** As `keys`, with the entries. What one scan carries is bounded in bytes: it is for areas of small entries. */
  scan(prefix: string, page?: Page): Promise<{ key: string; entry: Entry }[]>
}

/**
 * One serializable change of several keys. Its reads see the store as it is when the change commits (or the change runs
 * again) and its own writes; its writes become visible together or not at all.
 */
export interface Transaction extends Reads {
  /** @param encode  gets the version this write will have, so that the bytes can be bound to it */
  put(key: string, encode: (version: number) => Uint8Array): void
  delete(key: string): void
}

/** What a commit changed, for those who keep something derived from entries. Deleted keys are among them. */
export interface Commit {
  keys: readonly string[]
  /** There were others that can no longer be told: any entry may have changed. */
  others?: boolean
}

export interface Driver extends Reads {
  /**
   * Changes with every commit, whoever makes it. What was derived from reads after one look at it still holds when a
   * second look says the same: one atomic load in place of many reads. NaN, which equals nothing, while a store with
   * several nodes cannot tell.
   */
  moment(): number
  getMany(keys: readonly string[]): Promise<(Entry | undefined)[]>
  /**
   * Run `change` and commit what it wrote. Resolves when the writes are durable.
   *
   * @param change  may run more than once (when somebody else changed what it read), so it must not act on the outside
   * @throws ApiError `storage_failed` if the store cannot commit (disk full, connection lost, too many conflicts);
   *         what `change` throws passes through, and nothing was written
   */
  transact<T>(change: (transaction: Transaction) => Promise<T>): Promise<T>
  /** Calls `listener` after every commit, whoever made it, before its effects can be missed by a later read here. */
  onCommit(listener: (commit: Commit) => void): void
  /** Text for operators and health: undefined while all is well, else what is wrong, e.g. that the disk is full. */
  trouble(): string | undefined
  close(): Promise<void>
}

/** JSON values below a prefix, encrypted. Keys are relative to the prefix. */
export interface Storage extends StorageReads {
  /** Change one entry with nobody else on that key: gets it (undefined if none), returns the new one (undefined deletes). */
  update<T>(key: string, change: (value: T | undefined) => T | undefined): Promise<void>
  put<T>(key: string, value: T): Promise<void>
  delete(key: string): Promise<void>
  /** Several changes at once, all or nothing. `change` may run more than once: it must not act on the outside world. */
  transact<T>(change: (transaction: StorageTransaction) => Promise<T>): Promise<T>
  /** The same store below a further prefix, which ends in '/'. */
  below(prefix: string): Storage
}

export interface StorageReads {
  /** As the driver's: while it stays the same, nothing that was read since has changed. @throws ApiError `sealed` */
  moment(): number
  get<T>(key: string): Promise<T | undefined>
  /**
   * Like get, but decoded once and kept until the entry changes: for what is read on every request and is no secret in
   * itself (roles, settings). The value is frozen and shared.
   */
  getShared<T>(key: string): Promise<Readonly<T> | undefined>
  list(prefix: string, page?: Page): Promise<string[]>
  /** Keys anywhere below `prefix`, relative to this storage, in order. `after` is such a key. */
  keys(prefix: string, page?: Page): Promise<string[]>
}

export interface StorageTransaction {
  get<T>(key: string): Promise<T | undefined>
  list(prefix: string, page?: Page): Promise<string[]>
  keys(prefix: string, page?: Page): Promise<string[]>
  put<T>(key: string, value: T): void
  delete(key: string): void
  /** The same transaction, seen from `storage`: one change across the areas of several services. */
  in(storage: Storage): StorageTransaction
}
