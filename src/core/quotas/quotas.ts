/**
 * Resource quotas: how often clients may ask, and how many leases there may be.
 *
 * Stored below the prefix given:
 *   rules       QuotaEntry, all rules and settings in one: absent while nobody has set any
 *   census, count/…   see census.ts
 *
 * Requests look at the rules in their compiled form, which holds as long as nothing was committed since; after a commit
 * the stored entry is looked at again, and compiled again only if it is another one. So a rule that was written by
 * another thread counts from the next request on. Windows of clients are this process's own, and one thread keeps them.
 */
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'
import { hasLease } from '#core/tokens/expiry.ts'
import type { Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Metrics } from '#sdk/metrics.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { Census, type Count, countKey, type Counted, leasesUsedUp, type LeaseSource } from './census.ts'
import { clientOf } from './client.ts'
import { Limiter, type Taken } from './limiter.ts'
import { Exemptions, type LeaseRule, type RateRule, RuleTable, sameScope, type Scope } from './rules.ts'
import { Slots } from './slots.ts'

export interface QuotaConfig {
  rate_limit_exempt_paths: string[]
  absolute_rate_limit_exempt_paths: string[]
  enable_rate_limit_audit_logging: boolean
  enable_rate_limit_response_headers: boolean
}

interface QuotaEntry {
  config: QuotaConfig
  rate: RateRule[]
  leases: LeaseRule[]
  /** Raised when lease rules begin to mean other leases, which are then counted anew. */
  generation: number
}

interface Compiled {
  entry: Readonly<QuotaEntry> | undefined
  config: QuotaConfig
  rate: RuleTable<RateRule>
  leases: RuleTable<LeaseRule>
  exempt: Exemptions
}

/** Of each kind: all of them are one entry of the store. */
export const MAX_RULES = 1000

export const defaultConfig: QuotaConfig = {
  rate_limit_exempt_paths: [
    'sys/generate-recovery-token/attempt',
    'sys/generate-recovery-token/update',
    'sys/generate-root/attempt',
    'sys/generate-root/update',
    'sys/health',
    'sys/seal-status',
    'sys/unseal',
  ],
  absolute_rate_limit_exempt_paths: [],
  enable_rate_limit_audit_logging: false,
  enable_rate_limit_response_headers: false,
}

const emptyEntry: QuotaEntry = { config: defaultConfig, rate: [], leases: [], generation: 0 }

export interface QuotaOptions {
  storage: Storage
  clock: Clock
  mounts: Mounts
  tokens: Tokens
  metrics: Metrics
  /** Where another thread of this process keeps the windows of clients: asks it. Undefined: it has no such rule any more. */
  spend?: (asked: Spending) => Promise<Taken | undefined>
}

/** One request of a client of a rate rule. */
export interface Spending {
  rule: string
  client: string
  secondary: boolean
}

export interface Asking {
  mounted: Mounted | undefined
  path: string
  body: Readonly<Record<string, unknown>>
  remoteAddress: string
  token: string | undefined
}

export class Quotas {
  readonly census: Census
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #mounts: Mounts
  readonly #tokens: Tokens
  readonly #metrics: Metrics
  readonly #spendThere: QuotaOptions['spend']
  readonly #slots = new Slots()
  /** Descriptions of paths, which are this process's own and few. */
  readonly #makers = new WeakSet<object>()
  /** By rule: a rule that was written anew begins anew. */
  #limiters = new WeakMap<RateRule, Limiter>()
  #compiled: Compiled = compile(undefined)
  #moment: number | undefined

  constructor({ storage, clock, mounts, tokens, metrics, spend }: QuotaOptions) {
    this.#storage = storage
    this.#clock = clock
    this.#mounts = mounts
    this.#tokens = tokens
    this.#metrics = metrics
    this.#spendThere = spend
    this.census = new Census(storage, async (transaction) => (await transaction.get<QuotaEntry>('rules'))?.leases ?? [])
    const ofTokens = this.census.addSource(tokenSource(tokens))
    tokens.countLeases((transaction, id, entry, step, limited) =>
      this.census.change(transaction, ofTokens, countedToken(id, entry), step, limited),
    )
  }

  /** Whether it is certain, without asking the store, that no rate rule stands. The usual case, in two comparisons. */
  get noRates(): boolean {
    return this.#compiled.rate.size === 0 && this.#moment === this.#storage.moment()
  }

  /** The same of lease rules. */
  get noLeaseRules(): boolean {
    return this.#compiled.leases.size === 0 && this.#moment === this.#storage.moment()
  }

