/**
 * One worker: a thread that answers requests beside the main thread, on the same port and the same store. It has the services
 * behind the barrier for itself, from the root key that it is handed; what needs one memory for the whole server it asks the
 * main thread. It does no background work, and when it ends, however it does, nothing of the server is lost with it.
 */
import { workerData } from 'node:worker_threads'
import { authMethods } from '#auth/registry.ts'
import { Audit } from '#core/audit/audit.ts'
import { Mounts } from '#core/mounts/mounts.ts'
import { engines } from '#engines/registry.ts'
import type { ListenerOptions } from '#http/options.ts'
import { createListener, type Listener } from '#http/server.ts'
import type { Core } from '#request/core.ts'
import { Gate } from '#request/gate.ts'
import type { Incoming, Outgoing } from '#request/incoming.ts'
import { Barrier } from '#seal/barrier.ts'
import { KeyRing } from '#seal/keyring.ts'
import { attach } from '#storage/sqlite/driver.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Span } from '#lib/otlp.ts'
import { Metrics } from '#sdk/metrics.ts'
import type { Driver } from '#sdk/storage.ts'
import { systemClock } from '#boot/clock.ts'
import { type Housekeeping, startFlushing } from '#boot/housekeeping.ts'
import { joinCore, type OwnServices } from '#boot/join.ts'
import { listenerOptions } from '#boot/listeners.ts'
import { meteredDriver } from '#boot/metered-driver.ts'
import { answerCounter } from '#boot/observation.ts'
import { epochOffsetNs } from '#boot/otlp-exporter.ts'
import { defaultTelemetry } from '#boot/telemetry.ts'
import { AuditLines } from './audit-lines.ts'
import { Calls, type Handlers } from './calls.ts'
import { isAnsweredHere } from './own-paths.ts'
import type {
  DeviceSpec,
  Forwarded,
  Opening,
  PackedLines,
  SharedListener,
  ToMain,
  ToWorker,
  WorkerStart,
} from './protocol.ts'

interface Unsealed {
  core: Core
  ring: KeyRing
  barrier: Barrier
  audit: Audit
  flushing: Housekeeping
}

class WorkerServer {
  readonly #start: WorkerStart
  readonly #driver: Driver
  readonly #metrics: Metrics
  readonly #gate = new Gate([], [], systemClock)
  readonly #calls: Calls<ToMain, ToWorker>
  readonly #listeners: Listener[] = []
  #unsealed: Unsealed | undefined
  /** Changes of the seal and of the audit devices, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Opened, sealed, opened: what is still being opened for an earlier one must not come to stand. */
  #round = 0

  constructor(start: WorkerStart, driver: Driver, metrics: Metrics) {
    this.#start = start
    this.#driver = driver
    this.#metrics = metrics
    this.#calls = new Calls(start.port, this.#handlers(), 'the main thread is gone')
  }

