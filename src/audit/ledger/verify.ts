/**
 * Does a ledger still say what was written? Reads all segments from the first line to the last and finds lines that were
 * changed, dropped, added, reordered or cut. It needs no key and no server, and may run beside one that writes.
 *
 * A chain alone cannot tell that its end was cut off, or that its last line was changed: nothing follows that would
 * disagree. Who noted a head earlier (the result of a verification) passes it as `anchor`, and everything up to it is
 * certain.
 */
import { constants } from 'node:fs'
import { open, readdir, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  leafHash,
  linkOf,
  MAX_LINE_BYTES,
  NO_LINE,
  parseHeader,
  segmentName,
  segmentsAmong,
  type Link,
} from './line.ts'

export interface LedgerProblem {
  segment: string
  /** Counted from 1 within the segment; 0 for the segment as a whole. */
  line: number
  text: string
}

/** The last line: its number and its leaf hash, in hex. */
export interface LedgerHead {
  seq: number
  hash: string
}

export interface LedgerVerdict {
  ok: boolean
  segments: number
  lines: number
  /** The first 1,000, in the order of the lines. */
  problems: LedgerProblem[]
  /** How many there were. */
  problemCount: number
  head: LedgerHead | undefined
}

const MAX_PROBLEMS = 1_000
const CHUNK_BYTES = 1_048_576

/** A server that writes at this moment finishes its batch within this time. */
const SETTLE_MS = 200

export async function verifyLedger(folder: string, options: { anchor?: LedgerHead } = {}): Promise<LedgerVerdict> {
  const check = new Check(options.anchor)
  const names = segmentsAmong(await readdir(folder))
  if (names.length === 0) check.problem('there is no segment')
  for (const [at, name] of names.entries()) {
    check.enter(name)
    await using file = await open(path.join(folder, name), constants.O_RDONLY)
    await readLines(file, check, at === names.length - 1)
  }
  return check.verdict(names.length)
}

async function readLines(file: FileHandle, check: Check, last: boolean): Promise<void> {
  const bytes = Buffer.allocUnsafe(1 + MAX_LINE_BYTES + 1 + CHUNK_BYTES)
  let filled = 1
  let start = 1
  let waited = false
  for (;;) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, null)
    if (bytesRead === 0) {
      if (filled === start || !last || waited) break
      // Perhaps a server is in the middle of a write.
      await delay(SETTLE_MS)
      waited = true
      continue
    }
    filled += bytesRead
    for (let stop = bytes.indexOf(10, start); stop >= 0 && stop < filled; stop = bytes.indexOf(10, start)) {
      check.line(bytes, start, stop)
      start = stop + 1
    }
    // What is left begins a line; the byte before it stays free for the leaf hash.
    bytes.copyWithin(1, start, filled)
    filled -= start - 1
    start = 1
    if (filled > MAX_LINE_BYTES + 1) {
      check.tooLong()
      filled = 1
    }
  }
  if (filled > start) check.unfinished(filled - start, last)
}

class Check {
  readonly #anchor: LedgerHead | undefined
  readonly #problems: LedgerProblem[] = []
  #problemCount = 0
  #segment = ''
  #line = 0
  #lines = 0
  #id: string | undefined
  /** What the next line must say; undefined after a line that could not be read. */
  #next: Link | undefined = { seq: 0, prev: NO_LINE }
  #head: LedgerHead | undefined
  #anchored = false

  constructor(anchor: LedgerHead | undefined) {
    this.#anchor = anchor
  }

  enter(segment: string): void {
    this.#segment = segment
    this.#line = 0
  }

  problem(text: string): void {
    this.#problemCount++
    if (this.#problems.length < MAX_PROBLEMS) {
      this.#problems.push({ segment: this.#segment, line: this.#line, text })
    }
  }

  line(bytes: Buffer, start: number, stop: number): void {
    this.#line++
    this.#lines++
    const link = stop - start > MAX_LINE_BYTES ? undefined : linkOf(bytes, start, stop)
    if (!link) {
      this.problem('is no line of a ledger')
      this.#next = undefined
      return
    }
    if (this.#next) this.#compare(this.#next, link)
    if (this.#line === 1) this.#header(bytes.toString('utf8', start, stop), link)
    const hash = leafHash(bytes, start, stop)
    this.#next = { seq: link.seq + 1, prev: hash }
    this.#head = { seq: link.seq, hash }
    if (this.#anchor?.seq === link.seq) {
      this.#anchored = true
      if (this.#anchor.hash !== hash) this.problem('is not the line that was noted earlier')
    }
  }

  #compare(expected: Link, { seq, prev }: Link): void {
    if (seq !== expected.seq) {
      const what = seq > expected.seq ? `${seq - expected.seq} before it are missing` : 'it was put here from elsewhere'
      this.problem(`has number ${seq} where ${expected.seq} belongs: ${what}`)
    } else if (prev !== expected.prev) {
      this.problem(
        seq === 0 ? 'is not the first line' : `does not fit line ${seq - 1}: that one was changed, or this one`,
      )
    }
  }

  #header(text: string, { seq }: Link): void {
    const header = parseHeader(text)
    if (!header.ok) return this.problem(header.message)
    if (segmentName(seq) !== this.#segment) this.problem(`begins with number ${seq}, which is not what its name says`)
    this.#id ??= header.id
    if (this.#id !== header.id) this.problem('belongs to another ledger')
  }

  tooLong(): void {
    this.#line++
    this.problem('is longer than any line of a ledger')
    this.#next = undefined
  }

  unfinished(bytes: number, last: boolean): void {
    this.#line++
    this.problem(
      last
        ? `is unfinished (${bytes} bytes): a crash, and the server cuts it off when it starts; or somebody cut it`
        : `is unfinished (${bytes} bytes): somebody cut it`,
    )
    this.#next = undefined
  }

  verdict(segments: number): LedgerVerdict {
    if (this.#anchor && !this.#anchored) {
      this.problem(`line ${this.#anchor.seq}, which was noted earlier, is missing: the end was cut off`)
    }
    return {
      ok: this.#problemCount === 0,
      segments,
      lines: this.#lines,
      problems: this.#problems,
      problemCount: this.#problemCount,
      head: this.#head,
    }
  }
}
