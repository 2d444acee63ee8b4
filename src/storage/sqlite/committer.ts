/**
 * Group commit: many transactions in one of SQLite's, so that all of them share one fsync. Each is checked against the
 * store as the earlier ones of the batch leave it; one that conflicts is left out.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { conflictIn, lateWrite } from '#storage/reads.ts'
import type { CommitRequest } from './protocol.ts'
import { Table } from './table.ts'

/**
 * Versions are reserved ahead on disk in such steps rather than with each commit, which saves a page per fsync. After a
 * restart they go on behind what was reserved, so none that was committed is given out again.
 */
const VERSION_STEP = 65_536

/**
 * Bytes written, roughly, after which the write-ahead log is copied into the database. With 32 MiB one commit in 100 waits
 * half as long, but after a full disk so much more room is needed before anything goes on.
 */
const CHECKPOINT_BYTES = 8 * 1024 * 1024
const PAGE_BYTES = 4096

export interface Batch {
  /** For each request the conflicting key or prefix, or undefined: it is committed. */
  conflicts: (string | undefined)[]
  keys: string[]
  versions: number[]
}

export class Committer {
  readonly #database: DatabaseSync
  readonly #table: Table
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #reserve: StatementSync
  #reserved: number
  #bytesSinceCheckpoint = 0

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#table = new Table(database)
    this.#put = database.prepare(
      'INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value',
    )
    this.#delete = database.prepare('DELETE FROM entry WHERE key = ?')
    this.#reserve = database.prepare("UPDATE counter SET value = ? WHERE name = 'version'")
    this.#reserved = Number(database.prepare("SELECT value FROM counter WHERE name = 'version'").get()?.['value'])
  }

  /** No version up to this one may be given out again. */
  lastVersion(): number {
    return this.#reserved
  }

  /**
   * @param sequence  of the last published commit
   * @throws what SQLite throws; then nothing of the batch was written
   */
  commit(requests: readonly CommitRequest[], sequence: number): Batch {
    const batch: Batch = { conflicts: [], keys: [], versions: [] }
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const request of requests) {
        // Nothing was committed since the change began, so all it read stands.
        const unmoved = request.since === sequence && batch.keys.length === 0
        const conflict = unmoved ? undefined : conflictOf(request, this.#table)
        batch.conflicts.push(conflict)
        if (conflict === undefined) this.#write(request, batch)
      }
      const highest = batch.versions.reduce((a, b) => Math.max(a, b), 0)
      const reserved = highest > this.#reserved ? highest + VERSION_STEP : this.#reserved
      if (reserved > this.#reserved) this.#reserve.run(reserved)
      this.#database.exec(batch.keys.length === 0 ? 'ROLLBACK' : 'COMMIT')
      this.#reserved = reserved
      return batch
    } catch (error) {
      // Some errors have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /**
   * Writes so many bytes, durably, and gives them back: throws if the disk does not take them. Something smaller would not
   * do: a log that was copied into the database has room for small commits even on a full disk.
   */
  probe(bytes: number): void {
    this.#database.exec(`REPLACE INTO probe VALUES (1, zeroblob(${bytes})); DELETE FROM probe`)
  }

  checkpointDue(): boolean {
    return this.#bytesSinceCheckpoint >= CHECKPOINT_BYTES
  }

  /** Copies the write-ahead log into the database, so that the log starts again and stays small. */
  checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    this.#bytesSinceCheckpoint = 0
    this.#database.exec(`PRAGMA wal_checkpoint(${mode})`)
  }

  #write({ keys, versions, ends, values }: CommitRequest, batch: Batch): void {
    let start = 0
    for (const [index, key] of keys.entries()) {
      const version = versions[index]!
      const end = ends[index]!
      if (version === 0) this.#delete.run(key)
      else this.#put.run(key, version, values.subarray(start, end))
      start = end
      batch.keys.push(key)
      batch.versions.push(version)
    }
    this.#bytesSinceCheckpoint += values.byteLength + keys.length * PAGE_BYTES
  }
}

function conflictOf({ reads, keys, versions }: CommitRequest, table: Table): string | undefined {
  return conflictIn(reads, table) ?? lateWrite(reads, keys, versions, table)
}
