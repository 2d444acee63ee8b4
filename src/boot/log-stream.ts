/** One reader of the server's log. What it does not take in time is dropped, and that is told. */
import { isTold, type LogLevel } from '#lib/log-level.ts'
import type { LogEvent } from './log.ts'

/** Lines kept for a reader that is slow. */
const MAX_WAITING = 512

export class LogStream implements AsyncIterator<string> {
  readonly #level: LogLevel
  readonly #print: (event: LogEvent) => string
  readonly #onEnd: () => void
  readonly #waiting: string[] = []
  #dropped = 0
  #ended = false
  #reader: ((result: IteratorResult<string>) => void) | undefined

  constructor(level: LogLevel, print: (event: LogEvent) => string, onEnd: () => void) {
    this.#level = level
    this.#print = print
    this.#onEnd = onEnd
  }

  offer(event: LogEvent): void {
    if (!isTold(event.level, this.#level)) return
    if (this.#waiting.length >= MAX_WAITING) {
      this.#dropped += 1
      return
    }
    this.#push(this.#print(event))
  }

  /** The reader gets what waits, then these words, then the end. */
  end(lastWords: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd()
    this.#push(`${lastWords}\n`)
    this.#reader?.({ done: true, value: undefined })
    this.#reader = undefined
  }

  next(): Promise<IteratorResult<string>> {
    const line = this.#waiting.shift()
    if (line !== undefined) return Promise.resolve({ done: false, value: line })
    if (this.#dropped > 0) {
      const value = `${this.#dropped} lines were told faster than they were read, and are left out\n`
      this.#dropped = 0
      return Promise.resolve({ done: false, value })
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => (this.#reader = resolve))
  }

  /** Ends a `next` that waits. */
  return(): Promise<IteratorResult<string>> {
    if (!this.#ended) {
      this.#ended = true
      this.#onEnd()
    }
    this.#waiting.length = 0
    this.#dropped = 0
    this.#reader?.({ done: true, value: undefined })
    this.#reader = undefined
    return Promise.resolve({ done: true, value: undefined })
  }

  #push(line: string): void {
    const reader = this.#reader
    if (!reader) return void this.#waiting.push(line)
    this.#reader = undefined
    reader({ done: false, value: line })
  }
}
