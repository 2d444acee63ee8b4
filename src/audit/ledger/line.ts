/**
 * The text of the ledger. Pure.
 *
 * A ledger is a folder of segment files, named by the sequence number of their first line in 20 digits, so that names
 * sort. Every line is one JSON object and one leaf: `seq` counts from 0 through all segments, and `prev` is the leaf hash
 * of the line before. Both come last, so that the members of Vault's audit format stay where they are:
 *
 *     {"time":…,"type":"ledger","version":1,"id":"<uuid>","ledger":{"seq":0,"prev":"000…"}}     first line of a segment
 *     {"time":…,"type":"request",…,"ledger":{"seq":1,"prev":"<hex>"}}
 *
 * The leaf hash is that of RFC 6962 §2.1, SHA-256(0x00 ‖ line without its line break), so a Merkle tree over the lines
 * needs nothing new in them. A line is at most 65,535 bytes long, the most that an entry of C2SP tlog-tiles can be.
 */
import { hash } from 'node:crypto'

/** Without the line break. */
export const MAX_LINE_BYTES = 65_535

/** `,"ledger":{"seq":<at most 16 digits>,"prev":"<64>"}}`: the most that `chained` adds to a line, with its break. */
export const SUFFIX_BYTES = 128

/** The most that a line may have before it is chained. */
export const MAX_PLAIN_LINE_BYTES = MAX_LINE_BYTES - SUFFIX_BYTES

export const FORMAT_VERSION = 1

/** What stands as `prev` in the very first line. */
export const NO_LINE = '0'.repeat(64)

export interface Link {
  seq: number
  /** Leaf hash of the line before, in hex. */
  prev: string
}

const suffixPattern = /,"ledger":\{"seq":(0|[1-9]\d{0,15}),"prev":"([0-9a-f]{64})"\}\}$/
const segmentPattern = /^\d{20}\.jsonl$/

/** What comes in place of the last brace of a line, line break included. */
export function suffix({ seq, prev }: Link): string {
  return `,"ledger":{"seq":${seq},"prev":"${prev}"}}\n`
}

/** The place of a whole line in the chain; undefined when it does not end as a line of a ledger does. */
export function linkOf(bytes: Buffer, start: number, end: number): Link | undefined {
  const match = suffixPattern.exec(bytes.toString('latin1', Math.max(start, end - SUFFIX_BYTES), end))
  const seq = Number(match?.[1])
  return match && Number.isSafeInteger(seq) ? { seq, prev: match[2]! } : undefined
}

/**
 * Leaf hash of the line at `start`, in hex. The byte before it must be free to be written: the 0x00 of the leaf stands
 * there while the hash is made, which saves a copy of every line.
 *
 * @param start  at least 1
 */
export function leafHash(bytes: Buffer, start: number, end: number): string {
  const before = bytes[start - 1]!
  bytes[start - 1] = 0
  const leaf = hash('sha256', bytes.subarray(start - 1, end), 'hex')
  bytes[start - 1] = before
  return leaf
}

export function segmentName(seq: number): string {
  return `${String(seq).padStart(20, '0')}.jsonl`
}

/** Names of segments among those of a folder, in order. */
export function segmentsAmong(names: readonly string[]): string[] {
  return names.filter((name) => segmentPattern.test(name)).toSorted()
}

/** First line of a segment, not chained yet. */
export function headerLine(id: string, at: Date): string {
  return JSON.stringify({ time: at, type: 'ledger', version: FORMAT_VERSION, id })
}

export type Header = { ok: true; id: string } | { ok: false; message: string }

export function parseHeader(line: string): Header {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { ok: false, message: 'its first line is not JSON' }
  }
  const { type, version, id } = (value ?? {}) as Record<string, unknown>
  if (type !== 'ledger' || typeof id !== 'string')
    return { ok: false, message: 'its first line is not that of a segment' }
  if (version !== FORMAT_VERSION) return { ok: false, message: `its format ${String(version)} is not known here` }
  return { ok: true, id }
}
