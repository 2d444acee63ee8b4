/** What a backup is made of, with a digest of each file: `manifest.json` in its folder. */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { isObject } from '#sdk/schema.ts'
import { ConfigError } from './config.ts'

export const MANIFEST = 'manifest.json'
export const STORE = 'store.db'
export const LEDGER = 'ledger'
export const MANIFEST_FORMAT = 1
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024

export interface FileNote {
  /** Within the backup: `store.db`, `ledger/<segment>`. */
  name: string
  bytes: number
  sha256: string
}

export interface Manifest {
  format: number
  made_at: string
  made_by: string
  entries: number
  /** The last line of the ledger: who keeps this elsewhere can tell later whether the ledger was cut. */
  ledger_head: { seq: number; hash: string } | undefined
  files: FileNote[]
}

export async function noteOf(folder: string, name: string): Promise<FileNote> {
  const file = path.join(folder, name)
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return { name, bytes: (await stat(file)).size, sha256: hash.digest('hex') }
}

/** @throws ConfigError if a file is missing, has changed, or there is no manifest */
export async function checkBackup(folder: string): Promise<Manifest> {
  const manifest = readManifest(folder)
  for (const expected of manifest.files) {
    let found: FileNote
    try {
      found = await noteOf(folder, expected.name)
    } catch (error) {
      throw new ConfigError(`${path.join(folder, expected.name)} cannot be read: ${(error as Error).message}`)
    }
    if (found.sha256 !== expected.sha256) {
      throw new ConfigError(
        `${path.join(folder, expected.name)} is not the file that was backed up: its digest differs`,
      )
    }
  }
  return manifest
}

function readManifest(folder: string): Manifest {
  let value: unknown
  try {
    const bytes = readFileSync(path.join(folder, MANIFEST))
    value = bytes.length > MAX_MANIFEST_BYTES ? undefined : JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new ConfigError(`${folder} is not a backup: ${MANIFEST}: ${(error as Error).message}`)
  }
  if (!isObject(value) || value['format'] !== MANIFEST_FORMAT || !Array.isArray(value['files'])) {
    throw new ConfigError(`${folder} is not a backup that this version can read: ${MANIFEST} has another format`)
  }
  const manifest = value as unknown as Manifest
  // Names become paths.
  const good = manifest.files.every(({ name }) => name === STORE || /^ledger\/[A-Za-z0-9._-]+$/.test(name))
  if (!good || !manifest.files.some(({ name }) => name === STORE)) {
    throw new ConfigError(`${folder} is not a backup that this version can read: ${MANIFEST} names other files`)
  }
  return manifest
}
