/**
 * The embedded store: SQLite in a folder, one writer thread, and readers that need no other thread to read.
 *
 * `open` starts the writer and reads in the calling thread. Other threads of the process join with `seat()` here and
 * `attach` there; all of them see every acknowledged commit at once.
 */
import path from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { Driver } from '#sdk/storage.ts'
import { openForReading } from './database.ts'
import { Shared } from './protocol.ts'
import { Reader } from './reader.ts'
import { WriterThread } from './thread.ts'

/** A place at an open store for another thread: to be posted there, with `port` in the transfer list. */
export interface Seat {
  folder: string
  shared: SharedArrayBuffer
  port: MessagePort
}

export interface SqliteDriver extends Driver {
  seat(): Seat
}

/**
 * @param options  `path`: the data folder, made if it is not there (with mode 700)
 * @throws ApiError `storage_failed` if the folder is in use, unusable or written by a newer version
 */
export async function open(options: Readonly<Record<string, string>>): Promise<SqliteDriver> {
  const given = options['path']
  if (given === undefined || given === '') throw new ApiError('invalid_request', 'storage "sqlite" needs a path')
  const writer = await WriterThread.start(path.resolve(given))
  const seat = (): Seat => ({ folder: writer.folder, shared: writer.shared, port: writer.attach() })
  const reader = await attach(seat())
  return {
    moment: () => reader.moment(),
    get: (key) => reader.get(key),
    getMany: (keys) => reader.getMany(keys),
    list: (prefix, page) => reader.list(prefix, page),
    keys: (prefix, page) => reader.keys(prefix, page),
    scan: (prefix, page) => reader.scan(prefix, page),
    transact: (change) => reader.transact(change),
    onCommit: (listener) => reader.onCommit(listener),
    trouble: () => reader.trouble(),
    close: async () => {
      await reader.close()
      await writer.close()
    },
    seat,
  }
}

/** Read and write, in this thread, a store that another thread of this process has open. */
export async function attach(seat: Seat): Promise<Driver> {
  return await Reader.over(openForReading(seat.folder), new Shared(seat.shared), seat.port)
}
