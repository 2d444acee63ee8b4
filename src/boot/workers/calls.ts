/**
 * Questions and answers between two threads of this server, over one port. Refusals cross it as what they are; of other
 * errors nothing but their name does.
 */
import type { MessagePort } from 'node:worker_threads'
import { ApiError, type ErrorCode } from '#sdk/errors.ts'

/** Questions that may be open, one way. Beyond, new ones are refused: memory must not grow with a thread that is slow. */
export const MAX_OPEN_QUESTIONS = 20_000

/** What one side can be asked, and told without an answer: each with one argument that can be cloned. */
export type Verbs = { [verb: string]: (argument: never) => unknown }

export type Handlers<V extends Verbs> = {
  [K in keyof V]: (argument: Parameters<V[K]>[0]) => ReturnType<V[K]> | Promise<ReturnType<V[K]>>
}

interface PlainError {
  code: ErrorCode
  message: string
  reason: string | undefined
  unrecorded: boolean
  failedLogin: ApiError['failedLogin']
  headers: ApiError['headers']
}

type Message =
  | { kind: 'ask'; id: number; verb: string; argument: unknown }
  | { kind: 'tell'; verb: string; argument: unknown }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'refused'; id: number; error: PlainError }

export class Calls<Theirs extends Verbs, Ours extends Verbs> {
  readonly #port: MessagePort
  readonly #handlers: Handlers<Ours>
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>()
  #lastId = 0
  #gone: string | undefined

  /** @param goneText  what those read who asked when the other thread ended */
  constructor(port: MessagePort, handlers: Handlers<Ours>, goneText: string) {
    this.#port = port
    this.#handlers = handlers
    port.on('message', (message: Message) => this.#receive(message))
    port.on('close', () => this.stop(goneText))
  }

  /** @param transfer  what of the argument is handed over rather than copied
   * @throws ApiError that the other side threw, or `internal` when it is gone */
  async ask<K extends keyof Theirs & string>(
    verb: K,
    argument: Parameters<Theirs[K]>[0],
    transfer: readonly ArrayBuffer[] = NOTHING,
  ): Promise<Awaited<ReturnType<Theirs[K]>>> {
    if (this.#gone !== undefined) throw new ApiError('internal', this.#gone)
    if (this.#open.size >= MAX_OPEN_QUESTIONS) throw new ApiError('too_many_requests', 'too many requests wait')
    this.#lastId += 1
    const id = this.#lastId
    const waiting = Promise.withResolvers<unknown>()
    this.#open.set(id, waiting)
    try {
      this.#send({ kind: 'ask', id, verb, argument }, transfer)
    } catch (error) {
      this.#open.delete(id)
      throw error
    }
    return (await waiting.promise) as Awaited<ReturnType<Theirs[K]>>
  }

  /** Without an answer; nothing happens when the other side is gone. */
  tell<K extends keyof Theirs & string>(verb: K, argument: Parameters<Theirs[K]>[0]): void {
    if (this.#gone === undefined) this.#send({ kind: 'tell', verb, argument })
  }

  /** Whoever waits is refused, and so is whoever asks later. */
  stop(why: string): void {
    if (this.#gone !== undefined) return
    this.#gone = why
    for (const { reject } of this.#open.values()) reject(new ApiError('internal', why))
    this.#open.clear()
    this.#port.close()
  }

  #receive(message: Message): void {
    if (message.kind === 'ask') void this.#answer(message.id, message.verb, message.argument)
    else if (message.kind === 'tell') void this.#handlers[message.verb]!(message.argument as never)
    else {
      const waiting = this.#open.get(message.id)
      this.#open.delete(message.id)
      if (message.kind === 'answer') waiting?.resolve(message.value)
      else waiting?.reject(errorOf(message.error))
    }
  }

  async #answer(id: number, verb: string, argument: unknown): Promise<void> {
    let reply: Message
    try {
      reply = { kind: 'answer', id, value: await this.#handlers[verb]!(argument as never) }
    } catch (error) {
      reply = { kind: 'refused', id, error: plainOf(error) }
    }
    if (this.#gone !== undefined) return
    try {
      this.#send(reply)
    } catch (error) {
      // What cannot be handed over must not leave the other side waiting, nor end this one.
      this.#send({ kind: 'refused', id, error: plainOf(error) })
    }
  }

  #send(message: Message, transfer: readonly ArrayBuffer[] = NOTHING): void {
    this.#port.postMessage(message, transfer as ArrayBuffer[])
  }
}

const NOTHING: readonly ArrayBuffer[] = []

function plainOf(error: unknown): PlainError {
  if (error instanceof ApiError) {
    const { code, message, reason, unrecorded, failedLogin, headers } = error
    return { code, message, reason, unrecorded, failedLogin, headers }
  }
  // Its message may quote a secret.
  const reason = error instanceof Error ? error.name : 'unknown'
  return {
    code: 'internal',
    message: 'internal error',
    reason,
    unrecorded: false,
    failedLogin: undefined,
    headers: undefined,
  }
}

function errorOf({ code, message, reason, unrecorded, failedLogin, headers }: PlainError): ApiError {
  const error = new ApiError(code, message, {
    unrecorded,
    ...(reason !== undefined && { reason }),
    ...(failedLogin && { failedLogin }),
  })
  error.headers = headers
  return error
}
