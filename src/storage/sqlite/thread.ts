/** The writer's thread, seen from the thread that starts it. */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import { Shared, WRITER_GONE, type OwnerReply, type OwnerRequest, type WriterStart } from './protocol.ts'

export class WriterThread {
  readonly folder: string
  readonly shared: SharedArrayBuffer
  readonly #worker: Worker
  /** Resolves when the thread has ended, however it did. */
  readonly #ended = Promise.withResolvers<void>()
  /** Undefined when the store is open, else why it is not. */
  readonly #ready = Promise.withResolvers<string | undefined>()
  #over = false
  #problem: string | undefined

  /** @throws ApiError `storage_failed` if the thread cannot open the folder */
  static async start(folder: string): Promise<WriterThread> {
    const shared = new SharedArrayBuffer(Shared.bytes)
    const start: WriterStart = { folder, shared }
    // The thread needs neither the environment, where secrets may stand, nor the options of this process.
    const worker = new Worker(new URL('writer.ts', import.meta.url), { workerData: start, env: {}, execArgv: [] })
    const writer = new WriterThread(folder, shared, worker)
    const refusal = await writer.#ready.promise
    if (refusal !== undefined) {
      await writer.#ended.promise
      throw new ApiError('storage_failed', refusal)
    }
    worker.unref()
    return writer
  }

  private constructor(folder: string, shared: SharedArrayBuffer, worker: Worker) {
    this.folder = folder
    this.shared = shared
    this.#worker = worker
    worker.on('message', (reply: OwnerReply) =>
      this.#ready.resolve(reply.kind === 'refused' ? reply.message : undefined),
    )
    worker.on('error', (error: unknown) => {
      this.#problem = error instanceof Error ? error.message : String(error)
    })
    worker.on('exit', () => {
      this.#over = true
      this.#ready.resolve('the writer of the store did not start')
      this.#ended.resolve()
    })
  }

  /** A port for one more reader. */
  attach(): MessagePort {
    if (this.#over) throw new ApiError('storage_failed', WRITER_GONE)
    const { port1, port2 } = new MessageChannel()
    this.#send({ kind: 'attach', port: port2 }, [port2])
    return port1
  }

  /** What was handed to the writer is committed first, and all of it lies in the database file then. */
  async close(): Promise<void> {
    this.#worker.ref()
    this.#send({ kind: 'close' }, [])
    await this.#ended.promise
    if (this.#problem !== undefined) throw new ApiError('storage_failed', WRITER_GONE, { reason: this.#problem })
  }

  #send(request: OwnerRequest, transfer: MessagePort[]): void {
    this.#worker.postMessage(request, transfer)
  }
}
