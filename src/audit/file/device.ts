/**
 * File audit device: appends lines to a file, or writes them to standard output. Options as of Vault's: `file_path` (or
 * `path`, or the words `stdout` and `discard`), `mode` in octal, `prefix`, `format`.
 *
 * Lines that wait go out together in one write. When not all of them could be written (disk full), the file is cut back
 * to its last whole line, those whose lines are not in it are refused, and the next line tries again.
 */
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { AuditDevice, AuditDeviceKind } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'

type Options = Readonly<Record<string, string>>

interface Line {
  text: string
  kept: PromiseWithResolvers<void>
}

/** Lines that wait while the disk is slow, in UTF-16 units; beyond, new ones are refused. */
const MAX_WAITING_CHARS = 16 * 1_048_576

/** A disk that takes longer is told as failing, so that no request waits for it any longer. */
const WRITE_TIMEOUT_MS = 5_000

export const kind: AuditDeviceKind = { name: 'file', open: openFile }

async function openFile(options: Options): Promise<AuditDevice> {
  const file = options['file_path'] ?? options['path']
  if (file === undefined || file === '') throw new ApiError('invalid_request', 'file_path is required')
  const format = options['format'] ?? ''
  if (format !== '' && format !== 'json') throw new ApiError('invalid_request', `unknown format type "${format}"`)
  const prefix = options['prefix'] ?? ''
  if (/[\r\n]/.test(prefix)) throw new ApiError('invalid_request', 'prefix must not contain a line break')
  const mode = parseMode(options['mode'])
  if (file.toLowerCase() === 'discard') return new Discard()
  if (file.toLowerCase() === 'stdout') return new Stdout(prefix)
  const device = new FileDevice(file, prefix, mode)
  try {
    await device.reload()
  } catch (error) {
    // Found here, it costs nothing; found later, it stops requests.
    const text = error instanceof Error ? error.message : String(error)
    throw new ApiError('invalid_request', `sanity check failed; unable to open "${file}" for writing: ${text}`)
  }
  return device
}

/** Undefined for `0000`: leave the mode of the file as it is. Bits to execute are left out, as Vault's API has it. */
function parseMode(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return 0o600
  const mode = Number.parseInt(text, 8)
  if (!/^[0-7]+$/.test(text) || mode > 0o777) throw new ApiError('invalid_request', `invalid file mode "${text}"`)
  return mode === 0 ? undefined : mode & 0o666
}

class Discard implements AuditDevice {
  async write(): Promise<void> {}
  async reload(): Promise<void> {}
  async close(): Promise<void> {}
  trouble(): undefined {}
}

