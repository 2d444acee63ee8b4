/**
 * The writer's thread: the only one that writes to the store. Takes what all readers want to commit, commits all that waits
 * at once, tells every reader what changed, and only then answers.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import { Committer } from './committer.ts'
import { codeOf, openForWriting, type Files } from './database.ts'
import {
  nextSequence,
  Shared,
  type OwnerReply,
  type OwnerRequest,
  type ReaderReply,
  type ReaderRequest,
  type WriterStart,
} from './protocol.ts'
import { Reservation, type Waiting } from './reservation.ts'

/** What one fsync may carry: more makes the first of them wait for no gain. */
const MAX_BATCH_REQUESTS = 256
const MAX_BATCH_BYTES = 16 * 1024 * 1024
/** How often a store that cannot write tries whether it can again. */
const PROBE_MS = 1000
const MIN_PROBE_BYTES = 64 * 1024

const FULL = 13

class Writer {
  readonly #files: Files
  readonly #folder: string
  readonly #committer: Committer
  readonly #shared: Shared
  readonly #ports = new Set<MessagePort>()
  readonly #reservation = new Reservation(() => this.#schedule())
  #waiting: Waiting[] = []
  #sequence: number
  #scheduled = false
  #trouble: string | undefined
  /** Bytes of the batch that failed last: what there must be room for. */
  #failedBytes = 0
  #checkpointTrouble: string | undefined
  #probe: NodeJS.Timeout | undefined

  constructor({ folder, shared }: WriterStart) {
    this.#files = openForWriting(folder)
    this.#folder = folder
    this.#committer = new Committer(this.#files.store)
    this.#shared = new Shared(shared)
    this.#shared.startVersions(this.#committer.lastVersion())
    this.#sequence = this.#shared.sequence()
  }

