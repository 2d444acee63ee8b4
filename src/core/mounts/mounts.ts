/**
 * Which engine answers below which prefix.
 *
 * The table is looked at on every request by the identity of its shared entry, so a mount made by another worker or node
 * is seen at once.
 */
import { trimSlashes } from '#lib/slashes.ts'
import type { Clock, Engine, Mount, MountSettings, Passwords, Templates } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { Departure, type Moving, type MoveStatus, type OtherThreads, type RevokeAll } from './departure.ts'
import {
  fixedEntries,
  isFixedType,
  type MountConfig,
  type MountEntry,
  type MountKind,
  mountPath,
  newEntry,
  routeOf,
} from './entry.ts'
import { missingEngine } from './missing.ts'
import { PathTable } from './paths.ts'
import { MountTable, refuseTaken } from './table.ts'
import { MountUsage } from './usage.ts'

export interface Mounted {
  entry: MountEntry
  /** `secret/`, `auth/approle/`. */
  route: string
  engine: Engine
  mount: Mount
  paths: PathTable
  usage: MountUsage
}

export type EngineLoader = () => Promise<{ engine: Engine }>

export interface Catalog {
  secret: Readonly<Record<string, EngineLoader>>
  auth: Readonly<Record<string, EngineLoader>>
  /** Made of core services; mounted once, where they are, and never unmounted. */
  builtin: Readonly<Record<string, Engine>>
}

export interface MountSpec {
  type: string
  description: string
  config: Partial<MountConfig>
  options: Record<string, string> | null
  local: boolean
  sealWrap: boolean
  externalEntropyAccess: boolean
}

/** What a tune may change; absent members stay as they are. */
export interface Tuning {
  description?: string | undefined
  config: Partial<MountConfig>
  options?: Record<string, string> | undefined
}

const MAX_MOUNTS = 10_000

export class Mounts {
  readonly #storage: Storage
  readonly #table: MountTable
  readonly #departure: Departure
  readonly #clock: Clock
  readonly #passwords: Passwords | undefined
  readonly #templates: Templates | undefined
  readonly #others: OtherThreads | undefined
  readonly #catalog: Catalog
  readonly #system: { defaultLeaseTtlSeconds: number; maxLeaseTtlSeconds: number }
  /** By uuid, for every mount that is open here. */
  readonly #usages = new Map<string, MountUsage>()
  #opened: readonly MountEntry[] | undefined
  #routes: ReadonlyMap<string, Mounted> = new Map()
  /** Of the store, when the routes were made or found unchanged. */
  #moment: number | undefined

