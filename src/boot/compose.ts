/**
 * Joins the rooms: a store, its seal, and behind the barrier the core with its mounts. The only code that sees all of it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Ledger } from '#audit/ledger/ledger.ts'
import { authMethods } from '#auth/registry.ts'
import type { Audit } from '#core/audit/audit.ts'
import { Mounts } from '#core/mounts/mounts.ts'
import { Settings } from '#core/settings/settings.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import { engines } from '#engines/registry.ts'
import type { Core } from '#request/core.ts'
import { Gate } from '#request/gate.ts'
import type { Barrier } from '#seal/barrier.ts'
import { encryptEach, readPgpKeys } from '#seal/pgp/keys.ts'
import { Seal } from '#seal/seal.ts'
import { drivers } from '#storage/registry.ts'
import type { Seat, SqliteDriver } from '#storage/sqlite/driver.ts'
import { barePaths } from '#sys/bare.ts'
import { type InFlightServices, inFlightPath } from '#sys/in-flight.ts'
import { type MetricsServices, metricsPath } from '#sys/metrics.ts'
import type { Clock, Engine } from '#sdk/engine.ts'
import type { LogLevel } from '#lib/log-level.ts'
import { apiVersion, buildDate } from '#lib/version.ts'
import { ApiError } from '#sdk/errors.ts'
import type { InitOptions, InitResult } from '#sdk/seal.ts'
import type { Driver } from '#sdk/storage.ts'
import { AutoUnsealing, explain } from './auto-unseal.ts'
import { systemClock } from './clock.ts'
import { type Cluster, newCluster } from './cluster.ts'
import { enableDeclared } from './declared-devices.ts'
import { Housekeeping, startFlushing, tidyMounts } from './housekeeping.ts'
import { type ForMounts, joinCore, type OwnServices } from './join.ts'
import { ServerLog } from './log.ts'
import { meteredDriver } from './metered-driver.ts'
import type { NodeOptions } from './node-options.ts'
import { Observation } from './observation.ts'
import { defaultTelemetry, type TelemetryConfig } from './telemetry.ts'
import { wireNames } from './storage-names.ts'
import { troublesOf } from './troubles.ts'
import { Workers } from './workers/workers.ts'

/** How long requests under way may keep the ledger open after the seal is closed. */
const DRAIN_MS = 5000

const MIGRATION_PENDING =
  'entering seal migration mode: the server stays sealed until its keys are given with operator unseal -migrate'

/** What runs only while unsealed. */
interface Unsealed {
  barrier: Barrier
  core: Core
  housekeeping: Housekeeping
  /** What is kept in memory goes to the store. */
  flushing: Housekeeping
  cluster: Cluster
}