  attach(port: MessagePort): void {
    this.#ports.add(port)
    port.on('message', (message: ReaderRequest) => this.#enqueue(port, message))
    port.on('close', () => this.#ports.delete(port))
    send(port, { kind: 'attached', sequence: this.#sequence, trouble: this.#troubleText() })
  }

  close(): void {
    this.#reservation.end()
    this.#drain()
    while (this.#waiting.length > 0) this.#commitSome()
    this.#checkpoint('TRUNCATE')
    // After the last that may fail: what could not be copied stays in the log, and a thread that tried on would never end.
    clearInterval(this.#probe)
    for (const port of this.#ports) port.close()
    this.#files.store.close()
    this.#files.lock.close()
  }

  #enqueue(port: MessagePort, requests: ReaderRequest): void {
    for (const request of requests) this.#waiting.push({ port, request })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#run())
  }

  #run(): void {
    this.#scheduled = false
    this.#drain()
    if (!this.#reservation.admits(this.#waiting)) return
    this.#commitSome()
    if (this.#committer.checkpointDue()) this.#checkpoint('PASSIVE')
    if (this.#waiting.length > 0) this.#schedule()
  }

  /** All that has come since, without going around the event loop. */
  #drain(): void {
    for (const port of this.#ports) {
      for (;;) {
        const received = receiveMessageOnPort(port) as { message: ReaderRequest } | undefined
        if (!received) break
        for (const request of received.message) this.#waiting.push({ port, request })
      }
    }
  }

  #commitSome(): void {
    const batch = this.#takeBatch()
    if (batch.length === 0) return
    try {
      const { conflicts, keys, versions } = this.#committer.commit(
        batch.map(({ request }) => request),
        this.#sequence,
      )
      if (keys.length > 0) {
        this.#publish(keys, versions)
        this.#setTrouble(undefined)
      }
      for (const [port, indexes] of byPort(batch)) {
        const ids = indexes.map((index) => batch[index]!.request.id)
        for (const index of indexes) if (conflicts[index] !== undefined) this.#reservation.grant(batch[index]!)
        send(port, { kind: 'answered', ids, conflicts: indexes.map((index) => conflicts[index]) })
      }
    } catch (error) {
      this.#fail(batch, error)
    }
  }

  #takeBatch(): Waiting[] {
    let count = 0
    for (let bytes = 0; count < this.#waiting.length && count < MAX_BATCH_REQUESTS; count += 1) {
      bytes += this.#waiting[count]!.request.values.byteLength
      if (count > 0 && bytes > MAX_BATCH_BYTES) break
    }
    return this.#waiting.splice(0, count)
  }

  #publish(keys: string[], versions: number[]): void {
    this.#sequence = nextSequence(this.#sequence)
    for (const port of this.#ports) send(port, { kind: 'published', sequence: this.#sequence, keys, versions })
    this.#shared.publish(this.#sequence)
  }

  #fail(batch: readonly Waiting[], error: unknown): void {
    const { message, reason } = describe(error, this.#folder)
    this.#failedBytes = batch.reduce((sum, { request }) => sum + request.values.byteLength, 0)
    this.#setTrouble(reason)
    // Copying the log into the database frees the log's own space, which may be all that later commits need.
    this.#checkpoint('PASSIVE')
    for (const [port, indexes] of byPort(batch)) {
      send(port, { kind: 'failed', ids: indexes.map((index) => batch[index]!.request.id), message, reason })
    }
  }

  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    const before = this.#troubleText()
    try {
      this.#committer.checkpoint(mode)
      this.#checkpointTrouble = undefined
    } catch (error) {
      // What was acknowledged is safe in the log; the next checkpoint copies it again.
      this.#checkpointTrouble = describe(error, this.#folder).reason
    }
    this.#tellTrouble(before)
  }

  #setTrouble(text: string | undefined): void {
    const before = this.#troubleText()
    this.#trouble = text
    this.#tellTrouble(before)
  }

  #tellTrouble(before: string | undefined): void {
    const now = this.#troubleText()
    if (now === before) return
    for (const port of this.#ports) send(port, { kind: 'trouble', text: now })
    clearInterval(this.#probe)
    if (now !== undefined) this.#probe = setInterval(() => this.#tryAgain(), PROBE_MS)
  }

  #tryAgain(): void {
    // First, since what it frees in the log may be the room that there is.
    this.#checkpoint('PASSIVE')
    try {
      this.#committer.probe(this.#failedBytes + MIN_PROBE_BYTES)
      this.#setTrouble(undefined)
    } catch (error) {
      this.#setTrouble(describe(error, this.#folder).reason)
    }
  }

  #troubleText(): string | undefined {
    return this.#trouble ?? this.#checkpointTrouble
  }
}

function byPort(batch: readonly Waiting[]): Map<MessagePort, number[]> {
  const indexes = new Map<MessagePort, number[]>()
  for (const [index, { port }] of batch.entries()) {
    const known = indexes.get(port)
    if (known) known.push(index)
    else indexes.set(port, [index])
  }
  return indexes
}

function describe(error: unknown, folder: string): { message: string; reason: string } {
  const detail = error instanceof Error ? error.message : String(error)
  if (codeOf(error) === FULL) {
    const text = 'nothing was written; make room on it, and writing goes on by itself'
    return { message: `the disk of the store is full: ${text}`, reason: `the disk of ${folder} is full: ${text}` }
  }
  const text = `nothing was written; check the disk, its space and its limits, and writing goes on by itself`
  return {
    message: `the store cannot write to its disk: ${text}`,
    reason: `cannot write to ${folder} (${detail}): ${text}`,
  }
}

function send(port: MessagePort, reply: ReaderReply): void {
  port.postMessage(reply)
}

function start(owner: MessagePort, given: WriterStart): void {
  const reply = (message: OwnerReply) => owner.postMessage(message)
  let writer: Writer
  try {
    writer = new Writer(given)
  } catch (error) {
    reply({ kind: 'refused', message: error instanceof Error ? error.message : String(error) })
    return
  }
  owner.on('message', (message: OwnerRequest) => {
    if (message.kind === 'attach') return writer.attach(message.port)
    writer.close()
    owner.close()
  })
  reply({ kind: 'ready' })
}

start(parentPort!, workerData as WriterStart)
