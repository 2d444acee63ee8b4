/**
 * The ledger: the audit device that is always on. Lines chained by hash, in segment files; see line.ts for the format.
 *
 * Group commit: all lines that wait go out in one write and one fdatasync, and are acknowledged together. The write is
 * made on the spot, since it only copies to the page cache; the sync, which takes time, on the thread pool.
 *
 * Nothing half written stays. When a write fails (disk full), the segment is cut back to the last line that was
 * acknowledged, those who wait are refused, and the next line tries again: it goes on by itself when there is room.
 */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { AuditDevice } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import {
  headerLine,
  leafHash,
  MAX_PLAIN_LINE_BYTES,
  NO_LINE,
  segmentName,
  suffix,
  SUFFIX_BYTES,
  type Link,
} from './line.ts'
import { resume } from './recover.ts'

export interface LedgerOptions {
  /** Made if it is not there. Nobody else may write to it. */
  folder: string
  /** A segment that has reached this many bytes is followed by a new one. */
  segmentBytes?: number
  /** Wait for the disk. Only a server that keeps nothing may do without. */
  durable?: boolean
  now?: () => Date
}

const SEGMENT_BYTES = 64 * 1_048_576

/** UTF-16 units, which take at most three bytes: a batch fits the part of a segment that is read after a crash. */
const MAX_BATCH_CHARS = 262_144

/** Lines that wait while the disk is slow, in UTF-16 units; beyond, new ones are refused. */
const MAX_WAITING_CHARS = 64 * 1_048_576

const BRACE = 0x7d

/** The longest that a batch stays open for those who are expected. */
const GATHER_MS = 1

/** What one or two clients hand in, one request after the other: there is nobody to wait for. */
const FEW_LINES = 4

/** Lines of other threads come as bytes: the main thread then neither keeps them as text nor encodes them. */
type Line = string | Buffer

interface Batch {
  lines: Line[]
  chars: number
  kept: PromiseWithResolvers<void>
}

export class Ledger implements AuditDevice {
  /** What was cut off when the ledger was opened: the unfinished end of a batch that was never acknowledged. */
  readonly cutBytes: number
  readonly maxLineBytes = MAX_PLAIN_LINE_BYTES
  readonly #folder: string
  readonly #segmentBytes: number
  readonly #durable: boolean
  readonly #now: () => Date
  readonly #id: string
  #fd = -1
  /** End of the last acknowledged line of the segment. */
  #offset = 0
  #next: Link
  #scratch = Buffer.alloc(0)
  #batches: Batch[] = []
  #waitingChars = 0
  #running: Promise<void> | undefined
  /** Lines that came with the last commit or while it was made. */
  #expected = 0
  /** Closes the batch that is being gathered. */
  #complete: (() => void) | undefined
  /** A failed write left something behind the last acknowledged line, up to here, that could not be cut off yet. */
  #leftUntil: number | undefined
  #trouble: string | undefined
  #closing = false
  /** Why this ledger will never write again. */
  #broken: string | undefined

  private constructor(options: LedgerOptions, id: string, next: Link, cutBytes: number) {
    this.#folder = options.folder
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#durable = options.durable ?? true
    this.#now = options.now ?? (() => new Date())
    this.#id = id
    this.#next = next
    this.cutBytes = cutBytes
  }

  /**
   * Begin a ledger, or go on with the one that is there.
   *
   * @throws ApiError `audit_failed` when what is there does not fit together or cannot be written
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    try {
      await mkdir(options.folder, { recursive: true, mode: 0o700 })
      const resumed = await resume(options.folder)
      if (!resumed) {
        const ledger = new Ledger(options, randomUUID(), { seq: 0, prev: NO_LINE }, 0)
        ledger.#begin()
        return ledger
      }
      const ledger = new Ledger(options, resumed.id, resumed.next, resumed.cutBytes)
      ledger.#fd = openSync(path.join(options.folder, resumed.segment), constants.O_WRONLY | constants.O_APPEND)
      ledger.#offset = resumed.offset
      return ledger
    } catch (error) {
      if (error instanceof ApiError) throw error
      throw new ApiError('audit_failed', `the audit ledger in ${options.folder} cannot be opened: ${textOf(error)}`, {
        cause: error,
      })
    }
  }

  /**
   * @throws ApiError `audit_failed` when the line is not on disk: nothing of it stays
   */
  write(line: string): Promise<void> {
    return this.#add(line)
  }