  /** Takes one request from whoever asks. @returns undefined where no rule speaks for it */
  async take(asking: Asking): Promise<{ taken: Taken; config: QuotaConfig; rule: string } | undefined> {
    const { rate, exempt, config } = await this.#current()
    if (rate.size === 0 || exempt.has(asking.path)) return undefined
    const rule = rate.find(placeOf(asking.mounted), asking.path, await this.#roleOf(rate, asking))
    if (!rule) return undefined
    const { client, secondary } = await this.#clientOf(rule, asking)
    const there = this.#spendThere && (await this.#spendThere({ rule: rule.name, client, secondary }))
    const taken = there ?? this.#spend(rule, client, secondary)
    if (!taken.allowed) this.#metrics.counter('quota.rate_limit.violation', rule.name).add()
    return { taken, config, rule: rule.name }
  }

  /** For another thread, which found the rule and the client. Undefined: there is no such rule any more. */
  async spend({ rule, client, secondary }: Spending): Promise<Taken | undefined> {
    const found = (await this.#current()).entry?.rate.find(({ name }) => name === rule)
    return found && this.#spend(found, client, secondary)
  }

  #spend(rule: RateRule, client: string, secondary: boolean): Taken {
    let limiter = this.#limiters.get(rule)
    if (!limiter) this.#limiters.set(rule, (limiter = new Limiter(rule)))
    return limiter.take(client, this.#clock.now().getTime(), secondary)
  }

  /**
   * A place for a lease that is about to be made.
   *
   * @returns what gives it back when the lease is made and counted, or given up; undefined where no rule speaks for it
   * @throws ApiError `too_many_requests`
   */
  async holdLease(asking: Asking): Promise<(() => void) | undefined> {
    const { leases, entry } = await this.#current()
    if (leases.size === 0 || !entry) return undefined
    const rule = leases.find(placeOf(asking.mounted), asking.path, await this.#roleOf(leases, asking))
    if (!rule) return undefined
    const key = countKey(entry.generation, rule.name)
    const place = await this.#slots.take(rule.name, () => this.#storage.getShared<Count>(key))
    if (place) return place
    this.#metrics.counter('quota.lease_count.violation', rule.name).add()
    throw leasesUsedUp(asking.path)
  }

  /** Requests for this path made a lease: from now on a place is kept before they do. */
  learn(path: object | undefined): void {
    if (path && this.#compiled.leases.size > 0) this.#makers.add(path)
  }

  hasMadeLeases(path: object): boolean {
    return this.#makers.has(path)
  }

  async config(): Promise<QuotaConfig> {
    return (await this.#current()).config
  }

  /** Only what was given changes. */
  async setConfig(given: { [K in keyof QuotaConfig]?: QuotaConfig[K] | undefined }): Promise<void> {
    const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
    await this.#storage.update<QuotaEntry>('rules', (entry = emptyEntry) => ({
      ...entry,
      config: { ...entry.config, ...set },
    }))
  }

  async rateRules(): Promise<readonly RateRule[]> {
    return (await this.#current()).entry?.rate ?? []
  }

  async leaseRules(): Promise<readonly LeaseRule[]> {
    return (await this.#current()).entry?.leases ?? []
  }

  /** Leases that a rule holds now. */
  async leasesHeld(name: string): Promise<number> {
    const { entry } = await this.#current()
    return (await this.#storage.get<Count>(countKey(entry?.generation ?? 0, name)))?.leases ?? 0
  }

  /** @throws ApiError `invalid_request` when another rule means the same requests, or there are too many */
  async putRate(rule: RateRule): Promise<void> {
    await this.#storage.update<QuotaEntry>('rules', (entry = emptyEntry) => ({
      ...entry,
      rate: withRule(entry.rate, rule),
    }))
  }

  async deleteRate(name: string): Promise<void> {
    await this.#storage.update<QuotaEntry>(
      'rules',
      (entry) => entry && { ...entry, rate: entry.rate.filter((rule) => rule.name !== name) },
    )
  }

  /** Resolves when all leases that it means are counted. */
  async putLeases(rule: LeaseRule): Promise<void> {
    await this.#changeLeases((rules) => withRule(rules, rule))
    await this.census.run()
  }

  async deleteLeases(name: string): Promise<void> {
    await this.#changeLeases((rules) => rules.filter((rule) => rule.name !== name))
    await this.census.run()
  }

  /** Rules go with their mounts: where those went, or away. On one node, now and then. */
  async followMounts(): Promise<void> {
    const routes = new Map<string, string>()
    for (const kind of ['secret', 'auth'] as const) {
      for (const { entry, route } of await this.#mounts.all(kind)) routes.set(entry.uuid, route)
    }
    const follow = <R extends Scope>(rules: readonly R[]): R[] =>
      rules.flatMap((rule) => {
        const route = rule.uuid === '' ? '' : routes.get(rule.uuid)
        return route === undefined ? [] : [route === rule.mount ? rule : { ...rule, mount: route }]
      })
    const { entry } = await this.#current()
    if (!entry) return
    const rate = follow(entry.rate)
    if (JSON.stringify(rate) !== JSON.stringify(entry.rate)) {
      await this.#storage.update<QuotaEntry>('rules', (now) => now && { ...now, rate: follow(now.rate) })
    }
    await this.#changeLeases(follow)
    await this.census.run()
  }

  async #changeLeases(change: (rules: readonly LeaseRule[]) => LeaseRule[]): Promise<void> {
    await this.#storage.transact(async (transaction) => {
      const entry = (await transaction.get<QuotaEntry>('rules')) ?? emptyEntry
      const rules = change(entry.leases)
      if (JSON.stringify(rules) === JSON.stringify(entry.leases)) return
      const others = scopesOf(rules) !== scopesOf(entry.leases)
      const generation = others ? entry.generation + 1 : entry.generation
      transaction.put<QuotaEntry>('rules', { ...entry, leases: rules, generation })
      if (others) this.census.begin(transaction, generation, rules)
      else await setMaxima(transaction, generation, rules)
    })
  }

  async #current(): Promise<Compiled> {
    // Looked at before the entry is read: what is committed meanwhile makes this worth nothing.
    const moment = this.#storage.moment()
    if (moment === this.#moment) return this.#compiled
    const entry = await this.#storage.getShared<QuotaEntry>('rules')
    if (entry !== this.#compiled.entry) this.#compile(entry)
    this.#moment = moment
    return this.#compiled
  }

  /** Clients' windows stay with rules that are as they were. */
  #compile(entry: Readonly<QuotaEntry> | undefined): void {
    const before = new Map(this.#compiled.entry?.rate.map((rule) => [JSON.stringify(rule), rule]))
    for (const rule of entry?.rate ?? []) {
      const same = before.get(JSON.stringify(rule))
      const limiter = same && this.#limiters.get(same)
      if (limiter) this.#limiters.set(rule, limiter)
    }
    this.#compiled = compile(entry)
  }

  async #clientOf(rule: RateRule, asking: Asking): Promise<{ client: string; secondary: boolean }> {
    const { group_by } = rule
    if (group_by === 'none') return { client: '', secondary: false }
    if (group_by === 'ip') return { client: clientOf(asking.remoteAddress), secondary: false }
    const token: Token | undefined = asking.token ? await this.#tokens.lookup(asking.token) : undefined
    if (token && token.entityId !== '') return { client: `entity ${token.entityId}`, secondary: false }
    return { client: group_by === 'entity_then_ip' ? clientOf(asking.remoteAddress) : '', secondary: true }
  }

  async #roleOf(table: RuleTable<Scope>, { mounted, path, body }: Asking): Promise<string | undefined> {
    if (!mounted || !table.needsRole(mounted.entry.uuid)) return undefined
    return await mounted.engine.resolveRole?.({ mount: mounted.mount, path: path.slice(mounted.route.length), body })
  }
}

