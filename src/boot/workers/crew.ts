/**
 * The workers as the main thread sees them: started beside it, opened and sealed with it, replaced when one ends by itself.
 * The main thread answers requests as they do; what needs one memory for the whole server is its alone.
 */
import { MessageChannel, Worker } from 'node:worker_threads'
import type { ListenerOptions } from '#http/options.ts'
import type { Listener } from '#http/server.ts'
import type { Incoming, Outgoing } from '#request/incoming.ts'
import type { OtherThreads } from '#core/mounts/departure.ts'
import type { Seat } from '#storage/sqlite/driver.ts'
import type { RunningRequest } from '#sys/in-flight.ts'
import { Calls, type Handlers } from './calls.ts'
import type { DeviceSpec, Opening, Report, SharedListener, ToMain, ToWorker, WorkerOptions } from './protocol.ts'

/** A worker that does not do as it is told within this time is ended, and another takes its place. */
const PATIENCE_MS = 10_000
/** Sealing waits no longer for a worker before it is ended. */
const SEAL_PATIENCE_MS = 2000
/** How long numbers are waited for. */
const REPORT_PATIENCE_MS = 1000
const REPORT_MS = 5000
/** Before another is started in the place of one that ended; longer when that had just begun. */
const PAUSE_MS = 50
const LONG_PAUSE_MS = 2000
const SHORT_LIFE_MS = 10_000

/** What the main thread lends. */
export interface Host {
  seat(): Seat
  options: WorkerOptions
  /** Undefined while sealed. */
  opening(): Opening | undefined
  serve: Pick<Handlers<ToMain>, 'record' | 'spend' | 'rootKeys' | 'log' | 'span'> & {
    handle(incoming: Incoming): Promise<Outgoing>
  }
  collected(report: Report): void
  log(text: string): void
}

interface Member {
  worker: Worker
  calls: Calls<ToWorker, ToMain>
  ready: Promise<void>
  ended: Promise<void>
  startedMs: number
  report: Omit<Report, 'series'>
}

export class Crew {
  readonly #host: Host
  readonly #listeners: readonly SharedListener[]
  readonly #size: number
  readonly #members = new Set<Member>()
  readonly #timer: NodeJS.Timeout
  #stopping = false
  #missing = 0

  constructor(host: Host, size: number, listeners: readonly SharedListener[]) {
    this.#host = host
    this.#size = size
    this.#listeners = listeners
    this.#timer = setInterval(() => void this.collect(), REPORT_MS).unref()
  }

