/**
 * What this node has heard of the commits of all nodes, and until when that is proven to be all of them. Commits are
 * numbered without gaps, so hearing of one means hearing of all before it.
 */
import { Refusal } from './failures.ts'
import { Recent, type Changes } from './recent.ts'
import type { Head } from './table.ts'
import type { Names } from './schema.ts'
import type { Row, Session, Statement } from './session.ts'

/** A page of the feed. */
const PAGE_COMMITS = 64

const WENT_BACK =
  'the database of the store lost commits that this server has seen (restored from a copy, or failed over with loss): restart this server'

export interface Commit extends Changes {
  mark: string
}

export interface Hearing {
  heard(changes: Changes): void
  /** Some commits can no longer be told: anything may have changed. */
  missed(): void
}

export class Feed {
  readonly #statement: Statement
  readonly #limitMs: number
  readonly #hearing: Hearing
  readonly #stalenessMs: number
  readonly recent: Recent
  /** The last commit heard of. */
  seen: number
  #mark: string
  /** Changes with every commit heard of. */
  moment = 0
  /** By performance.now(): what is kept in memory may be served until then. */
  freshUntil = 0
  #dead = false

  constructor(
    names: Names,
    { sequence, mark }: Head,
    limits: { limitMs: number; stalenessMs: number },
    hearing: Hearing,
  ) {
    const text = `SELECT sequence, mark, changes FROM ${names.feed} WHERE sequence > $1 ORDER BY sequence LIMIT ${PAGE_COMMITS}`
    this.#statement = { name: 'feed', text }
    this.#limitMs = limits.limitMs
    this.#stalenessMs = limits.stalenessMs
    this.#hearing = hearing
    this.seen = sequence
    this.#mark = mark
    this.recent = new Recent(sequence)
  }

  get fresh(): boolean {
    return performance.now() < this.freshUntil
  }

  trouble(): string | undefined {
    return this.#dead ? WENT_BACK : undefined
  }

  /** @throws Refusal after the database went back: what is kept here may never have been */
  checkAlive(): void {
    if (this.#dead) throw new Refusal(WENT_BACK)
  }

  /**
   * Hear of all commits up to where the database was found.
   *
   * @param before  `seen` from before the database was asked
   */
  async follow(session: Session, head: Head | { sequence: number }, before: number): Promise<void> {
    this.checkAlive()
    if (head.sequence < before) this.#die()
    while (this.seen < head.sequence) {
      const { rows } = await session.run(this.#statement, [this.seen], this.#limitMs)
      this.checkAlive()
      // It is behind what it said itself a moment ago.
      if (rows.length === 0 && this.seen < head.sequence) this.#die()
      for (const row of rows) this.#take(row)
    }
    if ('mark' in head && head.sequence === this.seen && head.mark !== this.#mark) this.#die()
  }

  /** All that was committed before `asked` is heard of. @param asked  by performance.now() */
  prove(asked: number): void {
    this.freshUntil = this.#dead ? 0 : Math.max(this.freshUntil, asked + this.#stalenessMs)
  }

  /** A commit of this node, or one read from the feed. Those that were heard of already are passed over. */
  apply({ mark, ...changes }: Commit): void {
    if (changes.sequence <= this.seen) return
    const isNext = changes.sequence === this.seen + 1
    this.seen = changes.sequence
    this.#mark = mark
    this.moment += 1
    if (isNext) {
      this.recent.add(changes)
      this.#hearing.heard(changes)
    } else {
      this.recent.forget(changes.sequence)
      this.#hearing.missed()
    }
  }

  #take([sequence, mark, changes]: Row): void {
    this.apply({ sequence: sequence as number, mark: mark as string, ...decodeChanges(changes as Uint8Array) })
  }

  #die(): never {
    this.#dead = true
    this.freshUntil = 0
    throw new Refusal(WENT_BACK)
  }
}

export function encodeChanges(keys: readonly string[], versions: readonly number[]): Buffer {
  return Buffer.from(JSON.stringify([keys, versions]))
}

function decodeChanges(bytes: Uint8Array): { keys: string[]; versions: number[] } {
  const [keys, versions] = JSON.parse(Buffer.from(bytes).toString()) as [string[], number[]]
  return { keys, versions }
}
