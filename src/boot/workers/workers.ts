/** The other threads of one server, if it has any: all that the main thread asks of them is a no-op while there are none. */
import type { Threads } from '#boot/join.ts'
import type { RunningRequest } from '#sys/in-flight.ts'
import { Crew } from './crew.ts'
import { hostOf, type HostParts } from './host.ts'
import type { Report, SharedListener } from './protocol.ts'

const NONE: Omit<Report, 'series'> = { hits: 0, misses: 0, inFlight: 0 }

export class Workers {
  /** Threads that are to answer requests, the main thread among them. Only the embedded store has seats for more than one. */
  readonly count: number
  /** Asked for each time: there may be others later, or none any more. */
  readonly threads: Threads
  readonly #parts: Omit<HostParts, 'seat'> & { seat: HostParts['seat'] | undefined }
  #crew: Crew | undefined

  constructor(parts: Omit<HostParts, 'seat'> & { seat: HostParts['seat'] | undefined }) {
    this.#parts = parts
    this.count = parts.seat ? (parts.options.workers ?? 1) : 1
    this.threads = {
      devicesChanged: async (without) =>
        await this.#crew?.follow((parts.audit()?.describe() ?? []).filter(({ name }) => name !== without)),
      mounts: {
        close: async (uuid, timeoutMs) => (await this.#crew?.mounts.close(uuid, timeoutMs)) ?? true,
        open: (uuid) => this.#crew?.mounts.open(uuid),
        reopen: async (routes) => await this.#crew?.mounts.reopen(routes),
      },
    }
  }

  /**
   * Starts those that answer beside this one. They follow the seal from here on.
   *
   * @throws Error if one cannot start; then none runs
   */
  async start(listeners: readonly SharedListener[]): Promise<Crew> {
    const { seat, ...parts } = this.#parts
    const crew = new Crew(hostOf({ seat: seat!, ...parts }), this.count - 1, listeners)
    this.#crew = crew
    try {
      await crew.start()
      return crew
    } catch (error) {
      this.#crew = undefined
      throw error
    }
  }

  /** See Crew for these. */
  async open(): Promise<void> {
    await this.#crew?.open()
  }

  async seal(): Promise<void> {
    await this.#crew?.seal()
  }

  async drained(timeoutMs: number): Promise<void> {
    await this.#crew?.drained(timeoutMs)
  }

  async stop(): Promise<void> {
    await this.#crew?.stop()
    this.#crew = undefined
  }

  async inFlight(): Promise<RunningRequest[]> {
    return (await this.#crew?.inFlight()) ?? []
  }

  async collect(): Promise<void> {
    await this.#crew?.collect()
  }

  get totals(): Omit<Report, 'series'> {
    return this.#crew?.totals ?? NONE
  }

  /** What this thread had of its shared values, and the others of theirs. */
  added(here: { hits: number; misses: number } | undefined): { hits: number; misses: number } {
    const { hits, misses } = this.totals
    return { hits: hits + (here?.hits ?? 0), misses: misses + (here?.misses ?? 0) }
  }

  trouble(): string | undefined {
    return this.#crew?.trouble()
  }
}
