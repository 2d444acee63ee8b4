/**
 * Which engine answers below which prefix.
 *
 * Storage: `table` → MountEntry[], the only entry; each mount's own data lies below `data/<uuid>/`. The table is looked at
 * on every request by the identity of its shared entry, so a mount made by another worker or node is seen at once.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Clock, Engine, Mount, MountSettings } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { type MountConfig, type MountEntry, type MountKind, mountPath, routeOf } from './entry.ts'
import { PathTable } from './paths.ts'

export interface Mounted {
  entry: MountEntry
  /** `secret/`, `auth/approle/`. */
  route: string
  engine: Engine
  mount: Mount
  paths: PathTable
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

type Fixed = Pick<MountEntry, 'kind' | 'path' | 'type' | 'description' | 'local' | 'seal_wrap'> & { headers?: string[] }

const fixed: readonly Fixed[] = [
  {
    kind: 'secret',
    path: 'sys/',
    type: 'system',
    description: 'system endpoints used for control, policy and debugging',
    local: false,
    seal_wrap: true,
    headers: ['Accept'],
  },
  {
    kind: 'secret',
    path: 'cubbyhole/',
    type: 'cubbyhole',
    description: 'per-token private secret storage',
    local: true,
    seal_wrap: false,
  },
  {
    kind: 'secret',
    path: 'identity/',
    type: 'identity',
    description: 'identity store',
    local: false,
    seal_wrap: false,
    headers: ['Authorization'],
  },
  {
    kind: 'auth',
    path: 'token/',
    type: 'token',
    description: 'token based credentials',
    local: false,
    seal_wrap: false,
  },
]

const MAX_MOUNTS = 10_000
const DELETE_BATCH = 500

export class Mounts {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #catalog: Catalog
  readonly #system: { defaultLeaseTtlSeconds: number; maxLeaseTtlSeconds: number }
  #table: Readonly<MountEntry[]> | undefined
  #routes: ReadonlyMap<string, Mounted> = new Map()

  constructor(options: {
    storage: Storage
    clock: Clock
    catalog: Catalog
    defaultLeaseTtlSeconds: number
    maxLeaseTtlSeconds: number
  }) {
    this.#storage = options.storage
    this.#clock = options.clock
    this.#catalog = options.catalog
    this.#system = options
  }

  /** Writes the mounts every server has, in the transaction that initialises it. */
  setup(transaction: Pick<StorageTransaction, 'in'>): void {
    const entries = fixed.map(({ headers, ...each }) =>
      newEntry({
        ...each,
        external_entropy_access: false,
        options: null,
        config: headers ? { passthrough_request_headers: headers } : {},
      }),
    )
    transaction.in(this.#storage).put('table', entries)
  }

  /** The mount that answers for a full path, or undefined. Tainted mounts do not answer. */
  async find(path: string): Promise<Mounted | undefined> {
    const routes = await this.#current()
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const mounted = routes.get(path.slice(0, slash + 1))
      if (mounted) return mounted.entry.tainted ? undefined : mounted
    }
    const whole = routes.get(`${path}/`)
    return whole?.entry.tainted ? undefined : whole
  }

