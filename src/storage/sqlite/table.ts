/** The entries of a store through one connection: prepared statements, and rows turned into what they mean. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Entry } from '#sdk/storage.ts'
import type { Range } from '#storage/levels.ts'
import { MAX_SCAN_BYTES, scanTooLarge, type Source, type Versioned } from '#storage/reads.ts'

/** A blob sorts after every text, so this bounds a range that has no end. */
const NO_END = new Uint8Array(0)

type Row = unknown[]

export class Table implements Source {
  readonly #get: StatementSync
  readonly #version: StatementSync
  readonly #keys: StatementSync
  readonly #versions: StatementSync
  readonly #entries: StatementSync

  constructor(database: DatabaseSync) {
    const prepare = (sql: string) => {
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      return statement
    }
    const range = 'FROM entry WHERE key >= ? AND key < ? ORDER BY key LIMIT ?'
    this.#get = prepare('SELECT version, value FROM entry WHERE key = ?')
    this.#version = prepare('SELECT version FROM entry WHERE key = ?')
    this.#keys = prepare(`SELECT key ${range}`)
    this.#versions = prepare(`SELECT key, version ${range}`)
    this.#entries = prepare(`SELECT key, version, value ${range}`)
  }

  get(key: string): Entry | undefined {
    const row = this.#get.get(key) as Row | undefined
    return row && { version: row[0] as number, value: row[1] as Uint8Array }
  }

  versionOf(key: string): number {
    const row = this.#version.get(key) as Row | undefined
    return row ? (row[0] as number) : 0
  }

  keysIn({ from, to }: Range, count: number): string[] {
    const rows = this.#keys.all(from, to ?? NO_END, count) as unknown as Row[]
    return rows.map((row) => row[0] as string)
  }

  versionsIn({ from, to }: Range, count: number): Versioned[] {
    const rows = this.#versions.all(from, to ?? NO_END, count) as unknown as Row[]
    return rows.map((row) => ({ key: row[0] as string, version: row[1] as number }))
  }

  entries({ from, to }: Range, count: number): { key: string; entry: Entry }[] {
    const found: { key: string; entry: Entry }[] = []
    let bytes = 0
    for (const row of this.#entries.iterate(from, to ?? NO_END, count) as Iterable<unknown> as Iterable<Row>) {
      const value = row[2] as Uint8Array
      bytes += value.byteLength
      if (bytes > MAX_SCAN_BYTES) throw scanTooLarge()
      found.push({ key: row[0] as string, entry: { version: row[1] as number, value } })
    }
    return found
  }
}
