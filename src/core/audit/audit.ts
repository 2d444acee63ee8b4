/**
 * The audit trail: every request before it is carried out and every reply before it leaves, on each device.
 *
 * A device may be required, as the ledger is: what it does not hold is not answered. Of the others one has to hold the
 * line if none is required; where the ledger does, one that fails is told by `trouble()` and stops nobody.
 */
import type { AuditDevice, AuditEvent } from '#sdk/audit.ts'
import type { Counter, Sample } from '#lib/metrics/series.ts'
import { Metrics } from '#sdk/metrics.ts'
import { ApiError } from '#sdk/errors.ts'
import { Formatter, type FormatOptions } from './format.ts'

export interface AuditDeviceOptions extends FormatOptions {
  /** Nothing is answered that this device does not hold. It cannot be removed. */
  required?: boolean
}

export interface AuditOptions {
  /** Told once when a device begins to fail and once when it works again, for the server's own log. */
  report?: (text: string) => void
  metrics?: Metrics
}

/** Looking at the clock costs a good part of what a line costs. */
const TIMED_ONE_IN = 7

interface Sink {
  name: string
  device: AuditDevice
  options: AuditDeviceOptions
  formatter: Formatter
  required: boolean
  failure: string | undefined
}

export class Audit {
  readonly #sinks = new Map<string, Sink>()
  readonly #report: (text: string) => void
  readonly #requests: { sample: Sample; failures: Counter }
  readonly #responses: { sample: Sample; failures: Counter }
  #all: readonly Sink[] = []
  #recorded = 0

