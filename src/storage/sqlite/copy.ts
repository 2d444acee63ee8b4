/**
 * Copies of an embedded store: made beside a running server, checked, and put into a folder that has none. Entries stay as
 * they are, encrypted. To be used in a process of its own: see database.ts on what closing a file does to locks.
 */
import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs'
import path from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { ApiError } from '#sdk/errors.ts'

/** All pages in one step: between two steps the store may change, and then SQLite begins again. */
const ALL_PAGES = 0x7fff_ffff
const PATIENCE_MS = 5000

export function storeFile(folder: string): string {
  return path.join(folder, 'store.db')
}

/**
 * The store as it is at one moment, as one file without others beside it. The server may go on writing.
 *
 * @throws ApiError `not_found` if there is no store, or what the file system throws
 */
export async function copyStore(folder: string, target: string): Promise<void> {
  if (!existsSync(storeFile(folder))) throw new ApiError('not_found', `there is no store in ${folder}`)
  closeSync(openSync(target, 'wx', 0o600))
  const source = new DatabaseSync(storeFile(folder), { readOnly: true, timeout: PATIENCE_MS })
  try {
    await backup(source, target, { rate: ALL_PAGES })
  } finally {
    source.close()
  }
  const copy = new DatabaseSync(target)
  try {
    copy.exec('PRAGMA journal_mode = DELETE')
  } finally {
    copy.close()
  }
  const descriptor = openSync(target, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** @returns how many entries it has. @throws ApiError `storage_failed` if the file is not a whole store */
export function checkCopy(file: string): number {
  let copy: DatabaseSync | undefined
  try {
    copy = new DatabaseSync(file, { readOnly: true })
    const [verdict] = Object.values(copy.prepare('PRAGMA integrity_check(1)').get() ?? {})
    if (verdict !== 'ok') throw new Error(String(verdict))
    return Number(copy.prepare('SELECT count(*) AS entries FROM entry').get()?.['entries'])
  } catch (error) {
    throw new ApiError(
      'storage_failed',
      `${file} is damaged: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    copy?.close()
  }
}
