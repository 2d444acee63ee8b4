/**
 * The entries through a connection. Each answer also carries the number of the last commit it saw, of the same snapshot: by
 * it the reader knows what to hear of before it uses the answer.
 */
import type { Entry } from '#sdk/storage.ts'
import type { Found } from '#storage/draft.ts'
import type { Range } from '#storage/levels.ts'
import { MAX_SCAN_BYTES, scanTooLarge, type Versioned } from '#storage/reads.ts'
import type { Names } from './schema.ts'
import type { Row, Session, Statement } from './session.ts'

/** No key has this byte, so it sorts after all of them. */
const NO_END = Buffer.from([0xff])

/** What the database was at when it answered. */
export interface Seen<T> {
  sequence: number
  value: T
}

export interface Head {
  sequence: number
  mark: string
}

export class Table {
  readonly #limitMs: number
  readonly #entries: Statement
  readonly #versions: Statement
  readonly #keys: Statement
  readonly #keysAndVersions: Statement
  readonly #scan: Statement
  readonly #head: Statement

  constructor({ entry, head }: Names, limitMs: number) {
    this.#limitMs = limitMs
    const among = (columns: string) =>
      `SELECT h.sequence, ${columns} FROM ${head} h LEFT JOIN ${entry} e ON e.key = ANY($1) WHERE h.id = 1`
    const range = 'WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3'
    const inRange = (columns: string, given: string) =>
      `SELECT h.sequence, ${columns} FROM ${head} h LEFT JOIN (SELECT ${given} FROM ${entry} ${range}) e ON true ` +
      'WHERE h.id = 1 ORDER BY e.key'
    this.#head = { name: 'head', text: `SELECT sequence, mark FROM ${head} WHERE id = 1` }
    this.#entries = { name: 'entries', text: among('e.key, e.version, e.value') }
    this.#versions = { name: 'versions', text: among('e.key, e.version') }
    this.#keys = { name: 'keys', text: inRange('e.key', 'key') }
    this.#keysAndVersions = { name: 'keys_versions', text: inRange('e.key, e.version', 'key, version') }
    // Values beyond the bound do not even travel.
    this.#scan = {
      name: 'scan',
      text: inRange(
        `e.key, e.version, CASE WHEN e.total <= ${MAX_SCAN_BYTES} THEN e.value END`,
        'key, version, value, CAST(sum(octet_length(value)) OVER (ORDER BY key) AS bigint) AS total',
      ),
    }
  }

  async head(session: Session, limitMs: number): Promise<Head> {
    const [row] = (await session.run(this.#head, [], limitMs)).rows
    return { sequence: row![0] as number, mark: row![1] as string }
  }

  async entries(session: Session, keys: readonly string[]): Promise<Seen<Map<string, Entry>>> {
    const { rows } = await session.run(this.#entries, [keys.map(bytesOf)], this.#limitMs)
    return seen(
      rows,
      (all) =>
        new Map(
          all.map((row) => [textOf(row[1]), { version: row[2] as number, value: row[3] as Uint8Array }] as const),
        ),
    )
  }

  async versions(session: Session, keys: readonly string[]): Promise<Map<string, number>> {
    const { rows } = await session.run(this.#versions, [keys.map(bytesOf)], this.#limitMs)
    return seen(rows, (all) => new Map(all.map((row) => [textOf(row[1]), row[2] as number] as const))).value
  }

  async keysIn(session: Session, range: Range, count: number): Promise<Seen<string[]>> {
    const { rows } = await session.run(this.#keys, bounds(range, count), this.#limitMs)
    return seen(rows, (all) => all.map((row) => textOf(row[1])))
  }

  async versionsIn(session: Session, range: Range, count: number): Promise<Versioned[]> {
    const { rows } = await session.run(this.#keysAndVersions, bounds(range, count), this.#limitMs)
    return seen(rows, (all) => all.map((row) => ({ key: textOf(row[1]), version: row[2] as number }))).value
  }

  async scan(session: Session, range: Range, count: number): Promise<Seen<Found[]>> {
    const { rows } = await session.run(this.#scan, bounds(range, count), this.#limitMs)
    return seen(rows, (all) =>
      all.map(([, key, version, value]) => {
        if (value === null) throw scanTooLarge()
        return { key: textOf(key), entry: { version: version as number, value: value as Uint8Array } }
      }),
    )
  }
}

export function bytesOf(key: string): Buffer {
  return Buffer.from(key)
}

function textOf(key: unknown): string {
  return Buffer.from((key as Uint8Array).buffer).toString()
}

function bounds({ from, to }: Range, count: number): unknown[] {
  return [bytesOf(from), to === undefined ? NO_END : bytesOf(to), count]
}

/** The head is there also when nothing was found: then the other columns are null. */
function seen<T>(rows: readonly Row[], decode: (rows: readonly Row[]) => T): Seen<T> {
  const found = rows.length === 1 && rows[0]![1] === null ? [] : rows
  return { sequence: rows[0]![0] as number, value: decode(found) }
}