  async listen(): Promise<void> {
    for (const shared of this.#start.listeners) {
      const options = optionsOf(shared)
      const listener = createListener((incoming) => this.#handle(incoming), {
        ...options,
        address: shared.address,
        reusePort: true,
        log: (text, details) =>
          this.#calls.tell('log', { at: new Date(), level: 'error', name: 'http', text, details: { ...details } }),
        onAnswer: answerCounter(this.#metrics),
        crossOrigin: async () => (await this.#unsealed?.core.settings.cors.rules()) ?? (await options.crossOrigin?.()),
        pageHeaders: async () => (await this.#unsealed?.core.settings.uiHeaders.all())?.flat() ?? [],
      })
      await listener.listen()
      this.#listeners.push(listener)
    }
  }

  ready(): void {
    this.#calls.tell('ready', undefined)
  }

  async #handle(incoming: Incoming): Promise<Outgoing> {
    const core = this.#unsealed?.core
    if (core && incoming.open?.has(incoming.path) !== true) {
      const here = isAnsweredHere(core.mounts, incoming)
      if (here === true || (here !== false && (await here))) return await this.#gate.handle(incoming)
    }
    const { answer, stream } = await this.#calls.ask('handle', incoming)
    return stream === undefined ? answer : { ...answer, stream: this.#streamOf(stream) }
  }

  /** What the main thread goes on telling. */
  #streamOf(stream: NonNullable<Forwarded['stream']>): AsyncIterable<string> {
    const end = async (): Promise<IteratorResult<string>> => {
      await this.#calls.ask('endStream', stream)
      return { done: true, value: undefined }
    }
    return { [Symbol.asyncIterator]: () => ({ next: () => this.#calls.ask('next', stream), return: end }) }
  }

  #handlers(): Handlers<ToWorker> {
    return {
      open: (opening) => this.#open(opening),
      seal: () => this.#seal(),
      drained: (timeoutMs) => this.#gate.drained(timeoutMs),
      devices: (devices) =>
        this.#inTurn(async () => this.#unsealed && (await this.#follow(this.#unsealed.audit, devices))),
      closeMount: async ({ uuid, timeoutMs }) => (await this.#unsealed?.core.mounts.closeHere(uuid, timeoutMs)) ?? true,
      openMount: (uuid) => this.#unsealed?.core.mounts.openHere(uuid),
      reopenMounts: async (routes) =>
        void (await this.#unsealed?.core.mounts.reopen(({ route }) => routes.includes(route))),
      inFlight: () => this.#gate.inFlight(),
      collect: () => {
        const { hits = 0, misses = 0 } = this.#unsealed?.barrier.shared ?? {}
        return { series: this.#metrics.take(), hits, misses, inFlight: this.#gate.running }
      },
      reloadTls: (listener) => this.#listeners[listener]!.reloadTls(),
      setHeaders: ({ listener, headers }) => this.#listeners[listener]!.setResponseHeaders(headers),
      closeListener: ({ listener, drainSeconds }) => this.#listeners[listener]!.close({ drainSeconds }),
      cut: (listener) => this.#listeners[listener]!.cut(),
      end: () => this.#end(),
    }
  }

  async #inTurn(go: () => Promise<unknown>): Promise<void> {
    const next = this.#turn.then(go)
    this.#turn = next.catch(() => {})
    await next
  }

  async #open(opening: Opening): Promise<void> {
    this.#round += 1
    const round = this.#round
    await this.#inTurn(async () => {
      const unsealed = await this.#unseal(opening)
      if (round !== this.#round) {
        await close(unsealed)
        return
      }
      this.#unsealed = unsealed
      this.#gate.open(unsealed.core)
    })
  }

  /** Refusals begin before anything is awaited; when this resolves the keys are forgotten, those of an opening under way too. */
  async #seal(): Promise<void> {
    this.#round += 1
    const unsealed = this.#unsealed
    this.#unsealed = undefined
    this.#gate.close()
    if (!unsealed) {
      await this.#turn
      return
    }
    unsealed.barrier.seal()
    await this.#inTurn(() => close(unsealed))
  }

  async #unseal({ rootKey, devices }: Opening): Promise<Unsealed> {
    const rootKeys = () => this.#calls.ask('rootKeys', undefined)
    const ring = await KeyRing.load({ driver: this.#driver, clock: systemClock, rootKey, rootKeys })
    const barrier = new Barrier(this.#driver, ring)
    const { options } = this.#start
    const tracing =
      options.traceRatio === undefined
        ? undefined
        : { ratio: options.traceRatio, offsetNs: epochOffsetNs(), add: (span: Span) => this.#calls.tell('span', span) }
    const { core } = joinCore(barrier, {
      options,
      observation: { metrics: this.#metrics, tracing },
      threads: { spend: (asked) => this.#calls.ask('spend', asked) },
      own: this.#own(),
      mountsWith: (builtin, given) =>
        new Mounts({
          storage: barrier.storage('mount/'),
          clock: systemClock,
          catalog: { secret: engines, auth: authMethods, builtin },
          defaultLeaseTtlSeconds: options.defaultLeaseTtlSeconds,
          maxLeaseTtlSeconds: options.maxLeaseTtlSeconds,
          ...given,
        }),
      // Told by the main thread, which has the device.
      report: () => {},
    })
    await core.tokens.prepare()
    await core.policies.setup()
    await this.#follow(core.audit, devices)
    const flushing = startFlushing(core.mounts, (text) => this.#log(text))
    return { core, ring, barrier, audit: core.audit, flushing }
  }

  async #follow(audit: Audit, devices: readonly DeviceSpec[]): Promise<void> {
    const names = devices.map(({ name }) => name)
    for (const name of audit.names()) if (!names.includes(name)) await audit.remove(name)
    for (const { name, options, maxLineBytes } of devices) {
      if (audit.names().includes(name)) continue
      const hold = (lines: PackedLines) => this.#calls.ask('record', { device: name, ...lines }, [lines.bytes.buffer])
      audit.add(name, new AuditLines(hold, maxLineBytes), options)
    }
  }

  /** The system's own paths that are answered here need none of these; see own-paths.ts. */
  #own(): OwnServices {
    return {
      metrics: this.#metrics,
      clock: systemClock,
      telemetry: defaultTelemetry,
      inFlight: () => this.#gate.inFlight(),
      serverLog: elsewhere,
      barePaths: () => [],
      configState: () => elsewhere,
      seal: async () => void (elsewhere as { there: never }).there,
      keyRing: () => elsewhere,
      sealKeys: elsewhere,
      unauthedRekey: false,
      apiAddress: '',
    }
  }

  async #end(): Promise<void> {
    await this.#unsealed?.flushing.round()
    await this.#seal()
    await this.#driver.close()
  }

  #log(text: string): void {
    this.#calls.tell('log', { at: new Date(), level: 'error', name: 'worker', text, details: {} })
  }
}

/** Fails closed: nothing that the main thread alone may do can be done from here. */
const elsewhere = new Proxy({} as never, {
  get(_, name) {
    throw new ApiError('internal', 'internal error', { reason: `the main thread has it: ${String(name)}` })
  },
})

function optionsOf({ source }: SharedListener): Omit<ListenerOptions, 'address'> {
  return 'plain' in source ? source.plain : listenerOptions(source.stanza, source.forAll)
}

async function close({ core, ring, barrier, flushing }: Unsealed): Promise<void> {
  barrier.seal()
  // What is left of the reserved encryptions goes back; if that fails, the count in the store is too high, the safe side.
  await ring.close().catch(() => {})
  core.tokens.forget()
  await flushing.stop()
}

const given = workerData as WorkerStart
const metrics = new Metrics()
const driver = meteredDriver(await attach(given.seat), metrics)
const server = new WorkerServer(given, driver, metrics)
await server.listen()
server.ready()