/** Waits for the reader of a pipe as far as the stream does; what it buffers is bounded as for a file. */
class Stdout implements AuditDevice {
  readonly #prefix: string
  #waitingChars = 0
  #trouble: string | undefined
  /** Without it, a reader that went away would end the server. Each write tells of it too. */
  readonly #onError = (error: Error) => {
    this.#trouble = `standard output cannot be written: ${error.message}`
  }

  constructor(prefix: string) {
    this.#prefix = prefix
    process.stdout.on('error', this.#onError)
  }

  write(line: string): Promise<void> {
    if (this.#waitingChars > MAX_WAITING_CHARS) return Promise.reject(new Error('nobody reads standard output'))
    this.#waitingChars += line.length
    return new Promise((resolve, reject) => {
      process.stdout.write(`${this.#prefix}${line}\n`, (error) => {
        this.#waitingChars -= line.length
        if (error) return reject(error)
        this.#trouble = undefined
        resolve()
      })
    })
  }

  async reload(): Promise<void> {}

  async close(): Promise<void> {
    process.stdout.off('error', this.#onError)
  }

  trouble(): string | undefined {
    return this.#trouble
  }
}

interface Target {
  handle: FileHandle
  /** Only these can be cut back and forced to the disk; not terminals and /dev/null. */
  regular: boolean
}

class FileDevice implements AuditDevice {
  readonly #path: string
  readonly #prefix: string
  readonly #mode: number | undefined
  #target: Target | undefined
  #waiting: Line[] = []
  #waitingChars = 0
  #running: Promise<void> | undefined
  #appending: Promise<void> | undefined
  #stalled = false
  #trouble: string | undefined
  #closed = false

  constructor(path: string, prefix: string, mode: number | undefined) {
    this.#path = path
    this.#prefix = prefix
    this.#mode = mode
  }

  write(line: string): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('the device is closed'))
    if (this.#stalled || this.#waitingChars > MAX_WAITING_CHARS) {
      return Promise.reject(new Error(this.#trouble ?? 'the disk does not keep up'))
    }
    const kept = Promise.withResolvers<void>()
    this.#waiting.push({ text: `${this.#prefix}${line}\n`, kept })
    this.#waitingChars += line.length
    this.#running ??= this.#run()
    return kept.promise
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop, so that all who are on their way now share the write.
      await new Promise((resolve) => void setImmediate(resolve))
      const lines = this.#waiting
      this.#waiting = []
      this.#waitingChars = 0
      const watch = setTimeout(() => this.#stall(lines), WRITE_TIMEOUT_MS)
      try {
        this.#appending = this.#append(lines)
        await this.#appending
        this.#trouble = undefined
      } catch (error) {
        this.#trouble = explain(error, this.#path)
        for (const { kept } of lines) kept.reject(new Error(this.#trouble, { cause: error }))
      }
      clearTimeout(watch)
      this.#stalled = false
    }
    this.#running = undefined
  }

  /** The write goes on, and may succeed; but nobody waits for it any longer, and nobody else until it is over. */
  #stall(lines: readonly Line[]): void {
    this.#stalled = true
    this.#trouble = `${this.#path} has not taken a line for ${WRITE_TIMEOUT_MS / 1_000} s`
    for (const { kept } of [...lines, ...this.#waiting]) kept.reject(new Error(this.#trouble))
    this.#waiting = []
    this.#waitingChars = 0
  }

  /** Lines that are in the file when this returns or throws are acknowledged; for others it throws. */
  async #append(lines: readonly Line[]): Promise<void> {
    this.#target ??= await openTarget(this.#path, this.#mode)
    const { handle, regular } = this.#target
    const bytes = Buffer.from(lines.map(({ text }) => text).join(''))
    let done = 0
    let failure: unknown
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, null)
        if (bytesWritten === 0) throw new Error('it takes no more bytes')
        done += bytesWritten
      }
    } catch (error) {
      failure = error
    }
    let whole = bytes.length
    if (failure !== undefined) {
      whole = bytes.subarray(0, done).lastIndexOf(10) + 1
      if (regular && done > whole) await handle.truncate((await handle.stat()).size - (done - whole))
    }
    if (regular) await handle.datasync()
    let end = 0
    for (const { text, kept } of lines) {
      end += Buffer.byteLength(text)
      if (end <= whole) kept.resolve()
    }
    if (failure !== undefined) throw failure
  }

  /** Opens the path again, after what stood there was moved away. If that fails, lines go where they went. */
  async reload(): Promise<void> {
    const fresh = await openTarget(this.#path, this.#mode)
    const old = this.#target
    this.#target = fresh
    await this.#release(old)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    const old = this.#target
    this.#target = undefined
    await this.#release(old)
  }

  /** Close a file once the lines on their way to it are there. */
  async #release(target: Target | undefined): Promise<void> {
    // Whoever handed the lines in has been told if they failed.
    await Promise.allSettled([this.#appending])
    await target?.handle.close()
  }

  trouble(): string | undefined {
    return this.#trouble
  }
}

async function openTarget(path: string, mode: number | undefined): Promise<Target> {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants
  const handle = await open(path, O_WRONLY | O_APPEND | O_CREAT, mode ?? 0o600)
  try {
    const stats = await handle.stat()
    const regular = stats.isFile()
    if (!regular && !stats.isCharacterDevice()) throw new Error('it is neither a file nor a device')
    if (regular && mode !== undefined && (stats.mode & 0o777) !== mode) await handle.chmod(mode)
    return { handle, regular }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function explain(error: unknown, where: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC') return `the disk of ${where} is full`
  if (code === 'EDQUOT') return `the disk quota for ${where} is used up`
  return `${where} cannot be written: ${error instanceof Error ? error.message : String(error)}`
}