  /** Those of one batch wait for one promise. */
  async writeAll(lines: readonly Buffer[]): Promise<void> {
    await Promise.all(new Set(lines.map((line) => this.#add(line))))
  }

  #add(line: Line): Promise<void> {
    const refused = this.#refuse(line)
    if (refused !== undefined) return Promise.reject(failure(refused))
    const chars = line.length + SUFFIX_BYTES
    let batch = this.#batches.at(-1)
    if (!batch || batch.chars + chars > MAX_BATCH_CHARS) {
      batch = { lines: [], chars: 0, kept: Promise.withResolvers<void>() }
      this.#batches.push(batch)
    }
    batch.lines.push(line)
    batch.chars += chars
    this.#waitingChars += chars
    if (batch.lines.length >= this.#expected) this.#complete?.()
    this.#running ??= this.#run()
    return batch.kept.promise
  }

  #refuse(line: Line): string | undefined {
    if (this.#broken !== undefined) return this.#broken
    if (this.#closing) return 'the ledger is closed'
    if (this.#waitingChars > MAX_WAITING_CHARS) return 'the disk does not keep up'
    if (line.length * 3 > MAX_PLAIN_LINE_BYTES && bytesOf(line) > MAX_PLAIN_LINE_BYTES) {
      return `a line is longer than ${MAX_PLAIN_LINE_BYTES} bytes`
    }
    // What is appended takes the place of the last brace.
    if (line.length < 3 || !endsInBrace(line) || line.includes('\n')) return 'a line is not one JSON object'
    return undefined
  }

  /** One batch after the other, until nobody waits. */
  async #run(): Promise<void> {
    while (this.#batches.length > 0) {
      await this.#gather(this.#batches[0]!)
      const batch = this.#batches.shift()!
      try {
        await this.#commit(batch.lines)
        this.#trouble = undefined
        batch.kept.resolve()
      } catch (error) {
        const text = this.#broken ?? explain(error, this.#folder)
        this.#trouble = text
        batch.kept.reject(failure(text, error))
      }
      this.#waitingChars -= batch.chars
      this.#expected = batch.lines.length + (this.#batches[0]?.lines.length ?? 0)
    }
    this.#running = undefined
  }

  /**
   * One sync of the disk costs as much CPU as several requests, so it should serve all who are on their way. As many as came
   * around the last commit are likely to come again, when they have their answers: the batch stays open for them, but not for
   * long. Whoever is alone waits for nobody.
   */
  async #gather(batch: Batch): Promise<void> {
    // One turn of the event loop, in which those who came together hand in their lines.
    await new Promise((resolve) => void setImmediate(resolve))
    if (this.#expected <= FEW_LINES || batch.lines.length >= this.#expected) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#complete = resolve
    const timer = setTimeout(resolve, GATHER_MS)
    await promise
    clearTimeout(timer)
    this.#complete = undefined
  }

  async #commit(lines: readonly Line[]): Promise<void> {
    if (this.#leftUntil !== undefined) this.#cutBack(this.#leftUntil)
    if (this.#leftUntil !== undefined) throw new Error('what a failed write left there cannot be cut off')
    if (this.#broken !== undefined) throw new Error(this.#broken)
    if (this.#offset >= this.#segmentBytes) this.#begin()
    const { bytes, next } = this.#encode(lines)
    let end = this.#offset
    try {
      end += writeOnce(this.#fd, bytes)
      while (end < this.#offset + bytes.length) end += writeOnce(this.#fd, bytes.subarray(end - this.#offset))
      this.#checkSegment(end)
      if (this.#durable) await sync(this.#fd)
    } catch (error) {
      if (this.#broken === undefined) this.#cutBack(end)
      throw error
    }
    this.#offset = end
    this.#next = next
  }

  /** Chain the lines, in the scratch buffer. Nothing of the state changes: the batch may yet fail. */
  #encode(lines: readonly Line[]): { bytes: Buffer; next: Link } {
    const chars = lines.reduce((sum, line) => sum + line.length, 0)
    const room = 1 + chars * 3 + lines.length * SUFFIX_BYTES
    if (this.#scratch.length < room) this.#scratch = Buffer.allocUnsafe(room * 2)
    const scratch = this.#scratch
    const next = { ...this.#next }
    let end = 1
    for (const line of lines) {
      const start = end
      end += (typeof line === 'string' ? scratch.write(line, end) : line.copy(scratch, end)) - 1
      end += scratch.write(suffix(next), end, 'latin1')
      next.prev = leafHash(scratch, start, end - 1)
      next.seq++
    }
    return { bytes: scratch.subarray(1, end), next }
  }

  /**
   * The segment must be as long as we made it. If it is not, another process writes here or somebody cut it: then this
   * ledger stops, acknowledges nothing, and changes nothing that is not its own.
   */
  #checkSegment(expected: number): void {
    const { size, nlink } = fstatSync(this.#fd)
    if (nlink === 0) this.#broken = `the segment in ${this.#folder} was deleted under the running server; restart it`
    else if (size !== expected) {
      this.#broken = `somebody else changed the segment in ${this.#folder}; stop that, verify the ledger, and restart`
    }
    if (this.#broken !== undefined) throw new Error(this.#broken)
  }

  /** Remove what a failed write left between the last acknowledged line and `end`. */
  #cutBack(end: number): void {
    try {
      this.#checkSegment(end)
      ftruncateSync(this.#fd, this.#offset)
      this.#leftUntil = undefined
    } catch {
      // The failure of the write that led here is told; this is tried again before the next write.
      this.#leftUntil = end
    }
  }

  /** Begin a segment: its first line, and its name in the folder, are on disk before anything else is written to it. */
  #begin(): void {
    const file = path.join(this.#folder, segmentName(this.#next.seq))
    const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL } = constants
    const fd = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0o600)
    try {
      const { bytes, next } = this.#encode([headerLine(this.#id, this.#now())])
      for (let done = 0; done < bytes.length;) done += writeOnce(fd, bytes.subarray(done))
      if (this.#durable) {
        fsyncSync(fd)
        syncFolder(this.#folder)
      }
      if (this.#fd >= 0) closeSync(this.#fd)
      this.#fd = fd
      this.#offset = bytes.length
      this.#next = next
    } catch (error) {
      closeSync(fd)
      unlinkSync(file)
      throw error
    }
  }

  /** Nothing to do: segments are ours alone, and no log rotation may touch them. */
  async reload(): Promise<void> {}

  /** Once all that was handed in is on disk. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#running
    if (this.#fd < 0) return
    closeSync(this.#fd)
    this.#fd = -1
  }

  trouble(): string | undefined {
    return this.#broken ?? this.#trouble
  }
}

function bytesOf(line: Line): number {
  return typeof line === 'string' ? Buffer.byteLength(line) : line.length
}

function endsInBrace(line: Line): boolean {
  return typeof line === 'string' ? line.endsWith('}') : line.at(-1) === BRACE
}

function writeOnce(fd: number, bytes: Buffer): number {
  const written = writeSync(fd, bytes)
  if (written === 0) throw new Error('the disk takes no more bytes')
  return written
}

function sync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())))
}

function syncFolder(folder: string): void {
  // Windows can neither open nor sync a folder, and keeps names by itself.
  if (process.platform === 'win32') return
  const fd = openSync(folder, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function failure(text: string, cause?: unknown): ApiError {
  return new ApiError('audit_failed', 'the request could not be audited', { reason: text, cause })
}

function explain(error: unknown, folder: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC') return `the disk of ${folder} is full: nothing is answered until there is room on it`
  if (code === 'EDQUOT') return `the disk quota for ${folder} is used up: nothing is answered until there is room in it`
  if (code === 'EFBIG')
    return `a file in ${folder} has reached the size limit of this process: nothing is answered until it is raised`
  return `the ledger in ${folder} cannot be written: ${textOf(error)}`
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
