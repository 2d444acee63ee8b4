/**
 * The tables, and how they come to be. For `table = "strongroom"`:
 *
 *   strongroom       key, version, value: the entries. Keys are bytes, so that no collation or encoding can reorder them.
 *   strongroom_head  one row: the number of the last commit, its mark, the last version given out, and the schema. Who
 *                    commits holds its lock, so commits of all nodes come one after the other.
 *   strongroom_feed  what each commit changed, by its number, without gaps. The oldest are removed.
 *
 * Migrations only go forward. Each step may be interrupted and run again. `oldest` is the lowest schema of programs that
 * may still work with the tables: a step that older programs can live with leaves it, so that two versions run side by side.
 */
import { Refusal, codeOf, isMadeTwice, isConflict, UNDEFINED_COLUMN, UNDEFINED_TABLE } from './failures.ts'
import { quoted } from './settings.ts'
import type { Session } from './session.ts'

/** What this program makes and knows. */
export const SCHEMA = 1
const OLDEST = 1
const MAX_TRIES = 10

export interface Names {
  entry: string
  head: string
  feed: string
  channel: string
}

export function namesOf(table: string): Names {
  return {
    entry: quoted(table),
    head: quoted(`${table}_head`),
    feed: quoted(`${table}_feed`),
    channel: quoted(`${table}_feed`),
  }
}

/** For an operator who makes them himself (`skip_create_table`). */
export function statementsOf({ entry, head, feed }: Names): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${entry} (key bytea NOT NULL PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS ${feed} (sequence bigint NOT NULL PRIMARY KEY, mark varchar(32) NOT NULL, changes bytea NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS ${head} (id integer NOT NULL PRIMARY KEY, sequence bigint NOT NULL, mark varchar(32) NOT NULL, ` +
      `version bigint NOT NULL, schema_version integer NOT NULL, oldest_schema integer NOT NULL)`,
    `INSERT INTO ${head} VALUES (1, 0, '', 0, ${SCHEMA}, ${OLDEST}) ON CONFLICT (id) DO NOTHING`,
  ]
}

/** @throws ApiError `storage_failed` with what to do */
export async function prepareTables(session: Session, names: Names, create: boolean, limitMs: number): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const schema = await readSchema(session, names, limitMs)
      if (schema === SCHEMA) return await checkEntries(session, names, limitMs)
      if (!create) throw missing(names)
      // One after the other: what was made stays, and IF NOT EXISTS passes over it.
      for (const statement of statementsOf(names)) await session.simple(statement, limitMs)
    } catch (error) {
      const isRace = isMadeTwice(error) || isConflict(error)
      if (!isRace || tries === MAX_TRIES) throw error
    }
  }
}

/** 0 if there are no tables. A higher one is fine as long as `oldest` is not: then it is taken as this program's. */
export async function readSchema(session: Session, { head }: Names, limitMs: number): Promise<number> {
  try {
    const text = `SELECT schema_version, oldest_schema FROM ${head} WHERE id = 1`
    const [row] = (await session.simple(text, limitMs)).rows
    if (!row) return 0
    checkOldest(Number(row[1]), Number(row[0]))
    return Math.min(Number(row[0]), SCHEMA)
  } catch (error) {
    if (codeOf(error) === UNDEFINED_TABLE) return 0
    if (codeOf(error) === UNDEFINED_COLUMN) throw foreign(head, error)
    throw error
  }
}

/** Also at every commit: another node may have migrated the tables meanwhile. */
export function checkOldest(oldest: number, schema: number): void {
  if (oldest <= SCHEMA) return
  throw new Refusal(
    `the database was taken over by a newer version of this program (schema ${schema}, this one knows up to ${SCHEMA}): run that version`,
  )
}

async function checkEntries(session: Session, { entry }: Names, limitMs: number): Promise<void> {
  try {
    await session.simple(`SELECT key, version, value FROM ${entry} LIMIT 0`, limitMs)
  } catch (error) {
    if (codeOf(error) === UNDEFINED_COLUMN) throw foreign(entry, error)
    throw error
  }
}

function missing(names: Names): Refusal {
  return new Refusal(
    `the tables are not there, and skip_create_table is set: make them with\n${statementsOf(names).join(';\n')};`,
  )
}

function foreign(table: string, cause: unknown): Refusal {
  const text = `the table ${table} is one of another program: choose another name (table = "…" in storage "postgres")`
  return new Refusal(text, cause)
}
