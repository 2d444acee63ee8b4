/**
 * The server's own log: one line an event, for people and for log collectors, on standard error and, if asked for, in a
 * file. Never a secret. Each part of the server has a logger with a name and a level of its own.
 */
import { isTold, type LogLevel } from '#lib/log-level.ts'
import { LogStream } from './log-stream.ts'

export type LogFormat = 'standard' | 'json'
type Details = Readonly<Record<string, string | number>>

export interface LogEvent {
  at: Date
  level: LogLevel
  /** Of the part of the server that speaks. */
  name: string
  text: string
  details: Details
}

export interface LogSink {
  write(line: string): void
  reopen(): void
  close(): Promise<void>
}

/** Loggers that are there from the start; more may come. */
const names = ['core', 'audit', 'config', 'housekeeping', 'http', 'mounts']
const MAX_LOGGERS = 200

/** Streams of the log at the same time. */
const MAX_STREAMS = 16

export class ServerLog {
  #level: LogLevel = 'info'
  #format: LogFormat = 'standard'
  readonly #levels = new Map<string, LogLevel>(names.map((name) => [name, 'info']))
  readonly #streams = new Set<LogStream>()
  readonly #write: (line: string) => void
  #file: LogSink | undefined

  constructor(write: (line: string) => void = (line) => void process.stderr.write(line)) {
    this.#write = write
  }

  /** @param format  of standard error, the file, and streams that ask for none */
  configure({ level, format, file }: { level?: LogLevel; format?: LogFormat; file?: LogSink }): void {
    if (level) {
      this.#level = level
      this.reset()
    }
    if (format) this.#format = format
    if (file) this.#file = file
  }

  /** What one part of the server says, at one level. */
  named(name: string, level: LogLevel = 'info'): (text: string, details?: Details) => void {
    return (text, details = {}) => this.tell({ at: new Date(), level, name, text, details })
  }

  tell(event: LogEvent): void {
    if (!this.#levels.has(event.name) && this.#levels.size < MAX_LOGGERS) this.#levels.set(event.name, this.#level)
    for (const stream of this.#streams) stream.offer(event)
    if (!isTold(event.level, this.#levels.get(event.name) ?? this.#level)) return
    const line = lineOf(event, this.#format)
    this.#write(line)
    this.#file?.write(line)
  }

  levels(): Record<string, LogLevel> {
    return Object.fromEntries([...this.#levels].toSorted(([one], [other]) => (one < other ? -1 : 1)))
  }

  /** Of all loggers, or of one. @returns whether there is such a logger */
  setLevel(level: LogLevel, name?: string): boolean {
    if (name !== undefined && !this.#levels.has(name)) return false
    for (const each of name === undefined ? [...this.#levels.keys()] : [name]) this.#levels.set(each, level)
    return true
  }

  /** Back to the level of the configuration. @returns whether there is such a logger */
  reset(name?: string): boolean {
    return this.setLevel(this.#level, name)
  }

  /** What is told from the moment on in which it is read. Undefined when there are too many already. */
  stream(level: LogLevel, format: LogFormat | undefined): AsyncIterable<string> | undefined {
    if (this.#streams.size >= MAX_STREAMS) return undefined
    const print = (event: LogEvent) => lineOf(event, format ?? this.#format)
    const streams = this.#streams
    return {
      [Symbol.asyncIterator]() {
        const stream: LogStream = new LogStream(level, print, () => streams.delete(stream))
        // Others may have begun since this one was let in.
        if (streams.size < MAX_STREAMS) streams.add(stream)
        else stream.end('the log is being followed by too many already')
        return stream
      },
    }
  }

  endStreams(lastWords: string): void {
    for (const stream of this.#streams) stream.end(lastWords)
  }

  /** After a log rotation. */
  reopen(): void {
    this.#file?.reopen()
  }

  /** What was told is in the file then. */
  async close(): Promise<void> {
    await this.#file?.close()
  }
}

/** The log of this process. */
export const serverLog = new ServerLog()

export function logLine(text: string, details: Details = {}): void {
  serverLog.tell({ at: new Date(), level: 'info', name: 'core', text, details })
}

export function lineOf({ at, level, name, text, details }: LogEvent, format: LogFormat): string {
  if (format === 'json') {
    const head = { '@level': level, '@message': text, '@module': name, '@timestamp': at.toISOString() }
    return `${JSON.stringify({ ...head, ...details })}\n`
  }
  const rest = Object.entries(details).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`)
  const tag = `[${level.toUpperCase()}]`.padEnd(7)
  return `${at.toISOString()} ${tag} ${name}: ${text.replaceAll(/[\r\n]+/g, ' ')}${rest.join('')}\n`
}
