/**
 * Where a ledger goes on after a stop or a crash. Only the end of the last segment is read, however long the ledger is.
 *
 * Writes are acknowledged after they reached the disk, one batch after the other. So only the last batch can be torn:
 * a line without its end, or, after a power cut, pages that were never written and read as zeros. From there on nothing
 * was acknowledged, and it is cut off. Whole lines that do not fit each other are something else: somebody changed them,
 * and cutting would help to hide it, so the ledger refuses to open.
 */
import { constants } from 'node:fs'
import { open, readdir, unlink, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { ApiError } from '#sdk/errors.ts'
import { leafHash, linkOf, MAX_LINE_BYTES, parseHeader, segmentName, segmentsAmong, type Link } from './line.ts'

/** More than the longest batch (see MAX_BATCH_CHARS), so that a torn one lies within it. */
const TAIL_BYTES = 1_048_576

export interface Resumed {
  segment: string
  id: string
  /** End of the last whole line. */
  offset: number
  /** Of the line to come. */
  next: Link
  /** What was cut off: the unfinished end of a batch that was never acknowledged. */
  cutBytes: number
}

/**
 * @returns undefined for a folder without segments
 * @throws ApiError `audit_failed` when lines at the end do not fit each other
 */
export async function resume(folder: string): Promise<Resumed | undefined> {
  const names = segmentsAmong(await readdir(folder))
  let cutBytes = 0
  let last = names.pop()
  if (last === undefined) return undefined
  let end = await readEnd(folder, last)
  if (end.next === undefined) {
    // A crash while the segment was begun: not even its first line was finished, so nothing in it was acknowledged.
    if (end.size > MAX_LINE_BYTES || (names.length === 0 && last !== segmentName(0))) {
      throw refusal(folder, last, 'it has no whole line')
    }
    await unlink(path.join(folder, last))
    cutBytes = end.size
    last = names.pop()
    if (last === undefined) return undefined
    end = await readEnd(folder, last)
    if (end.next === undefined) throw refusal(folder, last, 'it has no whole line')
  }
  if (end.first && names.length > 0) await checkJoint(folder, names.at(-1)!, last, end.first)
  if (end.size > end.offset) {
    await cut(path.join(folder, last), end.offset)
    cutBytes += end.size - end.offset
  }
  return { segment: last, id: end.id, offset: end.offset, next: end.next, cutBytes }
}

interface End {
  size: number
  offset: number
  id: string
  /** Of the first line of the segment, if the end reaches so far. */
  first: Link | undefined
  /** Undefined when there is no whole line. */
  next: Link | undefined
}

async function readEnd(folder: string, segment: string): Promise<End> {
  await using file = await open(path.join(folder, segment), constants.O_RDONLY)
  const { size } = await file.stat()
  const from = Math.max(0, size - TAIL_BYTES)
  const bytes = await readAt(file, from, size - from)
  // Counted from 1: the byte before a line must be free for the leaf hash.
  let start = 1
  if (from > 0) {
    start = bytes.indexOf(10, 1) + 1
    if (start === 0) throw refusal(folder, segment, 'its end has no line break')
  }
  const found: End = { size, offset: from + start - 1, id: '', first: undefined, next: undefined }
  let hashed: Link | undefined
  for (let stop = bytes.indexOf(10, start); stop >= 0; start = stop + 1, stop = bytes.indexOf(10, start)) {
    // Zeros are no part of JSON: pages that were lost in a power cut.
    if (bytes.subarray(start, stop).includes(0)) break
    const link = linkOf(bytes, start, stop)
    if (!link) throw refusal(folder, segment, `the line that ends at byte ${from + stop - 1} is none of a ledger`)
    if (hashed && (hashed.seq !== link.seq || hashed.prev !== link.prev)) {
      throw refusal(folder, segment, `line ${link.seq} does not fit the line before it`)
    }
    if (!hashed && from === 0) found.first = link
    hashed = { seq: link.seq + 1, prev: leafHash(bytes, start, stop) }
    found.offset = from + stop
  }
  found.next = hashed
  if (hashed) found.id = await readId(file, folder, segment)
  if (found.first && segmentName(found.first.seq) !== segment)
    throw refusal(folder, segment, 'it has the name of another')
  return found
}

async function readId(file: FileHandle, folder: string, segment: string): Promise<string> {
  const bytes = await readAt(file, 0, MAX_LINE_BYTES)
  const stop = bytes.indexOf(10, 1)
  const header = parseHeader(bytes.toString('utf8', 1, stop < 0 ? bytes.length : stop))
  if (!header.ok) throw refusal(folder, segment, header.message)
  return header.id
}

/** What was read, from index 1 on. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length + 1)
  let filled = 1
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled - 1)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

async function checkJoint(folder: string, before: string, segment: string, first: Link): Promise<void> {
  const { next, offset, size } = await readEnd(folder, before)
  if (!next || offset !== size || next.seq !== first.seq || next.prev !== first.prev) {
    throw refusal(folder, segment, `it does not go on where ${before} ends`)
  }
}

async function cut(file: string, offset: number): Promise<void> {
  await using handle = await open(file, 'r+')
  await handle.truncate(offset)
  await handle.sync()
}

function refusal(folder: string, segment: string, what: string): ApiError {
  return new ApiError(
    'audit_failed',
    `the audit ledger cannot go on: ${path.join(folder, segment)} was changed by somebody else: ${what}. ` +
      'Keep the folder as evidence, verify it, and start with another folder.',
  )
}