  async at(kind: MountKind, path: string): Promise<Mounted | undefined> {
    const trimmed = path.replace(/^\/+|\/+$/g, '')
    return (await this.#current()).get(routeOf({ kind, path: `${trimmed}/` }))
  }

  async byAccessor(accessor: string): Promise<Mounted | undefined> {
    return [...(await this.#current()).values()].find((mounted) => mounted.entry.accessor === accessor)
  }

  async all(kind: MountKind): Promise<Mounted[]> {
    return [...(await this.#current()).values()].filter((mounted) => mounted.entry.kind === kind)
  }

  async enable(kind: MountKind, givenPath: string, spec: MountSpec): Promise<void> {
    const path = mountPath(kind, givenPath)
    const { type, options } = canonicalType(spec)
    if (!own(this.#catalog[kind], type) || fixed.some((each) => each.type === type))
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
    // The engine judges its options before anything is kept, so that a refused mount leaves nothing behind.
    const mounted = await this.#open(entry)
    await mounted.engine.prepare?.(mounted.mount)
    await this.#change((table) => {
      const route = routeOf(entry)
      const taken = table.find((each) => route.startsWith(routeOf(each)) || routeOf(each).startsWith(route))
      if (taken) throw new ApiError('invalid_request', `path is already in use at ${taken.path}`)
      if (table.length >= MAX_MOUNTS)
        throw new ApiError('invalid_request', `no more than ${MAX_MOUNTS} mounts are possible`)
      return [...table, entry]
    })
  }

  async tune(kind: MountKind, path: string, tuning: Tuning): Promise<void> {
    const mounted = await this.at(kind, path)
    if (!mounted) throw new ApiError('invalid_request', `no mount entry found at ${path}`)
    const entry: MountEntry = {
      ...mounted.entry,
      description: tuning.description ?? mounted.entry.description,
      config: { ...mounted.entry.config, ...tuning.config },
      options: tuning.options ? { ...mounted.entry.options, ...tuning.options } : mounted.entry.options,
    }
    this.#refuseBadTtls(entry.config)
    if (tuning.options) {
      const tuned = await this.#open(entry)
      await tuned.engine.prepare?.(tuned.mount)
    }
    await this.#replace(entry)
  }

  /**
   * Refuse requests, take back what the mount gave out, delete its entries, forget it: in this order, so that a crash at
   * any point leaves a tainted mount that `finishDisabling` goes on with.
   */
  async disable(kind: MountKind, path: string, revokeAll: (route: string) => Promise<void>): Promise<void> {
    const mounted = await this.at(kind, path)
    if (!mounted) return
    if (fixed.some((each) => each.kind === kind && each.path === mounted.entry.path)) {
      throw new ApiError('invalid_request', `cannot unmount "${mounted.route}"`)
    }
    await this.#replace({ ...mounted.entry, tainted: true })
    await this.#finish(mounted.entry, revokeAll)
  }

  /** At start: goes on with mounts whose disabling was cut off. */
  async finishDisabling(revokeAll: (route: string) => Promise<void>): Promise<void> {
    for (const mounted of (await this.#current()).values()) {
      if (mounted.entry.tainted) await this.#finish(mounted.entry, revokeAll)
    }
  }

  async #finish(entry: MountEntry, revokeAll: (route: string) => Promise<void>): Promise<void> {
    await revokeAll(routeOf(entry))
    const area = this.#storage.below(`data/${entry.uuid}/`)
    for (;;) {
      const keys = await area.keys('', { limit: DELETE_BATCH })
      if (keys.length === 0) break
      await area.transact(async (transaction) => {
        for (const key of keys) transaction.delete(key)
      })
    }
    await this.#change((table) => table.filter((each) => each.uuid !== entry.uuid))
  }

  #replace(entry: MountEntry): Promise<void> {
    return this.#change((table) => {
      if (!table.some((each) => each.uuid === entry.uuid))
        throw new ApiError('invalid_request', 'the mount was removed')
      return table.map((each) => (each.uuid === entry.uuid ? entry : each))
    })
  }

  #change(change: (table: MountEntry[]) => MountEntry[]): Promise<void> {
    return this.#storage.update<MountEntry[]>('table', (table) => change(table ?? []))
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
    const table = await this.#storage.getShared<MountEntry[]>('table')
    if (table === this.#table) return this.#routes
    const opened = new Map<string, Mounted>()
    for (const entry of table ?? []) {
      const known = this.#routes.get(routeOf(entry))
      // An untouched entry keeps its engine: caches that an engine has stay warm.
      const same = known && JSON.stringify(known.entry) === JSON.stringify(entry)
      opened.set(routeOf(entry), same ? known : await this.#open(entry))
    }
    this.#table = table
    this.#routes = opened
    return opened
  }

  async #open(entry: MountEntry): Promise<Mounted> {
    const engine =
      own(this.#catalog.builtin, entry.type) ?? (await own(this.#catalog[entry.kind], entry.type)?.())?.engine
    if (!engine)
      throw new ApiError('internal', 'internal error', { reason: `this version has no engine "${entry.type}"` })
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
      storage: this.#storage.below(`data/${entry.uuid}/`),
      clock: this.#clock,
    }
    return { entry, route: routeOf(entry), engine, mount, paths: new PathTable(engine.paths(settings)) }
  }
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

function newEntry(
  given: Omit<MountEntry, 'uuid' | 'accessor' | 'config' | 'tainted'> & { config: Partial<MountConfig> },
): MountEntry {
  const { config, ...rest } = given
  const name = given.kind === 'auth' ? `auth_${given.type}` : given.type
  return {
    ...rest,
    uuid: randomUUID(),
    accessor: `${name}_${randomBytes(4).toString('hex')}`,
    config: {
      default_lease_ttl: 0,
      max_lease_ttl: 0,
      force_no_cache: false,
      ...(given.kind === 'auth' && { token_type: 'default-service' }),
      ...config,
    },
  }
}