/** One server: a store, sealed or not, and the gate where requests enter. */
export class StrongroomNode {
  readonly gate: Gate
  readonly seal: Seal
  readonly observation: Observation
  readonly workers: Workers
  readonly #driver: Driver
  readonly #options: NodeOptions
  readonly #clock: Clock
  #ledger: Ledger | undefined
  #temporaryFolder: string | undefined
  /** Lines of workers are taken for as long as the devices are open. */
  #audit: Audit | undefined
  #unsealed: Unsealed | undefined
  #turn: Promise<void> = Promise.resolve()
  readonly #unsealing = new AutoUnsealing({
    attempt: () => this.unsealAutomatically(),
    isOpen: () => !this.seal.status().sealed,
    log: (text) => this.#options.log(text),
  })
  readonly #serverLog: ServerLog

  private constructor(
    options: NodeOptions,
    { driver, seat }: { driver: Driver; seat: (() => Seat) | undefined },
    seal: Seal,
    clock: Clock,
    observation: Observation,
  ) {
    this.#options = options
    this.#driver = driver
    this.#clock = clock
    this.seal = seal
    this.#serverLog = options.serverLog ?? new ServerLog()
    this.observation = observation
    observation.watch({
      unsealed: () => this.#unsealed !== undefined,
      inFlight: () => this.gate.running + this.workers.totals.inFlight,
      shared: () => this.workers.added(seal.barrier?.shared),
    })
    this.gate = new Gate(
      barePaths({
        clock,
        status: () => seal.status(),
        initialize: (init) => this.initialize(init),
        submitShare: async (share, options) => {
          await seal.submitShare(share, options)
          await this.#follow()
          return seal.status()
        },
        resetUnseal: () => seal.resetUnseal(),
        storageType: wireNames[options.storage.type],
        cluster: () => this.#unsealed?.cluster,
        troubles: () =>
          troublesOf({
            ledger: this.#ledger,
            core: this.#unsealed?.core,
            driver,
            seal,
            unsealing: this.#unsealing,
            workers: this.workers,
          }),
      }),
      [metricsPath(this.#reports(), 'sys/'), inFlightPath(this.#reports(), 'sys/')],
      clock,
    )
    this.workers = new Workers({
      seat,
      options,
      observation,
      serverLog: this.#serverLog,
      gate: this.gate,
      seal,
      audit: () => this.#audit,
      unsealed: () => this.#unsealed,
    })
  }

  static async open(options: NodeOptions): Promise<StrongroomNode> {
    const clock = options.clock ?? systemClock
    const observation = new Observation(options.telemetry ?? defaultTelemetry, options.log)
    const bare = await (await drivers[options.storage.type]()).open(options.storage.options)
    const driver = meteredDriver(bare, observation.metrics)
    try {
      const seal = await Seal.open(driver, options.seal, clock)
      const seat = 'seat' in bare ? () => (bare as SqliteDriver).seat() : undefined
      const node = new StrongroomNode(options, { driver, seat }, seal, clock, observation)
      await node.#beginUnsealing()
      return node
    } catch (error) {
      await observation.stop()
      await driver.close()
      throw error
    }
  }

  /** @throws ApiError `sealed` */
  get core(): Core {
    if (!this.#unsealed) throw new ApiError('sealed', 'Vault is sealed')
    return this.#unsealed.core
  }

  get #telemetry(): TelemetryConfig {
    return this.#options.telemetry ?? defaultTelemetry
  }

  #reports(): MetricsServices & InFlightServices {
    const { metrics } = this.observation
    return {
      metrics,
      clock: this.#clock,
      telemetry: this.#telemetry,
      inFlight: async () => [...this.gate.inFlight(), ...(await this.workers.inFlight())],
      collect: () => this.workers.collect(),
    }
  }

  #keyRing(): NonNullable<Seal['keyRing']> {
    if (!this.seal.keyRing) throw new ApiError('sealed', 'Vault is sealed')
    return this.seal.keyRing
  }

  /** Undefined while sealed. */
  get settings(): Settings | undefined {
    return this.#unsealed?.core.settings
  }

  /** What one part of the server says. */
  #logOf(name: string, level: LogLevel): (text: string) => void {
    return this.#options.serverLog?.named(name, level) ?? this.#options.log
  }

  /** Undefined while sealed. */
  get ledger(): Ledger | undefined {
    return this.#ledger
  }

  async #beginUnsealing(): Promise<void> {
    try {
      if (this.seal.unsealsItself) await this.#unsealing.start()
    } catch (error) {
      // With two seals of one type, the one to use cannot open the store before the migration.
      if (!this.seal.status().migration) throw error
    }
    if (this.seal.status().migration) this.#options.log(MIGRATION_PENDING)
  }

  async unsealAutomatically(): Promise<void> {
    await this.seal.unsealAutomatically()
    await this.#follow()
  }

  async unsealWith(shares: readonly Uint8Array[]): Promise<void> {
    for (const share of shares) await this.seal.submitShare(share)
    await this.#follow()
  }

  /** Make the keys, the fixed mounts and the first token: all of it or nothing. The server stays sealed, but for auto-unseal. */
  async initialize(options: InitOptions, rootTokenId?: string): Promise<InitResult & { rootToken: string }> {
    let rootToken = ''
    const [pgp] = options.rootTokenPgpKey ? await readPgpKeys([options.rootTokenPgpKey]) : []
    const result = await this.seal.initialize(options, async (barrier, transaction) => {
      this.#mounts(barrier, {}).setup(transaction)
      transaction.in(barrier.storage('core/')).put<Cluster>('cluster', newCluster(this.#options.clusterName))
      rootToken = new Tokens({ storage: barrier.storage('core/token/'), clock: this.#clock }).setup(
        transaction,
        rootTokenId,
      )
      // Before anything is committed: a token that cannot be told must not be.
      if (pgp) rootToken = Buffer.from((await encryptEach([pgp], [Buffer.from(rootToken)]))[0]!).toString('base64')
    })
    if (this.#options.seal.type !== 'shamir') await this.#unsealFirst()
    return { ...result, rootToken }
  }

  /** The keys are told in any case: they exist only in this answer, and without them nobody could ever get in. */
  async #unsealFirst(): Promise<void> {
    try {
      await this.#unsealing.start()
    } catch (error) {
      this.#options.log(`initialised, but unsealing failed: ${explain(error)}`)
    }
  }

  async sealNow(): Promise<void> {
    this.#unsealing.cancel()
    this.gate.close()
    const others = this.workers.seal()
    await this.seal.seal()
    await others
    // Not awaited: the request that asks for it is itself under way, and its answer is to be recorded.
    this.#follow().catch((error: unknown) => this.#options.log(`sealing: ${explain(error)}`))
  }

  /** Audit files are opened again: after a log rotation. */
  async reload(): Promise<void> {
    await this.#unsealed?.core.audit.reload()
  }

  async close(): Promise<void> {
    this.gate.close()
    await this.workers.stop()
    await this.#unsealing.close()
    // Before the keys are gone.
    await this.#unsealed?.flushing.round()
    await this.seal.close()
    await this.#follow()
    await this.#driver.close()
    await this.observation.stop()
    if (this.#temporaryFolder) await rm(this.#temporaryFolder, { recursive: true, force: true })
  }

  /** Brings what runs in line with the seal. One change at a time, in the order they came. */
  #follow(): Promise<void> {
    const next = this.#turn.then(async () => {
      const barrier = this.seal.barrier
      if (barrier === this.#unsealed?.barrier) return
      if (this.#unsealed) await this.#stop(this.#unsealed)
      if (barrier) await this.#start(barrier)
    })
    this.#turn = next.catch(() => {})
    return next
  }

  async #start(barrier: Barrier): Promise<void> {
    try {
      this.#unsealed = await this.#unseal(barrier)
    } catch (error) {
      // A server that could not be made ready must not look as if it were.
      await this.seal.seal()
      throw error
    }
    await this.workers.open()
    this.gate.open(this.#unsealed.core)
    this.#options.log('unsealed')
  }

  async #stop(unsealed: Unsealed): Promise<void> {
    this.gate.close()
    this.#unsealed = undefined
    this.#serverLog.endStreams('core received sealed state change, ending monitor session')
    await this.workers.seal()
    await Promise.all([this.gate.drained(DRAIN_MS), this.workers.drained(DRAIN_MS)])
    await unsealed.housekeeping.stop()
    await unsealed.flushing.stop()
    await unsealed.core.leases.stop()
    unsealed.core.tokens.forget()
    await unsealed.core.audit.close()
    this.#audit = undefined
    this.#ledger = undefined
    this.#options.log('sealed')
  }

  async #unseal(barrier: Barrier): Promise<Unsealed> {
    const { core, auditTable, revokeAll } = joinCore(barrier, {
      options: this.#options,
      observation: this.observation,
      own: this.#own(),
      threads: this.workers.threads,
      mountsWith: (builtin, given) => this.#mounts(barrier, builtin, given),
      report: this.#logOf('audit', 'warn'),
    })
    const { audit, mounts, policies, lockout, tokens, quotas, leases } = core
    await tokens.prepare()
    await policies.setup()
    await core.settings.versions.note(apiVersion, buildDate, this.#clock.now())
    const ledger = await Ledger.open({
      folder: await this.#ledgerPlace(),
      durable: this.#options.storage.type !== 'memory',
    })
    let cluster: Cluster
    try {
      await auditTable.load(ledger, this.#logOf('audit', 'error'))
      await enableDeclared(auditTable, this.#options.auditDevices ?? [], this.#logOf('audit', 'error'))
      cluster = (await barrier.storage('core/').get<Cluster>('cluster'))!
    } catch (error) {
      // Left open, it would be in the way of the next attempt.
      await Promise.allSettled([audit.close(), ledger.close()])
      throw error
    }
    this.#ledger = ledger
    this.#audit = audit
    leases.run()
    const housekeeping = new Housekeeping(
      [
        { name: 'moving and disabling mounts', run: () => mounts.goOn(revokeAll), atOnce: true },
        { name: 'counting leases', run: () => quotas.followMounts(), atOnce: true },
        { name: 'rotating the key of the barrier', run: async () => this.seal.keyRing?.rotateIfDue() },
        { name: 'checking the seal', run: () => this.seal.check(), atOnce: true },
        { name: 'removing expired policies', run: () => policies.tidy() },
        { name: 'forgetting failed log-ins', run: () => lockout.tidy(), atOnce: true },
        { name: 'counting what is there', run: () => this.observation.countUsage(core, this.#telemetry.usageSeconds) },
        { name: 'removing expired entries', run: () => tidyMounts(mounts) },
      ],
      this.#logOf('housekeeping', 'error'),
    )
    // Beside the requests: what a mount gave out may take long to take back, or fail, and must not keep others waiting.
    housekeeping.start()
    const flushing = startFlushing(mounts, this.#options.log)
    return { barrier, core, cluster, housekeeping, flushing }
  }

  /** What this server itself adds to the system's own paths. */
  #own(): OwnServices {
    return {
      ...this.#reports(),
      serverLog: this.#serverLog,
      barePaths: () => this.gate.bare,
      configState: () => this.#options.configState ?? {},
      seal: () => this.sealNow(),
      keyRing: () => this.#keyRing(),
      sealKeys: this.seal.keys,
      unauthedRekey: this.#options.unauthedRekey ?? true,
      apiAddress: this.#options.apiAddress ?? '',
    }
  }

  #mounts(barrier: Barrier, builtin: Record<string, Engine>, given: ForMounts = {}): Mounts {
    return new Mounts({
      storage: barrier.storage('mount/'),
      clock: this.#clock,
      catalog: { secret: engines, auth: authMethods, builtin },
      defaultLeaseTtlSeconds: this.#options.defaultLeaseTtlSeconds,
      maxLeaseTtlSeconds: this.#options.maxLeaseTtlSeconds,
      report: this.#logOf('mounts', 'info'),
      ...given,
    })
  }

  /** A server that keeps nothing still has a ledger; it lies in a folder that goes with the server. */
  async #ledgerPlace(): Promise<string> {
    const { ledgerFolder, storage } = this.#options
    if (ledgerFolder !== undefined) return ledgerFolder
    if (storage.options['path'] !== undefined) return path.join(storage.options['path'], 'ledger')
    this.#temporaryFolder ??= await mkdtemp(path.join(tmpdir(), 'strongroom-ledger-'))
    return this.#temporaryFolder
  }
}
