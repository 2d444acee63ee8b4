/**
 * The files of an embedded store and how they are opened:
 *   store.db   the entries (SQLite, WAL), with store.db-wal and store.db-shm beside it
 *   lock.db    an empty database that is locked as long as a server has the folder
 *
 * Nothing else in this process may open these files by itself: closing any descriptor of a file drops the locks that the
 * process holds on it (POSIX), SQLite's among them.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ApiError } from '#sdk/errors.ts'

const SCHEMA_VERSION = 1
const WRITER_CACHE_KIB = 16 * 1024
const READER_CACHE_KIB = 8 * 1024
/** Others that may hold the database for a moment: a backup, an operator's shell. */
const WRITER_PATIENCE_MS = 5000
const READER_PATIENCE_MS = 1000
/** A server that was told to stop may need a moment to let go. */
const LOCK_PATIENCE_MS = 500
const MAX_KEPT_WAL_BYTES = 64 * 1024 * 1024

const BUSY = 5
const NOT_A_DATABASE = 26

// A table with row ids and an index over the keys: against WITHOUT ROWID, random inserts cost half, listings a quarter less
// (the index holds keys only) and look-ups 3 % more, measured over 300,000 entries of 300 bytes.
const SCHEMA = `
  CREATE TABLE entry (key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL) STRICT;
  CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES ('version', 0);
  CREATE TABLE probe (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`

export interface Files {
  store: DatabaseSync
  lock: DatabaseSync
}

/** Open for the one writer: makes what is missing, and takes the folder for this process. */
export function openForWriting(folder: string): Files {
  const lock = takeFolder(folder)
  try {
    createFile(path.join(folder, 'store.db'))
    const store = new DatabaseSync(path.join(folder, 'store.db'), { timeout: WRITER_PATIENCE_MS })
    try {
      prepare(store, folder)
    } catch (error) {
      store.close()
      throw error
    }
    return { store, lock }
  } catch (error) {
    lock.close()
    throw explain(error, folder)
  }
}

export function openForReading(folder: string): DatabaseSync {
  const store = new DatabaseSync(path.join(folder, 'store.db'), { readOnly: true, timeout: READER_PATIENCE_MS })
  store.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA temp_store = MEMORY`)
  return store
}

/**
 * Nobody else has the folder until what is returned is closed, or the process ends.
 *
 * @throws ApiError `storage_failed` if somebody has it, or it cannot be made
 */
export function takeFolder(folder: string): DatabaseSync {
  let lock: DatabaseSync | undefined
  try {
    makeFolder(folder)
    createFile(path.join(folder, 'lock.db'))
    lock = new DatabaseSync(path.join(folder, 'lock.db'), { timeout: LOCK_PATIENCE_MS })
    // The operating system holds the lock, not the file's content: it ends with the process, however that ends.
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock?.close()
    if (codeOf(error) !== BUSY) throw explain(error, folder)
    throw new ApiError(
      'storage_failed',
      `the data folder ${folder} is in use by another server: stop that one, or give this one a folder of its own`,
      { cause: error },
    )
  }
}

function prepare(store: DatabaseSync, folder: string): void {
  const mode = store.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
  if (mode !== 'wal') {
    throw new ApiError(
      'storage_failed',
      `the file system of ${folder} cannot share memory between threads (journal mode ${String(mode)}): use a local disk`,
    )
  }
  store.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${MAX_KEPT_WAL_BYTES};
    PRAGMA cache_size = -${WRITER_CACHE_KIB};
    PRAGMA temp_store = MEMORY;
  `)
  const version = Number(store.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > SCHEMA_VERSION) {
    throw new ApiError(
      'storage_failed',
      `the data in ${folder} was written by a newer version of this program (schema ${version}, this one knows up to ${SCHEMA_VERSION}): run that version, or restore a backup from before the upgrade`,
    )
  }
  if (version === SCHEMA_VERSION) return
  if (store.prepare('SELECT 1 FROM sqlite_schema').get()) {
    throw new ApiError('storage_failed', `${path.join(folder, 'store.db')} is a database of another program`)
  }
  store.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`)
}

function makeFolder(folder: string): void {
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(path.dirname(folder))
}

/** SQLite gives the files it makes beside a database the database's own mode, so this one mode protects all of them. */
function createFile(file: string): void {
  if (existsSync(file)) return
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    // Made by another server at this moment: the lock decides which of the two goes on.
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    return
  }
  syncFolder(path.dirname(file))
}

/** A new name is on disk only when its folder is. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function explain(error: unknown, folder: string): unknown {
  if (error instanceof ApiError) return error
  const detail = error instanceof Error ? error.message : String(error)
  const message =
    codeOf(error) === NOT_A_DATABASE
      ? `${path.join(folder, 'store.db')} is not a database: restore a backup, or give the server another folder`
      : `cannot open the data folder ${folder}: ${detail}`
  return new ApiError('storage_failed', message, { cause: error })
}

/** SQLite's primary result code; undefined for other errors. */
export function codeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}