function placeOf(mounted: Mounted | undefined): { route: string; uuid: string } | undefined {
  return mounted && { route: mounted.route, uuid: mounted.entry.uuid }
}

function compile(entry: Readonly<QuotaEntry> | undefined): Compiled {
  const config = entry?.config ?? defaultConfig
  return {
    entry,
    config,
    rate: new RuleTable(entry?.rate ?? []),
    leases: new RuleTable(entry?.leases ?? []),
    exempt: new Exemptions([...config.rate_limit_exempt_paths, ...config.absolute_rate_limit_exempt_paths]),
  }
}

function withRule<R extends Scope>(rules: readonly R[], rule: R): R[] {
  const others = rules.filter((each) => each.name !== rule.name)
  const same = others.find((each) => sameScope(each, rule))
  if (same) {
    throw new ApiError(
      'invalid_request',
      `quota rule with similar properties exists under the name ${JSON.stringify(same.name)}`,
    )
  }
  if (others.length >= MAX_RULES) throw new ApiError('invalid_request', `no more than ${MAX_RULES} quotas are possible`)
  return [...others, rule]
}

function scopesOf(rules: readonly LeaseRule[]): string {
  return JSON.stringify(rules.map(({ name, mount, suffix, role }) => [name, mount, suffix, role].join('\0')).toSorted())
}

async function setMaxima(
  transaction: StorageTransaction,
  generation: number,
  rules: readonly LeaseRule[],
): Promise<void> {
  for (const { name, max_leases } of rules) {
    const key = countKey(generation, name)
    const count = await transaction.get<Count>(key)
    if (count && count.max !== max_leases) transaction.put<Count>(key, { ...count, max: max_leases })
  }
}

type Entries = Parameters<Parameters<Tokens['countLeases']>[0]>

function countedToken(id: Entries[1], entry: Entries[2]): Counted {
  return { key: id, path: entry.path, role: entry.grant?.role }
}

function tokenSource(tokens: Tokens): LeaseSource {
  return {
    page: async (transaction, after, limit) =>
      (await tokens.page(transaction, after, limit)).map(({ id, entry }) => ({
        ...countedToken(id, entry),
        ...(!hasLease(entry) && { path: undefined }),
      })),
  }
}
