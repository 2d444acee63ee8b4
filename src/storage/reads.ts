/**
 * What a transaction has read, in a form that can be sent to whoever commits it, and the check that it still holds. Pure.
 *
 * Absence is version 0, so that a key made meanwhile is noticed; versions are unique, so that a key deleted and made again
 * is noticed too. A listing is kept by its answer, so that an entry that appeared or went is noticed, and changes of
 * entries inside a listed folder are not.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Page } from '#sdk/storage.ts'
import { NUL } from '#storage/keys.ts'
import { listLevel, type Chunk, type Range } from '#storage/levels.ts'

/** What one scan may carry; pages of it have no other bound, since values have very different sizes. */
export const MAX_SCAN_BYTES = 64 * 1024 * 1024

export function scanTooLarge(): ApiError {
  return new ApiError('too_large', `one scan returns at most ${MAX_SCAN_BYTES} bytes: ask for smaller pages`)
}

export interface Versioned {
  key: string
  version: number
}

/** An ordered map as the check needs it. */
export interface Source {
  /** 0 if there is no such key. */
  versionOf(key: string): number
  keysIn(range: Range, count: number): string[]
  versionsIn(range: Range, count: number): Versioned[]
}

export interface ReadSet {
  keys: string[]
  versions: number[]
  lists: { prefix: string; page: Page; seen: string }[]
  /** With `versions`, the entries' versions are part of what was seen, else only which keys there were. */
  ranges: { range: Range; count: number; versions: boolean; seen: string }[]
}

/** The key or prefix that is no longer as it was read; undefined if all is. */
export function conflictIn(reads: ReadSet, source: Source): string | undefined {
  const changed = reads.keys.find((key, index) => source.versionOf(key) !== reads.versions[index])
  if (changed !== undefined) return changed
  for (const { prefix, page, seen } of reads.lists) {
    if (joinNames(listLevel(chunksOf(source), prefix, page)) !== seen) return prefix
  }
  for (const { range, count, versions, seen } of reads.ranges) {
    const now = versions ? joinVersions(source.versionsIn(range, count)) : joinNames(source.keysIn(range, count))
    if (now !== seen) return range.from
  }
  return undefined
}

/**
 * The first key whose stored entry has a higher version than the one about to be written: another change was given its
 * version later and committed first. Later writes have higher versions, so this one has to run again.
 */
export function lateWrite(
  reads: ReadSet,
  keys: readonly string[],
  versions: readonly number[],
  source: Source,
): string | undefined {
  const read = new Map(reads.keys.map((key, index) => [key, reads.versions[index]!]))
  return keys.find((key, index) => versions[index]! > 0 && (read.get(key) ?? source.versionOf(key)) > versions[index]!)
}

/** One text is far cheaper to send to another thread and to compare than a list of them. */
export function joinNames(names: readonly string[]): string {
  return names.join(NUL)
}

export function joinVersions(entries: readonly Versioned[]): string {
  return entries.map(({ key, version }) => `${key}${NUL}${version}`).join(NUL)
}

export function chunksOf(source: Pick<Source, 'keysIn'>): (range: Range, count: number) => Chunk {
  return (range, count) => chunkOf(source.keysIn(range, count), count)
}

export function chunkOf(keys: readonly string[], count: number): Chunk {
  return { keys, rest: keys.length < count ? undefined : keys.at(-1)! + NUL }
}
