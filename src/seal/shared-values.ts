/**
 * Decoded values that many requests read, kept until their entry changes. Never asked without the entry's version at
 * hand, so it cannot serve what the store no longer holds.
 */

export const MAX_SHARED_VALUES = 20_000
export const MAX_SHARED_BYTES = 64 * 1024 * 1024

interface Slot {
  version: number
  value: unknown
  bytes: number
  /** Read since the last time room was needed. */
  used: boolean
}

export class SharedValues {
  readonly #slots = new Map<string, Slot>()
  readonly #maxValues: number
  readonly #maxBytes: number
  #bytes = 0
  /** Since the server was unsealed. */
  hits = 0
  misses = 0

  constructor(limits: { values: number; bytes: number } = { values: MAX_SHARED_VALUES, bytes: MAX_SHARED_BYTES }) {
    this.#maxValues = limits.values
    this.#maxBytes = limits.bytes
  }

  get size(): number {
    return this.#slots.size
  }

  /** The slot itself, so that a value that is undefined-like (null, false) needs no second look-up. */
  get(key: string, version: number): { value: unknown } | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined || slot.version !== version) {
      this.misses += 1
      return undefined
    }
    this.hits += 1
    slot.used = true
    return slot
  }

  /** Keep `value`, frozen through and through. @returns the same value */
  keep(key: string, version: number, value: unknown, bytes: number): unknown {
    deepFreeze(value)
    this.drop(key)
    if (bytes > this.#maxBytes / 8) return value
    this.#slots.set(key, { version, value, bytes, used: false })
    this.#bytes += bytes
    this.#makeRoom()
    return value
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

  // Second chance rather than strict order of use: a hit then costs one flag instead of moving the slot in the map.
  #makeRoom(): void {
    for (const [key, slot] of this.#slots) {
      if (this.#slots.size <= this.#maxValues && this.#bytes <= this.#maxBytes) return
      if (slot.used) {
        slot.used = false
        this.#slots.delete(key)
        this.#slots.set(key, slot)
      } else {
        this.drop(key)
      }
    }
  }
}

function deepFreeze(value: unknown): void {
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null) continue
    Object.freeze(next)
    for (const inner of Object.values(next)) if (typeof inner === 'object' && inner !== null) open.push(inner)
  }
}
