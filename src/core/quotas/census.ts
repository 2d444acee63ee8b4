/**
 * How many leases each lease rule holds. Counts change in the transaction that makes or ends a lease, so no crash and no
 * other thread can make them wrong; when rules change, all leases are counted anew, a page in a transaction.
 *
 * Stored below the prefix given:
 *   census                      CensusEntry: absent while there is no lease rule
 *   count/<generation>/<name>   Count
 *
 * While they are counted anew, a lease that comes or goes changes the count only if it lies where the walk has been: the
 * walk will see the others. A page fails, and is read again, when a lease came or went in it.
 */
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { type LeaseRule, RuleTable } from './rules.ts'

/** Leases counted in one transaction. */
const PAGE = 200

export interface CensusEntry {
  /** Of the rules; counts of another one are worth nothing. */
  generation: number
  /** Index of the source that is walked; as many as there are sources: all are done. */
  source: number
  /** The last key of it that was counted. */
  after: string
}

export interface Count {
  leases: number
  max: number
}

/** A kind of lease. `key` is what its pages are ordered by. */
export interface Counted {
  key: string
  path: string
  role: string | undefined
}

/** `path` undefined: it has no lease. */
export type Seen = Omit<Counted, 'path'> & { path: string | undefined }

export interface LeaseSource {
  /** What follows `after`, also what has no lease; fewer than `limit`: these were the last. */
  page(transaction: StorageTransaction, after: string, limit: number): Promise<Seen[]>
}

export class Census {
  readonly #storage: Storage
  /** Read within the transaction, only when the generation is not the one that is known. */
  readonly #rules: (transaction: StorageTransaction) => Promise<readonly LeaseRule[]>
  readonly #sources: LeaseSource[] = []
  #known: { generation: number; table: RuleTable<LeaseRule> } | undefined
  #running: Promise<void> | undefined

  constructor(storage: Storage, rules: (transaction: StorageTransaction) => Promise<readonly LeaseRule[]>) {
    this.#storage = storage
    this.#rules = rules
  }

  /** @returns its number, for `change` */
  addSource(source: LeaseSource): number {
    this.#sources.push(source)
    return this.#sources.length - 1
  }

  /**
   * A lease comes or goes with this transaction.
   *
   * @param step  1 or -1
   * @param limited  whether it must not come when the rule's leases are used up
   * @throws ApiError `too_many_requests`
   */
  async change(
    transaction: StorageTransaction,
    source: number,
    { key, path, role }: Counted,
    step: 1 | -1,
    limited: boolean,
  ): Promise<void> {
    const here = transaction.in(this.#storage)
    const census = await here.get<CensusEntry>('census')
    if (!census) return
    const rule = (await this.#table(here, census.generation)).findByPath(path, role)
    if (!rule) return
    const name = countKey(census.generation, rule.name)
    const count = (await here.get<Count>(name)) ?? { leases: 0, max: rule.max_leases }
    if (limited && step > 0 && count.leases >= count.max) throw leasesUsedUp(path)
    if (!isCounted(census, source, key)) return
    here.put<Count>(name, { ...count, leases: count.leases + step })
  }

  /** Counts all anew under these rules, from this transaction on; `run` does the walking. */
  begin(transaction: StorageTransaction, generation: number, rules: readonly LeaseRule[]): void {
    if (rules.length === 0) transaction.delete('census')
    else transaction.put<CensusEntry>('census', { generation, source: 0, after: '' })
    for (const { name, max_leases } of rules) {
      transaction.put<Count>(countKey(generation, name), { leases: 0, max: max_leases })
    }
  }

  /** Walks until all is counted. Goes on where a crash cut it off. */
  run(): Promise<void> {
    this.#running ??= this.#walk().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #walk(): Promise<void> {
    while (await this.#storage.transact((transaction) => this.#page(transaction)));
    await this.#forgetOthers()
  }

  /** @returns whether there is more */
  async #page(transaction: StorageTransaction): Promise<boolean> {
    const census = await transaction.get<CensusEntry>('census')
    const source = census && this.#sources[census.source]
    if (!census || !source) return false
    const page = await source.page(transaction, census.after, PAGE)
    const table = await this.#table(transaction, census.generation)
    const found = new Map<string, number>()
    for (const { path, role } of page) {
      const name = path === undefined ? undefined : table.findByPath(path, role)?.name
      if (name !== undefined) found.set(name, (found.get(name) ?? 0) + 1)
    }
    for (const [name, leases] of found) {
      const key = countKey(census.generation, name)
      const count = (await transaction.get<Count>(key))!
      transaction.put<Count>(key, { ...count, leases: count.leases + leases })
    }
    const last = page.at(-1)
    transaction.put<CensusEntry>(
      'census',
      last && page.length === PAGE
        ? { ...census, after: last.key }
        : { ...census, source: census.source + 1, after: '' },
    )
    return true
  }

  /** Counts of earlier generations. */
  async #forgetOthers(): Promise<void> {
    const census = await this.#storage.get<CensusEntry>('census')
    const current = census && `count/${census.generation}/`
    for (const key of await this.#storage.keys('count/')) {
      if (current === undefined || !key.startsWith(current)) await this.#storage.delete(key)
    }
  }

  async #table(transaction: StorageTransaction, generation: number): Promise<RuleTable<LeaseRule>> {
    if (this.#known?.generation !== generation) {
      this.#known = { generation, table: new RuleTable(await this.#rules(transaction)) }
    }
    return this.#known.table
  }
}

export function countKey(generation: number, name: string): string {
  return `count/${generation}/${name}`
}

export function leasesUsedUp(path: string): ApiError {
  const message = `request path ${JSON.stringify(path)}: lease count quota exceeded`
  return new ApiError('too_many_requests', oneError(message), { reason: message })
}

function isCounted({ source: walked, after }: CensusEntry, source: number, key: string): boolean {
  if (source !== walked) return source < walked
  return after !== '' && Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0
}