  constructor(options: {
    storage: Storage
    clock: Clock
    catalog: Catalog
    defaultLeaseTtlSeconds: number
    maxLeaseTtlSeconds: number
    /** For engines that make passwords. */
    passwords?: Passwords
    /** For engines that allow by who asks. */
    templates?: Templates
    others?: OtherThreads | undefined
    /** For the server's own log. */
    report?: (text: string) => void
  }) {
    this.#storage = options.storage
    this.#table = new MountTable(options.storage)
    this.#departure = new Departure({
      storage: options.storage,
      table: this.#table,
      usageOf: (uuid) => this.#usageOf(uuid),
      others: options.others,
      report: options.report ?? (() => {}),
    })
    this.#clock = options.clock
    this.#passwords = options.passwords
    this.#templates = options.templates
    this.#others = options.others
    this.#catalog = options.catalog
    this.#system = options
  }

  /** Writes the mounts every server has, in the transaction that initialises it. */
  setup(transaction: Pick<StorageTransaction, 'in'>): void {
    transaction.in(this.#storage).put('table', fixedEntries())
  }

  /** The mount that answers for a full path, or undefined. Tainted mounts do not answer. */
  find(path: string): Mounted | undefined | Promise<Mounted | undefined> {
    // Nothing was committed since the routes were made, so they hold.
    if (this.#table.moment() === this.#moment) return among(this.#routes, path)
    return this.#current().then((routes) => among(routes, path))
  }

  async at(kind: MountKind, path: string): Promise<Mounted | undefined> {
    const trimmed = trimSlashes(path)
    const mounted = (await this.#current()).get(routeOf({ kind, path: `${trimmed}/` }))
    // `auth/x` is no secrets engine: what needs sudo for the one must not be had by way of the other.
    return mounted?.entry.kind === kind ? mounted : undefined
  }

  async byAccessor(accessor: string): Promise<Mounted | undefined> {
    return [...(await this.#current()).values()].find((mounted) => mounted.entry.accessor === accessor)
  }

  async all(kind: MountKind): Promise<Mounted[]> {
    return [...(await this.#current()).values()].filter((mounted) => mounted.entry.kind === kind)
  }

  /** Names that mounts of a kind can be made of. */
  types(kind: MountKind): string[] {
    return Object.keys(this.#catalog[kind])
  }

  /**
   * Opens mounts anew, so that their engines forget what they keep in memory. Requests under way go on with the old ones.
   *
   * @returns routes of those that were chosen
   */
  async reopen(chosen: (mounted: Mounted) => boolean): Promise<string[]> {
    const current = await this.#current()
    const routes = [...current.values()].filter(chosen).map(({ route }) => route)
    this.#routes = new Map([...current].filter(([route]) => !routes.includes(route)))
    this.#opened = undefined
    this.#moment = undefined
    await this.#current()
    await this.#others?.reopen(routes)
    return routes
  }

  /** For the thread that moves or disables a mount: nobody comes in here. @returns whether everybody left in time */
  async closeHere(uuid: string, timeoutMs: number): Promise<boolean> {
    const usage = this.#usageOf(uuid)
    usage.close()
    return await usage.drained(timeoutMs)
  }

  /** The mount stays, there or elsewhere. */
  openHere(uuid: string): void {
    this.#usageOf(uuid).open()
  }

  /**
   * @throws ApiError `invalid_request` for a type there is none of, a path that is taken, or options the engine refuses
   */
  async enable(kind: MountKind, givenPath: string, spec: MountSpec): Promise<void> {
    const path = mountPath(kind, givenPath)
    const { type, options } = canonicalType(spec)
    if (!own(this.#catalog[kind], type) || isFixedType(type))
      throw new ApiError('invalid_request', `plugin not found in the catalog: ${spec.type}`)
    const entry = newEntry({
      kind,
      path,
      type,
      options,
      description: spec.description,
      config: spec.config,
      local: spec.local,
      seal_wrap: spec.sealWrap,
      external_entropy_access: spec.externalEntropyAccess,
    })
    this.#refuseBadTtls(entry.config)
    await this.#table.alone(entry.uuid, () => this.#make(entry))
  }

  /**
   * The path is taken first, and answers only when the engine is ready: a crash in between leaves a tainted mount, which
   * is removed with all that the engine wrote.
   */
  async #make(entry: MountEntry): Promise<void> {
    await this.#table.change((table) => {
      refuseTaken(table, entry)
      if (table.length >= MAX_MOUNTS)
        throw new ApiError('invalid_request', `no more than ${MAX_MOUNTS} mounts are possible`)
      return [...table, { ...entry, tainted: true }]
    })
    try {
      const mounted = await this.#open(entry)
      await mounted.engine.prepare?.(mounted.mount)
    } catch (error) {
      await this.#table.remove(entry.uuid)
      throw error
    }
    await this.#table.replace(entry.uuid, () => entry)
  }

  async tune(kind: MountKind, path: string, tuning: Tuning): Promise<void> {
    const mounted = await this.at(kind, path)
    if (!mounted) throw new ApiError('invalid_request', `no mount entry found at ${path}`)
    tuned(mounted.entry, tuning)
    const { uuid } = mounted.entry
    await this.#table.alone(uuid, async () => {
      const current = await this.#table.entry(uuid)
      if (!current) throw new ApiError('invalid_request', 'the mount was removed')
      const draft = tuned(current, tuning)
      this.#refuseBadTtls(draft.config)
      if (tuning.options) {
        const opened = await this.#open(draft)
        await opened.engine.prepare?.(opened.mount)
      }
      await this.#table.replace(uuid, (entry) => tuned(entry, tuning))
    })
  }

  /** With all it holds and all it gave out. One that is not there is disabled already. */
  async disable(kind: MountKind, path: string, revokeAll: RevokeAll): Promise<void> {
    const mounted = await this.at(kind, path)
    if (!mounted) return
    await this.#departure.disable(mounted.entry, revokeAll)
    this.#usages.delete(mounted.entry.uuid)
  }

  /** To another path, with all it holds; what it gave out is taken back. */
  async move(kind: MountKind, from: string, to: string, revokeAll: RevokeAll): Promise<Moving> {
    const mounted = await this.at(kind, from)
    if (!mounted) throw new ApiError('invalid_request', `no matching mount at ${JSON.stringify(from)}`)
    return await this.#departure.move(mounted.entry, to, revokeAll)
  }

  async moveStatus(id: string): Promise<MoveStatus | undefined> {
    return await this.#departure.moveStatus(id)
  }

  /** At start, and now and then, on one node: goes on with mounts whose move or end was cut off. */
  async goOn(revokeAll: RevokeAll): Promise<void> {
    await this.#departure.goOn(revokeAll)
  }

  #usageOf(uuid: string): MountUsage {
    let usage = this.#usages.get(uuid)
    if (!usage) this.#usages.set(uuid, (usage = new MountUsage()))
    return usage
  }

  #refuseBadTtls(config: MountConfig): void {
    const longest = config.max_lease_ttl || this.#system.maxLeaseTtlSeconds
    if (config.default_lease_ttl < 0 || config.max_lease_ttl < 0) {
      throw new ApiError('invalid_request', 'a lease time cannot be negative')
    }
    if (config.default_lease_ttl > longest) {
      throw new ApiError(
        'invalid_request',
        `default_lease_ttl of ${config.default_lease_ttl}s is longer than the longest lease here, ${longest}s`,
      )
    }
  }

  async #current(): Promise<ReadonlyMap<string, Mounted>> {
    const moment = this.#table.moment()
    const table = await this.#table.entries()
    if (table === this.#opened) {
      this.#moment = moment
      return this.#routes
    }
    const opened = new Map<string, Mounted>()
    for (const entry of table ?? []) {
      const known = this.#routes.get(routeOf(entry))
      // An untouched entry keeps its engine: caches that an engine has stay warm.
      const same = known && JSON.stringify(known.entry) === JSON.stringify(entry)
      opened.set(routeOf(entry), same ? known : await this.#open(entry))
    }
    this.#opened = table
    this.#routes = opened
    this.#moment = moment
    return opened
  }

  async #open(entry: MountEntry): Promise<Mounted> {
    const loaded =
      own(this.#catalog.builtin, entry.type) ?? (await own(this.#catalog[entry.kind], entry.type)?.())?.engine
    const engine = loaded ?? missingEngine(entry.type)
    const settings: MountSettings = {
      defaultLeaseTtlSeconds: entry.config.default_lease_ttl || this.#system.defaultLeaseTtlSeconds,
      maxLeaseTtlSeconds: entry.config.max_lease_ttl || this.#system.maxLeaseTtlSeconds,
      options: entry.options ?? {},
    }
    const mount: Mount = {
      path: routeOf(entry),
      uuid: entry.uuid,
      accessor: entry.accessor,
      settings: () => settings,
      storage: this.#table.data(entry.uuid),
      clock: this.#clock,
      ...(this.#passwords && { passwords: this.#passwords }),
      ...(this.#templates && { templates: this.#templates }),
    }
    const paths = new PathTable(engine.paths(settings))
    return { entry, route: routeOf(entry), engine, mount, paths, usage: this.#usageOf(entry.uuid) }
  }
}

/** @throws ApiError `invalid_request` for one that is on its way */
function tuned(entry: MountEntry, { description, config, options }: Tuning): MountEntry {
  if (entry.tainted) throw new ApiError('invalid_request', 'the mount is being made, moved or disabled')
  return {
    ...entry,
    description: description ?? entry.description,
    config: { ...entry.config, ...config, ...mergedLockout(entry.config, config) },
    options: options ? { ...entry.options, ...options } : entry.options,
  }
}

/** The only setting that is made of several, of which some may be given. */
function mergedLockout(before: MountConfig, given: Partial<MountConfig>): Pick<MountConfig, 'user_lockout_config'> {
  return given.user_lockout_config
    ? { user_lockout_config: { ...before.user_lockout_config, ...given.user_lockout_config } }
    : {}
}

/** The longest mount that a path lies below; mounts never lie inside each other. */
function among(routes: ReadonlyMap<string, Mounted>, path: string): Mounted | undefined {
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    const mounted = routes.get(path.slice(0, slash + 1))
    if (mounted) return mounted.entry.tainted ? undefined : mounted
  }
  const whole = routes.get(`${path}/`)
  return whole?.entry.tainted ? undefined : whole
}

/** Types come from requests: `constructor` is none, though every object has one. */
function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

/** Names of the Vault API for one engine with options. */
function canonicalType({ type, options }: MountSpec): { type: string; options: Record<string, string> | null } {
  if (type === 'kv-v2') return { type: 'kv', options: { ...options, version: '2' } }
  if (type === 'kv-v1') return { type: 'kv', options: { ...options, version: '1' } }
  return { type, options }
}
