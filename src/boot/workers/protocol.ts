/** What the main thread and its workers ask each other. */
import type { KeyObject } from 'node:crypto'
import type { AuditDeviceOptions } from '#core/audit/audit.ts'
import type { LockoutConfig } from '#core/lockout.ts'
import type { Taken } from '#core/quotas/limiter.ts'
import type { ListenerOptions } from '#http/options.ts'
import type { Collected } from '#lib/metrics/registry.ts'
import type { Span } from '#lib/otlp.ts'
import type { Incoming, Outgoing } from '#request/incoming.ts'
import type { Seat } from '#storage/sqlite/driver.ts'
import type { RunningRequest } from '#sys/in-flight.ts'
import type { ForAll } from '#boot/listeners.ts'
import type { Stanza } from '#boot/config.ts'
import type { LogEvent } from '#boot/log.ts'
import type { MessagePort } from 'node:worker_threads'

/** One address that every worker listens on: told as it stands in the configuration, since options have functions in them. */
export interface SharedListener {
  /** With the port that was chosen. */
  address: string
  source: { stanza: Stanza; forAll: ForAll } | { plain: Pick<ListenerOptions, 'tls' | 'limits'> }
}

/** Of the node's options what a worker needs, and can be cloned. */
export interface WorkerOptions {
  defaultLeaseTtlSeconds: number
  maxLeaseTtlSeconds: number
  userLockout?: LockoutConfig
  disableUserLockout: boolean
  fixedHeaders: ReadonlySet<string>
  /** Undefined where nobody wants spans. */
  traceRatio: number | undefined
}

/** Given to a worker when it starts. */
export interface WorkerStart {
  seat: Seat
  port: MessagePort
  options: WorkerOptions
  listeners: readonly SharedListener[]
}

/** What a worker has to know of a device to make its lines. */
export interface DeviceSpec {
  name: string
  options: AuditDeviceOptions
  maxLineBytes: number | undefined
}

/** What the main thread hands over when the seal is open. Keys cross threads as handles. */
export interface Opening {
  rootKey: KeyObject
  devices: readonly DeviceSpec[]
}

/** An answer whose stream, if it has one, stays with the main thread. */
export interface Forwarded {
  answer: Omit<Outgoing, 'stream'>
  stream: number | undefined
}

/** Lines as UTF-8, one after the other, and where each ends: one block of bytes is handed over without a copy. */
export interface PackedLines {
  bytes: Uint8Array<ArrayBuffer>
  ends: readonly number[]
}

export interface Report {
  series: Collected[]
  /** Of the shared values, since the seal was opened. */
  hits: number
  misses: number
  inFlight: number
}

export interface ToMain {
  [verb: string]: (argument: never) => unknown
  /** A whole request that only the main thread can answer. */
  handle(incoming: Incoming): Forwarded
  next(stream: number): IteratorResult<string>
  endStream(stream: number): void
  /** Resolves when the device holds all these lines. */
  record(asked: { device: string } & PackedLines): void
  /** Takes one request of a client of a rate rule. @returns undefined when there is no such rule any more */
  spend(asked: { rule: string; client: string; secondary: boolean }): Taken | undefined
  rootKeys(nothing: undefined): readonly KeyObject[]
  ready(nothing: undefined): void
  log(event: LogEvent): void
  span(span: Span): void
}

export interface ToWorker {
  [verb: string]: (argument: never) => unknown
  open(opening: Opening): void
  /** Resolves when nothing more can be read or written. Answers of requests under way are still recorded. */
  seal(nothing: undefined): void
  /** @returns whether all requests were answered */
  drained(timeoutMs: number): boolean
  devices(devices: readonly DeviceSpec[]): void
  /** @returns whether all requests to it were answered within the time */
  closeMount(asked: { uuid: string; timeoutMs: number }): boolean
  openMount(uuid: string): void
  reopenMounts(routes: readonly string[]): void
  inFlight(nothing: undefined): RunningRequest[]
  collect(nothing: undefined): Report
  reloadTls(listener: number): void
  setHeaders(asked: { listener: number; headers: ListenerOptions['responseHeaders'] }): void
  closeListener(asked: { listener: number; drainSeconds: number }): void
  cut(listener: number): void
  /** Lets go of the store; then the thread can end. */
  end(nothing: undefined): void
}
