/**
 * The server's log in a file, replaced by a new one when it has become too long or too old. Older ones stay beside it as
 * `<name>-<nanoseconds>.<extension>`, as many as are asked for.
 */
import { createWriteStream, openSync, readdirSync, renameSync, statSync, unlinkSync, type WriteStream } from 'node:fs'
import path from 'node:path'
import type { LogSink } from './log.ts'

export interface LogFileOptions {
  /** A file, or a folder (also with a separator at its end) in which it is called strongroom.log. */
  place: string
  /** 0: however long. */
  maxBytes: number
  maxAgeSeconds: number
  /** Older files to keep; 0: all, -1: none. */
  maxFiles: number
}

/** Lines that a slow disk has not taken yet; further ones are left out. */
const MAX_PENDING_BYTES = 1024 * 1024

/** Between two attempts when the file cannot be written. */
const RETRY_MS = 5000

export class LogFile implements LogSink {
  readonly file: string
  readonly #options: LogFileOptions
  readonly #complain: (text: string) => void
  #stream: WriteStream | undefined
  #bytes = 0
  #openedMs = 0
  #failedMs = 0

  /**
   * @param complain  for what cannot be told in the file itself
   * @throws Error when the file cannot be opened
   */
  constructor(options: LogFileOptions, complain: (text: string) => void) {
    this.#options = options
    this.#complain = complain
    this.file = fileAt(options.place)
    this.#open()
  }

  write(line: string): void {
    try {
      const stream = this.#current()
      if (!stream || stream.writableLength > MAX_PENDING_BYTES) return
      stream.write(line)
      this.#bytes += Buffer.byteLength(line)
    } catch (error) {
      this.#fail(error)
    }
  }

  reopen(): void {
    this.#stream?.end()
    this.#stream = undefined
    this.#failedMs = 0
  }

  async close(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    this.#failedMs = Number.POSITIVE_INFINITY
    if (stream) await new Promise<void>((resolve) => stream.close(() => resolve()))
  }

  /** Undefined while a failure is not long enough ago. */
  #current(): WriteStream | undefined {
    if (!this.#stream) {
      if (Date.now() - this.#failedMs < RETRY_MS || this.#failedMs === Number.POSITIVE_INFINITY) return undefined
      this.#open()
    }
    const { maxBytes, maxAgeSeconds } = this.#options
    const tooLong = maxBytes > 0 && this.#bytes >= maxBytes
    const tooOld = maxAgeSeconds > 0 && Date.now() - this.#openedMs >= maxAgeSeconds * 1000
    if (this.#bytes > 0 && (tooLong || tooOld)) this.#rotate()
    return this.#stream
  }

  #open(): void {
    // Opened at once, so that a rename cannot come before it.
    const fd = openSync(this.file, 'a', 0o600)
    const stream = createWriteStream(this.file, { fd })
    stream.on('error', (error) => {
      if (this.#stream === stream) this.#fail(error)
    })
    this.#stream = stream
    this.#bytes = statSync(this.file).size
    this.#openedMs = Date.now()
  }

  #rotate(): void {
    const { dir, name, ext } = path.parse(this.file)
    this.#stream?.end()
    this.#stream = undefined
    renameSync(
      this.file,
      path.join(dir, `${name}-${Date.now()}${process.hrtime()[1].toString().padStart(9, '0').slice(3)}${ext}`),
    )
    this.#open()
    const { maxFiles } = this.#options
    if (maxFiles === 0) return
    const older = readdirSync(dir)
      .filter((each) => each.startsWith(`${name}-`) && each.endsWith(ext) && /-\d{19}\.[^.]*$/.test(each))
      .toSorted()
    const tooMany = older.length - Math.max(0, maxFiles)
    for (const each of older.slice(0, Math.max(0, tooMany))) unlinkSync(path.join(dir, each))
  }

  #fail(error: unknown): void {
    this.#stream = undefined
    if (this.#failedMs === Number.POSITIVE_INFINITY) return
    this.#failedMs = Date.now()
    this.#complain(
      `the log file ${this.file} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function fileAt(place: string): string {
  const isFolder = /[/\\]$/.test(place) || (statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false)
  if (isFolder) return path.join(place, 'strongroom.log')
  return path.extname(place) === '' ? `${place}.log` : place
}
