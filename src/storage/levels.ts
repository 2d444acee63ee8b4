/**
 * Listing one level of an ordered map, and the ranges behind listings and scans. Pure.
 *
 * A listing reads keys in chunks and, where a chunk ends inside a folder that is already named, goes on behind that
 * folder: a folder with a million entries costs its parent's listing one chunk.
 */
import { ApiError } from '#sdk/errors.ts'
import { MAX_PAGE, type Page } from '#sdk/storage.ts'
import { compareKeys, endOf, NUL } from '#storage/keys.ts'

/** Keys from `from` (inclusive) to `to` (exclusive; undefined: to the end). */
export interface Range {
  from: string
  to: string | undefined
}

/** Some keys in order. `rest` is where to go on, undefined at the end: a chunk may be empty before the end. */
export interface Chunk {
  keys: readonly string[]
  rest: string | undefined
}

export type ReadChunk = (range: Range, count: number) => Chunk

const FIRST_CHUNK_KEYS = 128
const MAX_CHUNK_KEYS = 1024
/** About as many keys as cost what a seek costs. */
const MIN_CHUNK_KEYS = 8

/** Names one level below `prefix`, as `Reads.list` of the contract gives them. */
export function listLevel(read: ReadChunk, prefix: string, page: Page | undefined): string[] {
  const steps = levelSteps(prefix, page)
  let step = steps.next()
  while (!step.done) step = steps.next(read(step.value.range, step.value.count))
  return step.value
}

/** The same for stores that answer later. */
export async function listLevelLater(
  read: (range: Range, count: number) => Chunk | Promise<Chunk>,
  prefix: string,
  page: Page | undefined,
): Promise<string[]> {
  const steps = levelSteps(prefix, page)
  let step = steps.next()
  while (!step.done) step = steps.next(await read(step.value.range, step.value.count))
  return step.value
}

/** Asks for chunks, one after the other, and ends with the names. */
function* levelSteps(
  prefix: string,
  page: Page | undefined,
): Generator<{ range: Range; count: number }, string[], Chunk> {
  const limit = limitOf(page)
  const to = endOf(prefix)
  const names: string[] = []
  let from: string | undefined = afterName(prefix, page?.after)
  let count = Math.max(Math.min(limit, FIRST_CHUNK_KEYS), MIN_CHUNK_KEYS)
  let folder: string | undefined
  while (from !== undefined && names.length < limit) {
    const chunk: Chunk = yield { range: { from, to }, count }
    for (const key of chunk.keys) {
      if (folder !== undefined && key.startsWith(folder)) continue
      if (names.length === limit) break
      const slash = key.indexOf('/', prefix.length)
      folder = slash < 0 ? undefined : key.slice(0, slash + 1)
      names.push((folder ?? key).slice(prefix.length))
    }
    from = behind(folder, chunk.rest, to)
    // Where folders are large the keys behind a seek are few of many, so the chunk shrinks; else it grows.
    count = from === chunk.rest ? Math.min(count * 2, MAX_CHUNK_KEYS) : Math.max(count >> 2, MIN_CHUNK_KEYS)
  }
  return names
}

/** Where to go on: at `rest`, or behind `folder` if that is further. */
function behind(folder: string | undefined, rest: string | undefined, to: string | undefined): string | undefined {
  if (rest === undefined || folder === undefined || !rest.startsWith(folder)) return rest
  const next = endOf(folder)!
  return to !== undefined && compareKeys(next, to) >= 0 ? undefined : next
}

/** The range of a scan below `prefix` that goes on after the key `after`. */
export function scanRange(prefix: string, after: string | undefined): Range {
  const start = prefix + NUL
  const next = after === undefined ? start : after + NUL
  return { from: compareKeys(next, start) > 0 ? next : start, to: endOf(prefix) }
}

/** @throws ApiError `invalid_request` for what is no count; more than MAX_PAGE is MAX_PAGE */
export function limitOf(page: Page | undefined): number {
  const limit = page?.limit
  if (limit === undefined) return MAX_PAGE
  if (!Number.isSafeInteger(limit) || limit < 0) throw new ApiError('invalid_request', 'limit must be a count')
  return Math.min(limit, MAX_PAGE)
}

/** The first key whose name may come after the name `after`. A folder's name stands for all that is below it. */
function afterName(prefix: string, after: string | undefined): string {
  if (after === undefined) return prefix + NUL
  const slash = after.indexOf('/')
  return slash < 0 ? prefix + after + NUL : endOf(prefix + after.slice(0, slash + 1))!
}
