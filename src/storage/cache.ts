/**
 * Entries lately read or written, bounded in bytes; also remembers which keys are not there. What is full makes room by
 * second chance: the oldest goes, unless it was used since it was last looked at. A hit then costs a look-up and a mark,
 * where a strict order of use would move the entry on every read.
 *
 * A full cache takes what was read from disk only when that is asked for a second time. Reads all over a store much larger
 * than the cache would otherwise push out each other, and what is used often with them, at several times the cost of the
 * read itself.
 */
import type { Entry } from '#sdk/storage.ts'

export const MAX_CACHE_BYTES = 32 * 1024 * 1024
/** Larger values are read from disk: one of them would push out hundreds of others. */
export const MAX_CACHED_VALUE_BYTES = 64 * 1024
/** Objects, promise, map slot and array header of one entry, roughly. */
const OVERHEAD_BYTES = 400

/** How many keys are remembered as asked for once; a later one takes the place of an earlier one with the same end. */
const ASKED_KEYS = 32 * 1024

interface Slot {
  /** Settled already; shared by all who read this, so that a hit allocates nothing. */
  promise: Promise<Entry | undefined>
  bytes: number
  used: boolean
}

export class Cache {
  readonly #slots = new Map<string, Slot>()
  readonly #maxBytes: number
  /** Hashes of keys that were read from disk and not kept. */
  readonly #asked = new Int32Array(ASKED_KEYS)
  #bytes = 0

  constructor(maxBytes: number = MAX_CACHE_BYTES) {
    this.#maxBytes = maxBytes
  }

  get(key: string): Slot | undefined {
    const slot = this.#slots.get(key)
    if (slot !== undefined) slot.used = true
    return slot
  }

  /** What was read from disk. @returns the entry as a hit would give it, kept or not */
  offer(key: string, entry: Entry | undefined): Promise<Entry | undefined> {
    const room = (entry?.value.byteLength ?? 0) + key.length + OVERHEAD_BYTES
    return this.#bytes + room <= this.#maxBytes || this.#askedBefore(key)
      ? this.set(key, entry)
      : Promise.resolve(entry)
  }

  /** What was written. @returns the entry as a hit would give it, also when it is too large to be kept */
  set(key: string, entry: Entry | undefined): Promise<Entry | undefined> {
    this.drop(key)
    const promise = Promise.resolve(entry)
    const size = entry?.value.byteLength ?? 0
    if (size > MAX_CACHED_VALUE_BYTES) return promise
    const bytes = size + key.length + OVERHEAD_BYTES
    this.#slots.set(key, { promise, bytes, used: false })
    this.#bytes += bytes
    if (this.#bytes > this.#maxBytes) this.#makeRoom()
    return promise
  }

  drop(key: string): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#bytes -= slot.bytes
    this.#slots.delete(key)
  }

  clear(): void {
    this.#slots.clear()
    this.#bytes = 0
  }

  #askedBefore(key: string): boolean {
    const hash = hashOf(key)
    const at = hash & (ASKED_KEYS - 1)
    const before = this.#asked[at] === hash
    this.#asked[at] = before ? 0 : hash
    return before
  }

  /** Ends: each round a slot either goes or loses its mark. */
  #makeRoom(): void {
    for (const [key, slot] of this.#slots) {
      if (this.#bytes <= this.#maxBytes) return
      this.#slots.delete(key)
      if (slot.used) {
        slot.used = false
        this.#slots.set(key, slot)
      } else {
        this.#bytes -= slot.bytes
      }
    }
  }
}

/** FNV-1a. A key that looks like another one is kept a read too early, no more. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5 | 0
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash ^ (hash >>> 15)
}