  /** @throws Error if one cannot start; then none runs */
  async start(): Promise<void> {
    try {
      await Promise.all(Array.from({ length: this.#size }, () => this.#join(this.#spawn())))
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** After the main thread. Whoever does not get there is replaced, and does not keep the others waiting for long. */
  async open(): Promise<void> {
    const opening = this.#host.opening()
    if (opening) await this.#tellAll('open', opening, PATIENCE_MS)
  }

  /** When this resolves, no worker can read or write anything any more. */
  async seal(): Promise<void> {
    await this.#tellAll('seal', undefined, SEAL_PATIENCE_MS)
  }

  /** @returns whether all their requests were answered within `timeoutMs` */
  async drained(timeoutMs: number): Promise<boolean> {
    const asked = [...this.#members].map((member) => member.calls.ask('drained', timeoutMs).catch(() => true))
    return !(await Promise.all(asked)).includes(false)
  }

  /** From when this resolves on, every line goes to these. */
  async follow(devices: readonly DeviceSpec[]): Promise<void> {
    await this.#tellAll('devices', devices, PATIENCE_MS)
  }

  /** What Mounts asks of its like in the other threads. */
  get mounts(): OtherThreads {
    return {
      close: async (uuid, timeoutMs) => {
        // One that ends meanwhile has no requests under way any more.
        const asked = [...this.#members].map(({ calls }) =>
          calls.ask('closeMount', { uuid, timeoutMs }).catch(() => true),
        )
        return !(await Promise.all(asked)).includes(false)
      },
      open: (uuid) => {
        for (const { calls } of this.#members) calls.tell('openMount', uuid)
      },
      reopen: (routes) => this.#tellAll('reopenMounts', routes, PATIENCE_MS),
    }
  }

  async inFlight(): Promise<RunningRequest[]> {
    const asked = [...this.#members].map(({ calls }) => within(calls.ask('inFlight', undefined), REPORT_PATIENCE_MS))
    return (await Promise.allSettled(asked)).flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
  }

  /** Has what they counted since the last time added to the numbers of the server. */
  async collect(): Promise<void> {
    await Promise.allSettled(
      [...this.#members].map(async (member) => {
        const report = await within(member.calls.ask('collect', undefined), REPORT_PATIENCE_MS)
        member.report = report
        this.#host.collected(report)
      }),
    )
  }

  /** Of the last reports. */
  get totals(): Omit<Report, 'series'> {
    const sum = (name: 'hits' | 'misses' | 'inFlight') =>
      [...this.#members].reduce((total, { report }) => total + report[name], 0)
    return { hits: sum('hits'), misses: sum('misses'), inFlight: sum('inFlight') }
  }

  trouble(): string | undefined {
    return this.#missing === 0 ? undefined : `${this.#missing} of ${this.#size + 1} workers are being started again`
  }

  /** One listener of the main thread, and those of the workers on the same address, by its place among the shared ones. */
  spread(listener: Listener, index: number): Listener {
    const each = async (tell: (calls: Member['calls']) => Promise<unknown>) => {
      await Promise.all([...this.#members].map(({ calls }) => tell(calls)))
    }
    return {
      listen: () => listener.listen(),
      close: async ({ drainSeconds }) => {
        // From here on nobody is replaced: a new one would listen again.
        this.#stopping = true
        const there = each((calls) => calls.ask('closeListener', { listener: index, drainSeconds }).catch(() => {}))
        await Promise.all([listener.close({ drainSeconds }), there])
      },
      cut: () => {
        listener.cut()
        for (const { calls } of this.#members) calls.tell('cut', index)
      },
      get address() {
        return listener.address
      },
      reloadTls: async () => {
        await listener.reloadTls()
        await each((calls) => calls.ask('reloadTls', index))
      },
      setResponseHeaders: (headers: ListenerOptions['responseHeaders']) => {
        listener.setResponseHeaders(headers)
        for (const { calls } of this.#members) calls.tell('setHeaders', { listener: index, headers })
      },
    }
  }

  /** All end, and let go of the store first. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#timer)
    await this.collect()
    await Promise.all(
      [...this.#members].map(async (member) => {
        await within(member.calls.ask('end', undefined), PATIENCE_MS).catch(() => {})
        await member.worker.terminate()
        await member.ended
      }),
    )
  }

  #spawn(): Member {
    const { port1, port2 } = new MessageChannel()
    const seat = this.#host.seat()
    const workerData = { seat, port: port2, options: this.#host.options, listeners: this.#listeners }
    // As with the writer of the store: the environment may hold secrets, and a worker needs none of it.
    const worker = new Worker(new URL('worker.ts', import.meta.url), {
      workerData,
      transferList: [seat.port, port2],
      env: {},
      name: 'worker',
    })
    const ready = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    const streams = new Streams()
    const calls = new Calls<ToWorker, ToMain>(
      port1,
      {
        ...this.#host.serve,
        handle: async (incoming) => {
          const { stream, ...answer } = await this.#host.serve.handle(incoming)
          return { answer, stream: stream && streams.keep(stream) }
        },
        next: (stream) => streams.next(stream),
        endStream: (stream) => streams.end(stream),
        ready: () => ready.resolve(),
      },
      'the worker is gone',
    )
    const member: Member = {
      worker,
      calls,
      ready: ready.promise,
      ended: ended.promise,
      startedMs: performance.now(),
      report: { hits: 0, misses: 0, inFlight: 0 },
    }
    this.#members.add(member)
    // The text of an error may quote what it was about.
    worker.on('error', (error: unknown) => this.#host.log(`a worker failed: ${frameOf(error)}`))
    worker.on('exit', () => {
      this.#members.delete(member)
      calls.stop('the worker is gone')
      streams.endAll()
      ready.promise.catch(() => {})
      ready.reject(new Error('a worker could not start'))
      ended.resolve()
    })
    return member
  }

  /** @throws Error if it ends before it listens */
  async #join(member: Member): Promise<void> {
    await member.ready
    const opening = this.#host.opening()
    if (opening) await this.#tell(member, 'open', opening, PATIENCE_MS)
    void member.ended.then(() => this.#replace(member))
  }

  async #replace({ startedMs }: Member): Promise<void> {
    if (this.#stopping) return
    this.#missing += 1
    let pauseMs = performance.now() - startedMs < SHORT_LIFE_MS ? LONG_PAUSE_MS : PAUSE_MS
    while (!this.#stopping) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs).unref())
      if (this.#stopping) return
      try {
        await this.#join(this.#spawn())
        this.#missing -= 1
        this.#host.log('another worker took its place')
        return
      } catch (error) {
        this.#host.log(`a worker cannot be started: ${error instanceof Error ? error.message : String(error)}`)
        pauseMs = LONG_PAUSE_MS
      }
    }
  }

  async #tellAll<K extends 'open' | 'seal' | 'devices' | 'reopenMounts'>(
    verb: K,
    argument: Parameters<ToWorker[K]>[0],
    patienceMs: number,
  ): Promise<void> {
    await Promise.all([...this.#members].map((member) => this.#tell(member, verb, argument, patienceMs)))
  }

  /** Never rejects: whoever fails is ended before this resolves, and so is sealed in any case. */
  async #tell<K extends 'open' | 'seal' | 'devices' | 'reopenMounts'>(
    member: Member,
    verb: K,
    argument: Parameters<ToWorker[K]>[0],
    patienceMs: number,
  ): Promise<void> {
    try {
      await within(member.calls.ask(verb, argument), patienceMs)
    } catch (error) {
      this.#host.log(`a worker is ended (${verb}): ${error instanceof Error ? error.message : String(error)}`)
      await member.worker.terminate()
      await member.ended
    }
  }
}

/** Answers that go on, of one worker: it takes them piece by piece. */
class Streams {
  readonly #all = new Map<number, AsyncIterator<string>>()
  #last = 0

  keep(stream: AsyncIterable<string>): number {
    this.#last += 1
    this.#all.set(this.#last, stream[Symbol.asyncIterator]())
    return this.#last
  }

  async next(id: number): Promise<IteratorResult<string>> {
    return (await this.#all.get(id)?.next()) ?? { done: true, value: undefined }
  }

  async end(id: number): Promise<void> {
    const stream = this.#all.get(id)
    this.#all.delete(id)
    await stream?.return?.()
  }

  endAll(): void {
    for (const id of this.#all.keys()) void this.end(id)
  }
}

async function within<T>(promise: Promise<T>, patienceMs: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${patienceMs} ms`)), patienceMs)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function frameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const frame = (error.stack ?? '').split('\n').find((line) => /^\s+at /.test(line))
  return `${error.name}${frame ? ` ${frame.trim()}` : ''}`
}
