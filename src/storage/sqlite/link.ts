/**
 * A reader's line to the writer: sends what is to be committed, hears what was, and fails everything that waits if the
 * writer is gone.
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { WriteSet } from '#storage/draft.ts'
import type { ReadSet } from '#storage/reads.ts'
import type { Try } from '#storage/transact.ts'
import { behind, WRITER_GONE, type CommitRequest, type ReaderReply, type Shared } from './protocol.ts'

/** What may wait for the disk, from one thread. Beyond it writes are refused: memory must not grow with a slow disk. */
export const MAX_WAITING_COMMITS = 10_000
export const MAX_WAITING_BYTES = 128 * 1024 * 1024
/** A commit that takes longer is told as trouble. */
const SLOW_MS = 5000

interface Waiting {
  since: number
  bytes: number
  resolve: (conflict: string | undefined) => void
  reject: (error: ApiError) => void
}

type Hear = (keys: string[], versions: number[]) => void

export class Link {
  readonly #port: MessagePort
  readonly #shared: Shared
  readonly #hear: Hear
  readonly #waiting = new Map<number, Waiting>()
  readonly #attached = Promise.withResolvers<void>()
  readonly #idle: (() => void)[] = []
  #outbox: CommitRequest[] = []
  #waitingBytes = 0
  #lastId = 0
  #trouble: string | undefined
  #gone: string | undefined
  /** The sequence of the last commit heard of. Public for the one comparison that every read makes. */
  seen = 0

  constructor(port: MessagePort, shared: Shared, hear: Hear) {
    this.#port = port
    this.#shared = shared
    this.#hear = hear
    port.on('message', (reply: ReaderReply) => this.#receive(reply))
    port.on('close', () => this.stop(WRITER_GONE))
  }

  /** From then on no commit is missed. */
  async attached(): Promise<void> {
    await this.#attached.promise
    this.#port.unref()
  }

  /**
   * Hear all that was published, now.
   *
   * @throws ApiError `storage_failed` if some of it can no longer be heard: what is kept here may be stale for good
   */
  catchUp(): void {
    if (this.seen === this.#shared.sequence()) return
    this.#receiveAll()
    if (behind(this.seen, this.#shared.sequence())) throw new ApiError('storage_failed', this.#gone ?? WRITER_GONE)
  }

  /** Not after the end: Node 26 crashes if a port is read while it closes. What came before was delivered before that. */
  #receiveAll(): void {
    while (this.#gone === undefined) {
      const received = receiveMessageOnPort(this.#port) as { message: ReaderReply } | undefined
      if (!received) break
      this.#receive(received.message)
    }
  }

  async commit(
    since: number,
    attempt: Try,
    reads: ReadSet,
    { keys, versions, values }: WriteSet,
  ): Promise<string | undefined> {
    const bytes = values.reduce((sum, value) => sum + (value?.byteLength ?? 0), 0)
    if (this.#gone !== undefined) throw new ApiError('storage_failed', this.#gone)
    if (this.#waiting.size >= MAX_WAITING_COMMITS || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      throw new ApiError('storage_failed', 'more writes wait for the disk than the store takes: try again later')
    }
    this.#lastId += 1
    const id = this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
    if (this.#waiting.size === 0) this.#port.ref()
    this.#waiting.set(id, { since: performance.now(), bytes, resolve, reject })
    this.#waitingBytes += bytes
    this.#post({ id, since, attempt, reads, keys, versions, ...pack(values, bytes) })
    return await promise
  }

  trouble(): string | undefined {
    if (this.#gone !== undefined || this.#trouble !== undefined) return this.#gone ?? this.#trouble
    const [oldest] = this.#waiting.values()
    const waited = oldest ? performance.now() - oldest.since : 0
    return waited < SLOW_MS
      ? undefined
      : `the disk of the store does not answer: a commit waits for ${Math.round(waited / 1000)} s`
  }

  /** When nothing waits any more. */
  async idle(): Promise<void> {
    if (this.#waiting.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle.push(resolve)
    await promise
  }

  /** No more commits; whatever still waits fails with `why`. */
  stop(why: string): void {
    if (this.#gone !== undefined) return
    this.#gone = why
    const failed = new ApiError('storage_failed', why)
    this.#attached.promise.catch(() => undefined)
    this.#attached.reject(failed)
    this.#settle([...this.#waiting.keys()], (waiting) => waiting.reject(failed))
    this.#port.close()
  }

  /** What is asked for in one turn of the event loop goes in one message. */
  #post(request: CommitRequest): void {
    this.#outbox.push(request)
    if (this.#outbox.length > 1) return
    process.nextTick(() => {
      const requests = this.#outbox
      this.#outbox = []
      if (this.#gone === undefined) this.#port.postMessage(requests)
    })
  }

  #receive(reply: ReaderReply): void {
    switch (reply.kind) {
      case 'attached':
        this.seen = reply.sequence
        this.#trouble = reply.trouble
        this.#attached.resolve()
        return
      case 'published':
        this.seen = reply.sequence
        this.#hear(reply.keys, reply.versions)
        return
      case 'answered':
        this.#settle(reply.ids, (waiting, index) => waiting.resolve(reply.conflicts[index]))
        return
      case 'failed': {
        const { message, reason } = reply
        this.#settle(reply.ids, (waiting) => waiting.reject(new ApiError('storage_failed', message, { reason })))
        return
      }
      case 'trouble':
        this.#trouble = reply.text
        return
    }
  }

  #settle(ids: readonly number[], settle: (waiting: Waiting, index: number) => void): void {
    for (const [index, id] of ids.entries()) {
      const waiting = this.#waiting.get(id)
      if (!waiting) continue
      this.#waiting.delete(id)
      this.#waitingBytes -= waiting.bytes
      settle(waiting, index)
    }
    if (this.#waiting.size > 0) return
    this.#port.unref()
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

function pack(values: WriteSet['values'], bytes: number): Pick<CommitRequest, 'ends' | 'values'> {
  const packed = new Uint8Array(bytes)
  const ends: number[] = []
  let end = 0
  for (const value of values) {
    if (value) {
      packed.set(value, end)
      end += value.byteLength
    }
    ends.push(end)
  }
  return { ends, values: packed }
}
