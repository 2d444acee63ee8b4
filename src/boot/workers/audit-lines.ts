/**
 * An audit device as a worker sees it: a place that the main thread keeps. Lines are made here, since hashing what is in them
 * is most of the work, and handed over together: what is written in one turn of the event loop is one message, and one answer
 * tells that all of it is held. If some of it is not, none of it counts as held: that refuses a request too many, never one
 * too few.
 */
import type { AuditDevice } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import type { PackedLines } from './protocol.ts'

/** As the ledger's own bound: lines that wait while the disk is slow, in UTF-16 units. */
export const MAX_WAITING_CHARS = 64 * 1_048_576

interface Bundle {
  lines: string[]
  held: Promise<void>
}

export class AuditLines implements AuditDevice {
  readonly maxLineBytes?: number
  readonly #hold: (lines: PackedLines) => Promise<void>
  #bundle: Bundle | undefined
  #waitingChars = 0

  /** @param hold  resolves when all of them are held */
  constructor(hold: (lines: PackedLines) => Promise<void>, maxLineBytes: number | undefined) {
    this.#hold = hold
    if (maxLineBytes !== undefined) this.maxLineBytes = maxLineBytes
  }

  write(line: string): Promise<void> {
    if (this.#waitingChars > MAX_WAITING_CHARS) return Promise.reject(unheld('the disk does not keep up'))
    const bundle = (this.#bundle ??= this.#begin())
    bundle.lines.push(line)
    this.#waitingChars += line.length
    return bundle.held
  }

  /** Where the device is, all this is done. */
  async reload(): Promise<void> {}
  async close(): Promise<void> {}

  trouble(): string | undefined {
    return undefined
  }

  #begin(): Bundle {
    const lines: string[] = []
    const { promise: held, resolve } = Promise.withResolvers<void>()
    process.nextTick(() => {
      this.#bundle = undefined
      resolve(this.#send(lines))
    })
    return { lines, held }
  }

  async #send(lines: readonly string[]): Promise<void> {
    try {
      await this.#hold(pack(lines))
    } catch (error) {
      if (error instanceof ApiError && error.code === 'audit_failed') throw error
      throw unheld(error instanceof Error ? error.message : String(error))
    } finally {
      for (const line of lines) this.#waitingChars -= line.length
    }
  }
}

/** Reused: what is packed is copied out of it once, and handed over without a further copy. */
let scratch = Buffer.alloc(0)

function pack(lines: readonly string[]): PackedLines {
  const chars = lines.reduce((sum, line) => sum + line.length, 0)
  // At most three bytes for each UTF-16 unit.
  if (scratch.length < chars * 3) scratch = Buffer.allocUnsafeSlow(chars * 6)
  const ends: number[] = []
  let end = 0
  for (const line of lines) {
    end += scratch.write(line, end)
    ends.push(end)
  }
  return { bytes: new Uint8Array(scratch.subarray(0, end)), ends }
}

/** The other way, without a copy. */
export function linesOf({ bytes, ends }: PackedLines): Buffer[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return ends.map((end, at) => all.subarray(at === 0 ? 0 : ends[at - 1], end))
}

function unheld(reason: string): ApiError {
  return new ApiError('audit_failed', 'the request could not be audited', { reason })
}
