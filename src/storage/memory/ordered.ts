/**
 * A map in key order, in memory. Keys lie in sorted blocks of bounded size, so that an insertion moves at most one
 * block's keys, however many there are.
 */
import { compareKeys, seek } from '#storage/keys.ts'
import type { Range } from '#storage/levels.ts'

const MAX_BLOCK_KEYS = 512

export class OrderedMap<V> {
  readonly #values = new Map<string, V>()
  /** Never empty blocks, but for the first of an empty map. */
  readonly #blocks: string[][] = [[]]

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#insert(key)
    this.#values.set(key, value)
  }

  delete(key: string): void {
    if (!this.#values.delete(key)) return
    const at = this.#blockOf(key)
    const block = this.#blocks[at]!
    block.splice(seek(block, key), 1)
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(at, 1)
  }

  /** At most `count` keys of the range, in order. */
  keys({ from, to }: Range, count: number): string[] {
    const found: string[] = []
    let at = this.#blockOf(from)
    let index = seek(this.#blocks[at]!, from)
    for (; at < this.#blocks.length; at += 1, index = 0) {
      const block = this.#blocks[at]!
      for (; index < block.length; index += 1) {
        const key = block[index]!
        if (found.length >= count || (to !== undefined && compareKeys(key, to) >= 0)) return found
        found.push(key)
      }
    }
    return found
  }

  #insert(key: string): void {
    const at = this.#blockOf(key)
    const block = this.#blocks[at]!
    block.splice(seek(block, key), 0, key)
    if (block.length > MAX_BLOCK_KEYS) this.#blocks.splice(at + 1, 0, block.splice(MAX_BLOCK_KEYS / 2))
  }

  /** The last block whose first key does not sort after `key`: where it is, or belongs. */
  #blockOf(key: string): number {
    let low = 0
    let high = this.#blocks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (compareKeys(this.#blocks[middle]![0]!, key) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }
}
