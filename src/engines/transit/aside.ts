/** Work with keys that takes milliseconds and that node:crypto has no way to do on its thread pool: on a thread of its own. */
import type { KeyObject } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { SaltLength } from './rsa-digest.ts'
import type { TypeName } from './types.ts'

export type Task =
  | {
      kind: 'rsa-sign'
      key: KeyObject
      digest: Uint8Array
      /** By its name in this API; undefined: none. */
      hash: string | undefined
      scheme: 'pss' | 'pkcs1v15'
      saltLength: SaltLength
    }
  | { kind: 'ecdsa-sign'; key: KeyObject; type: TypeName; digest: Uint8Array }
  | { kind: 'ecdsa-verify'; key: KeyObject; type: TypeName; digest: Uint8Array; signature: Uint8Array }

export interface Question {
  number: number
  task: Task
}

/** `result` is undefined when there is no signature of what was given. */
export interface Answer {
  number: number
  result?: Uint8Array | boolean | undefined
  failed?: true
}

/** More would wait for seconds. */
const MAX_WAITING = 4096

type Waiting = { resolve: (result: Uint8Array | boolean | undefined) => void; reject: (error: Error) => void }

export class Aside {
  readonly #file: URL
  readonly #waiting = new Map<number, Waiting>()
  /** Started when first needed: most servers never sign a digest. */
  #thread: Worker | undefined
  #lastNumber = 0

  constructor(file: URL) {
    this.#file = file
  }

  /** @throws ApiError `too_many_requests` when too much waits already, `internal` when the thread ended */
  run(task: Task): Promise<Uint8Array | boolean | undefined> {
    if (this.#waiting.size >= MAX_WAITING) throw new ApiError('too_many_requests', 'too many signatures at once')
    const thread = (this.#thread ??= this.#start())
    const question: Question = { number: (this.#lastNumber += 1), task }
    return new Promise((resolve, reject) => {
      this.#waiting.set(question.number, { resolve, reject })
      thread.ref()
      thread.postMessage(question)
    })
  }

  #start(): Worker {
    // It needs neither the environment, where secrets may stand, nor the options of this process.
    const thread = new Worker(this.#file, { env: {}, execArgv: [] })
    thread.on('message', ({ number, result, failed }: Answer) => {
      const waiting = this.#waiting.get(number)
      this.#waiting.delete(number)
      if (this.#waiting.size === 0) thread.unref()
      if (failed) waiting?.reject(failure('a signature could not be made'))
      else waiting?.resolve(result)
    })
    thread.on('error', () => this.#end(thread, 'it failed'))
    thread.on('exit', () => this.#end(thread, 'it ended'))
    return thread
  }

  /** The next question starts it again. */
  #end(thread: Worker, why: string): void {
    if (this.#thread !== thread) return
    this.#thread = undefined
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of all) reject(failure(why))
  }
}

function failure(why: string): ApiError {
  return new ApiError('internal', 'internal error', { reason: `the thread that signs digests: ${why}` })
}

export const aside = new Aside(new URL('aside-thread.ts', import.meta.url))
