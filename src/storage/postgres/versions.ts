/**
 * Versions that are handed out here: a block at a time belongs to this node alone, reserved in the database before use.
 */
import { ApiError } from '#sdk/errors.ts'

/** More than one transaction may write twice over. Numbers last for 2^38 blocks. */
export const BLOCK = 32_768

export class Versions {
  #next = 1
  #end = 1

  /** @throws ApiError `storage_failed` if more is written at once than there are numbers for */
  next(): number {
    if (this.#next >= this.#end) {
      throw new ApiError('storage_failed', 'more is being written at once than the store takes: try again')
    }
    this.#next += 1
    return this.#next - 1
  }

  /** Whether another block is due. */
  get low(): boolean {
    return this.#end - this.#next < BLOCK / 2
  }

  /** @param last  the highest of the reserved block */
  take(last: number): void {
    if (!Number.isSafeInteger(last)) throw new ApiError('storage_failed', 'the store has no more versions')
    this.#next = last - BLOCK + 1
    this.#end = last + 1
  }
}
