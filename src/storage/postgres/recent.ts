/**
 * What the last commits changed, bounded in keys: with it most transactions are checked without asking the database. Pure.
 */
import type { Range } from '#storage/levels.ts'
import { compareKeys } from '#storage/keys.ts'

export const MAX_RECENT_KEYS = 20_000

export interface Changes {
  sequence: number
  keys: string[]
  /** 0: deleted. */
  versions: number[]
}

interface Latest {
  sequence: number
  version: number
}

export class Recent {
  readonly #latest = new Map<string, Latest>()
  readonly #commits: Changes[] = []
  #keys = 0
  /** Commits after this one are all here. */
  #from: number

  constructor(sequence: number) {
    this.#from = sequence
  }

  add(changes: Changes): void {
    const { sequence, keys, versions } = changes
    this.#commits.push(changes)
    this.#keys += keys.length
    for (const [index, key] of keys.entries()) this.#latest.set(key, { sequence, version: versions[index]! })
    while (this.#keys > MAX_RECENT_KEYS && this.#commits.length > 1) this.#forgetOne()
  }

  /** Whether all that was changed after `sequence` is known here. */
  knows(sequence: number): boolean {
    return sequence >= this.#from
  }

  /** The version a key has now, if it was changed after `sequence`, which is known here. */
  changed(key: string, sequence: number): number | undefined {
    const latest = this.#latest.get(key)
    return latest !== undefined && latest.sequence > sequence ? latest.version : undefined
  }

  /** Whether any key of the range was changed after `sequence`, which is known here. */
  changedIn(range: Range, sequence: number): boolean {
    for (let at = this.#commits.length - 1; at >= 0; at -= 1) {
      const commit = this.#commits[at]!
      if (commit.sequence <= sequence) return false
      if (commit.keys.some((key) => isIn(key, range))) return true
    }
    return false
  }

  forget(sequence: number): void {
    this.#latest.clear()
    this.#commits.length = 0
    this.#keys = 0
    this.#from = sequence
  }

  #forgetOne(): void {
    const { sequence, keys } = this.#commits.shift()!
    this.#keys -= keys.length
    for (const key of keys) if (this.#latest.get(key)?.sequence === sequence) this.#latest.delete(key)
    this.#from = sequence
  }
}

export function isIn(key: string, { from, to }: Range): boolean {
  return compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0)
}
