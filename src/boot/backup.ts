/**
 * `operator backup` and `operator restore`: the store and the ledger in a folder, as they are on disk, encrypted and chained.
 * A backup is made beside the running server, by a process of its own that needs the right to read the data and no token.
 */
import { constants, existsSync, readdirSync } from 'node:fs'
import { copyFile, mkdir, open, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { segmentsAmong } from '#audit/ledger/line.ts'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { productVersion } from '#lib/version.ts'
import { checkCopy, copyStore, storeFile } from '#storage/sqlite/copy.ts'
import { takeFolder } from '#storage/sqlite/database.ts'
import {
  checkBackup,
  type FileNote,
  LEDGER,
  type Manifest,
  MANIFEST,
  MANIFEST_FORMAT,
  noteOf,
  STORE,
} from './backup-manifest.ts'
import { ConfigError } from './config.ts'

export interface Places {
  data: string
  ledger: string
}

/** Told what is done next: it may take minutes. */
export type Tell = (stage: string) => void

export const silently: Tell = () => {}

/** @throws ConfigError, ApiError: nothing is left behind but a folder that ends in `.partial` */
export async function makeBackup({ data, ledger }: Places, target: string, tell: Tell = silently): Promise<Manifest> {
  if (existsSync(target)) throw new ConfigError(`${target} is there already: each backup has a folder of its own`)
  const draft = `${target}.partial`
  try {
    await mkdir(draft, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new ConfigError(`${draft} is there: a backup that is being made, or was cut off; remove it if it was cut off`)
  }
  try {
    // The store first. What it holds was recorded before it was done, so the ledger that is copied later knows of all of it.
    tell('Copying the store')
    await copyStore(data, path.join(draft, STORE))
    tell('Checking the copy')
    const entries = checkCopy(path.join(draft, STORE))
    await mkdir(path.join(draft, LEDGER), { mode: 0o700 })
    const segments = existsSync(ledger) ? segmentsAmong(await readdir(ledger)) : []
    for (const [at, name] of segments.entries()) {
      tell(`Copying the ledger: file ${at + 1} of ${segments.length}`)
      await copySegment(path.join(ledger, name), path.join(draft, LEDGER, name))
    }
    tell('Checking the chain of the ledger')
    const verdict = segments.length === 0 ? undefined : await verifyLedger(path.join(draft, LEDGER))
    if (verdict && !verdict.ok) {
      const [first] = verdict.problems
      throw new ConfigError(
        `the ledger in ${ledger} is not whole: ${first?.segment} line ${first?.line} ${first?.text}`,
      )
    }
    tell('Writing down the digests')
    const files: FileNote[] = [await noteOf(draft, STORE)]
    for (const name of segments) files.push(await noteOf(draft, `${LEDGER}/${name}`))
    const manifest: Manifest = {
      format: MANIFEST_FORMAT,
      made_at: new Date().toISOString(),
      made_by: productVersion,
      entries,
      ledger_head: verdict?.head,
      files,
    }
    await writeFile(path.join(draft, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`, { mode: 0o600 })
    for (const name of [MANIFEST, LEDGER, '.']) await sync(path.join(draft, name))
    await rename(draft, target)
    await sync(path.dirname(target))
    return manifest
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** Its whole lines: the last one may be half written at this moment, and belongs to nothing that was answered. */
async function copySegment(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL)
  await using file = await open(to, 'r+')
  await file.chmod(0o600)
  const { size } = await file.stat()
  const tail = Buffer.alloc(Math.min(size, MAX_TAIL_BYTES))
  await file.read(tail, 0, tail.length, size - tail.length)
  await truncate(to, size - tail.length + tail.lastIndexOf(0x0a) + 1)
  await file.sync()
}

/** More than one line has. */
const MAX_TAIL_BYTES = 128 * 1024

/**
 * Puts a backup where there is no store. Cut off in the middle, it can be run again.
 *
 * @throws ConfigError, ApiError; what is in the folders stays as it was
 */
export async function restoreBackup(
  backup: string,
  { data, ledger }: Places,
  tell: Tell = silently,
): Promise<Manifest> {
  tell('Checking the backup')
  const manifest = await checkBackup(backup)
  checkCopy(path.join(backup, STORE))
  if (existsSync(storeFile(data))) {
    throw new ConfigError(`${data} holds a store already: move it away first; nothing was changed`)
  }
  // No server may begin a store of its own meanwhile.
  const taken = takeFolder(data)
  try {
    const segments = manifest.files.filter(({ name }) => name !== STORE)
    await refuseOtherLedger(ledger, segments)
    await mkdir(ledger, { recursive: true, mode: 0o700 })
    for (const [at, { name }] of segments.entries()) {
      tell(`Copying the ledger: file ${at + 1} of ${segments.length}`)
      await place(path.join(backup, name), path.join(ledger, path.basename(name)))
    }
    await sync(ledger)
    // Last: where it is, all is.
    tell('Copying the store')
    await place(path.join(backup, STORE), storeFile(data))
    await sync(data)
    return manifest
  } finally {
    taken.close()
  }
}

/** A ledger that goes on elsewhere would not fit the store. Segments of a restore that was cut off are the same. */
async function refuseOtherLedger(ledger: string, segments: readonly FileNote[]): Promise<void> {
  if (!existsSync(ledger)) return
  for (const name of segmentsAmong(readdirSync(ledger))) {
    const expected = segments.find((each) => path.basename(each.name) === name)
    if (expected && (await noteOf(ledger, name)).sha256 === expected.sha256) continue
    throw new ConfigError(`${ledger} holds another ledger: keep it, as evidence, elsewhere; nothing was changed`)
  }
}

async function place(from: string, to: string): Promise<void> {
  const draft = `${to}.restoring`
  await copyFile(from, draft)
  await using file = await open(draft, 'r+')
  await file.chmod(0o600)
  await file.sync()
  await rename(draft, to)
}

async function sync(place: string): Promise<void> {
  await using handle = await open(place, 'r')
  await handle.sync()
}