  constructor({ report, metrics = new Metrics() }: AuditOptions = {}) {
    this.#report = report ?? (() => {})
    this.#requests = {
      sample: metrics.sample('audit.log_request'),
      failures: metrics.counter('audit.log_request_failure'),
    }
    this.#responses = {
      sample: metrics.sample('audit.log_response'),
      failures: metrics.counter('audit.log_response_failure'),
    }
  }

  /**
   * @param name  unique; for devices of `sys/audit` the path with its slash at the end
   * @throws ApiError `invalid_request` when the name is taken
   */
  add(name: string, device: AuditDevice, options: AuditDeviceOptions): void {
    if (this.#sinks.has(name)) throw new ApiError('invalid_request', 'path already in use')
    const formatter = new Formatter(options, device.maxLineBytes)
    const required = options.required ?? false
    this.#sinks.set(name, { name, device, options, formatter, required, failure: undefined })
    this.#all = [...this.#sinks.values()]
  }

  /**
   * Stop writing to a device, and close it once it holds what it was given. A name that is unknown is no error.
   *
   * @throws ApiError `invalid_request` for a required device
   */
  async remove(name: string): Promise<void> {
    const sink = this.#sinks.get(name)
    if (!sink) return
    if (sink.required) throw new ApiError('invalid_request', `the audit device "${name}" cannot be removed`)
    this.#sinks.delete(name)
    this.#all = [...this.#sinks.values()]
    await sink.device.close()
  }

  names(): string[] {
    return [...this.#sinks.keys()]
  }

  /** What another thread of this process has to know to make the lines of each device. */
  describe(): { name: string; options: AuditDeviceOptions; maxLineBytes: number | undefined }[] {
    return this.#all.map(({ name, options, device: { maxLineBytes } }) => ({ name, options, maxLineBytes }))
  }

  /**
   * Lines that another thread made, as UTF-8. That one counts a failure, this one tells it.
   *
   * @throws ApiError `audit_failed` when some are not held, or there is no such device any more
   */
  async hold(name: string, lines: readonly Buffer[]): Promise<void> {
    const sink = this.#sinks.get(name)
    if (!sink) throw unheld(`there is no audit device ${name}`)
    const { device } = sink
    try {
      if (device.writeAll) await device.writeAll(lines)
      else await Promise.all(lines.map((line) => device.write(line.toString('utf8'))))
    } catch (error) {
      throw this.#failed(sink, error)
    }
    if (sink.failure !== undefined) this.#works(sink)
  }

  /**
   * Lines are handed to the devices before this returns, so they stand in the order of the calls.
   *
   * @throws ApiError `audit_failed` when the line is not held: the caller must not go on, and must not answer
   */
  record(event: AuditEvent): Promise<void> {
    const { sample } = event.type === 'request' ? this.#requests : this.#responses
    this.#recorded += 1
    // Odd, so that both kinds of lines have their turn though they come in pairs.
    if (this.#recorded % TIMED_ONE_IN === 0) return this.#timed(event, sample)
    sample.skip()
    return this.#record(event)
  }

  async #timed(event: AuditEvent, sample: Sample): Promise<void> {
    const begun = process.hrtime.bigint()
    try {
      await this.#record(event)
    } finally {
      sample.add(Number(process.hrtime.bigint() - begun) / 1e6)
    }
  }

  #record(event: AuditEvent): Promise<void> {
    const sinks = this.#all
    return sinks.length === 1 ? this.#write(sinks[0]!, event) : this.#writeAll(sinks, event)
  }

  async #writeAll(sinks: readonly Sink[], event: AuditEvent): Promise<void> {
    if (sinks.length === 0) throw new ApiError('audit_failed', 'no audit device is there to hold the request')
    const results = await Promise.allSettled(sinks.map((sink) => this.#write(sink, event)))
    let held = false
    let failure: unknown
    for (const [at, result] of results.entries()) {
      if (result.status === 'fulfilled') held = true
      else if (sinks[at]!.required) throw result.reason
      else failure ??= result.reason
    }
    if (!held) throw failure
  }

  async #write(sink: Sink, event: AuditEvent): Promise<void> {
    try {
      await sink.device.write(sink.formatter.line(event))
    } catch (error) {
      const { failures } = event.type === 'request' ? this.#requests : this.#responses
      failures.add()
      throw this.#failed(sink, error)
    }
    if (sink.failure !== undefined) this.#works(sink)
  }

  #failed(sink: Sink, error: unknown): ApiError {
    const text = error instanceof Error ? error.message : String(error)
    if (sink.failure === undefined) this.#report(`audit device ${sink.name} failed: ${text}`)
    sink.failure = text
    return error instanceof ApiError && error.code === 'audit_failed' ? error : unheld(text, error)
  }

  #works(sink: Sink): void {
    sink.failure = undefined
    this.#report(`audit device ${sink.name} works again`)
  }

  /**
   * What a device writes in place of `input`.
   *
   * @throws ApiError `invalid_request` for an unknown device
   */
  hash(name: string, input: string): string {
    const sink = this.#sinks.get(name)
    if (!sink) throw new ApiError('invalid_request', `unknown audit backend "${name}"`)
    return sink.formatter.hash(input)
  }

  /** Open files again, after a log rotation. All are tried; the first failure is thrown. */
  async reload(): Promise<void> {
    const results = await Promise.allSettled(this.#all.map(({ device }) => device.reload()))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async close(): Promise<void> {
    const sinks = this.#all
    this.#all = []
    this.#sinks.clear()
    await Promise.all(sinks.map(({ device }) => device.close()))
  }

  /** Names of the devices that do not work right now. */
  failing(): string[] {
    return this.#all
      .filter(({ device, failure }) => (device.trouble() ?? failure) !== undefined)
      .map(({ name }) => name)
  }

  /** Text for operators and health: undefined while every device works. */
  trouble(): string | undefined {
    const troubles = this.#all.flatMap(({ name, device, failure }) => {
      const text = device.trouble() ?? failure
      return text === undefined ? [] : [`${name}: ${text}`]
    })
    return troubles.length === 0 ? undefined : troubles.join('; ')
  }
}

function unheld(reason: string, cause?: unknown): ApiError {
  return new ApiError('audit_failed', 'the request could not be audited', { reason, cause })
}
