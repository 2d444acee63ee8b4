/** Folders of the store, the ledger and audit files: whose they are, who may look in, and how much room there is. */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readSync,
  closeSync,
  statfsSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { look as lookAtDatabase } from '#storage/postgres/look.ts'
import type { ServerConfig } from './config.ts'
import { fail, type Finding, ok, skip, warn } from './diagnosis.ts'

const MIB = 1024 * 1024
/** A server that finds less refuses writes soon: a commit needs room for itself and for the log. */
const LEAST_BYTES = 64 * MIB
const ENOUGH_BYTES = 1024 * MIB
const ENOUGH_SHARE = 0.05
/** A clock may be set back by a little. */
const CLOCK_TOLERANCE_MS = 60_000

/** Numbers of file systems by which one machine cannot be sure of its locks (statfs(2)). */
const remote: Record<number, string> = {
  0x6969: 'NFS',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB',
  0x517b: 'SMB',
  0x01021997: '9p',
}
const TMPFS = 0x01021994

/** Whether a server has the folder right now: it holds a lock as long as it runs. */
export function storageInUse({ storage }: ServerConfig): boolean {
  const file = path.join(storage.options['path'] ?? '', 'lock.db')
  if (storage.options['path'] === undefined || !existsSync(file)) return false
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file, { readOnly: true, timeout: 0 })
    lock.prepare('PRAGMA schema_version').get()
    return false
  } catch (error) {
    return error instanceof Error && 'errcode' in error && error.errcode === 5
  } finally {
    lock?.close()
  }
}

export async function diagnoseStorage({ storage }: ServerConfig, running: boolean): Promise<Finding[]> {
  const folder = storage.options['path']
  if (storage.type === 'postgres') return [await diagnoseDatabase(storage.options)]
  if (folder === undefined) {
    return [warn('Store', 'kept in memory: all is lost when the server ends', 'storage "sqlite" { path = "…" }')]
  }
  const findings = folderFindings('Store', path.resolve(folder))
  const store = path.join(folder, 'store.db')
  if (!existsSync(store)) findings.push(ok('Contents', 'none yet: operator init makes the keys'))
  else if (readable(store)) findings.push(...contents(store))
  findings.push(ok('In use', running ? 'a server runs with this folder' : 'no server has this folder'))
  return findings
}

/** Makes nothing: a diagnosis only looks. */
async function diagnoseDatabase(options: Record<string, string>): Promise<Finding> {
  try {
    return ok('Store', await lookAtDatabase(options))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return fail('Store', why, 'Look at connection_url, at the database and at the way to it.')
  }
}

export function diagnoseLedger({ storage, ledgerFolder }: ServerConfig): Finding[] {
  if (ledgerFolder === undefined) {
    return [
      storage.options['path'] === undefined ? skip('Ledger', 'goes with the server') : ok('Ledger', 'beside the store'),
    ]
  }
  return folderFindings('Ledger', path.resolve(ledgerFolder))
}

export function diagnoseAudit({ auditDevices }: ServerConfig): Finding[] {
  if (auditDevices.length === 0) return [ok('Ledger', 'always on; no other device is in the configuration')]
  return auditDevices.map(({ type, path: name, options }) => {
    const file = options['file_path'] ?? options['path']
    if (type !== 'file' || file === undefined) return ok(`${name}/`, `of type "${type}"`)
    if (file === 'stdout' || file === 'discard') return ok(`${name}/`, file)
    const target = existsSync(file) ? file : path.dirname(path.resolve(file))
    return may(target, constants.W_OK)
      ? ok(`${name}/`, `${file} can be written`)
      : fail(
          `${name}/`,
          `${target} is not there or cannot be written`,
          `Make it, and give it to the user of the server.`,
        )
  })
}

function folderFindings(name: string, folder: string): Finding[] {
  if (!existsSync(folder)) return [missing(name, folder), ...roomFindings(name, nearest(folder))]
  if (!statSync(folder).isDirectory()) return [fail(name, `${folder} is no folder`, 'Move the file away.')]
  const { mode, uid } = statSync(folder)
  const own = process.getuid?.()
  const findings: Finding[] = []
  if (own !== undefined && own !== 0 && own !== uid) {
    findings.push(fail(name, `${folder} belongs to user ${uid}, this is user ${own}`, `chown -R … ${folder}`))
  } else if (!may(folder, constants.R_OK | constants.W_OK | constants.X_OK)) {
    findings.push(fail(name, `${folder} cannot be read and written`, `chmod 700 ${folder}`))
  } else if (mode & 0o077) {
    findings.push(
      warn(name, `others may look into ${folder} (mode ${(mode & 0o777).toString(8)})`, `chmod 700 ${folder}`),
    )
  } else findings.push(ok(name, `${folder}, for its owner only`))
  if (lstatSync(folder).isSymbolicLink()) {
    findings.push(
      warn(name, `${folder} is a symbolic link`, 'Name the folder itself, so that nobody can turn the link.'),
    )
  }
  return [...findings, ...roomFindings(name, folder)]
}

function missing(name: string, folder: string): Finding {
  const above = nearest(folder)
  return may(above, constants.W_OK)
    ? ok(name, `${folder} is not there yet; the server makes it`)
    : fail(name, `${folder} is not there and cannot be made in ${above}`, `install -d -m 700 -o … ${folder}`)
}

function roomFindings(name: string, folder: string): Finding[] {
  const { type, bavail, bsize, blocks } = statfsSync(folder)
  const findings: Finding[] = []
  const kind = remote[type]
  if (kind !== undefined) {
    findings.push(
      fail(`${name}: file system`, `${folder} lies on ${kind}`, 'Use a local disk: locks and shared memory need one.'),
    )
  } else if (type === TMPFS) {
    findings.push(
      warn(`${name}: file system`, `${folder} lies in memory (tmpfs)`, 'Use a disk: this is gone after a restart.'),
    )
  }
  const free = bavail * bsize
  const told = `${Math.floor(free / MIB)} MiB free in ${folder}`
  if (free < LEAST_BYTES) findings.push(fail(`${name}: room`, told, 'Make room: without it nothing can be written.'))
  else if (free < ENOUGH_BYTES || bavail < ENOUGH_SHARE * blocks) {
    findings.push(
      warn(`${name}: room`, told, 'Make room: a full disk stops all requests, since none could be recorded.'),
    )
  } else findings.push(ok(`${name}: room`, told))
  return findings
}

function contents(store: string): Finding[] {
  const descriptor = openSync(store, 'r')
  const head = Buffer.alloc(16)
  try {
    readSync(descriptor, head, 0, head.length, 0)
  } finally {
    closeSync(descriptor)
  }
  const { mtimeMs, mode, size } = statSync(store)
  const findings: Finding[] = []
  // An empty file is a store that was about to be made.
  if (size > 0 && head.toString('latin1') !== 'SQLite format 3\0') {
    findings.push(fail('Contents', `${store} is not a database`, 'Restore a backup: strongroom operator restore.'))
  } else findings.push(ok('Contents', `${Math.ceil(size / 1024)} KiB`))
  if (mode & 0o077) findings.push(warn('Contents', `others may read ${store}`, `chmod 600 ${store}`))
  if (mtimeMs > Date.now() + CLOCK_TOLERANCE_MS) {
    findings.push(
      warn(
        'Clock',
        `${store} was written at ${new Date(mtimeMs).toISOString()}, which is still to come`,
        'Set the clock: with it turned back, what has expired is good again.',
      ),
    )
  }
  return findings
}

/** The next folder above that is there. */
function nearest(folder: string): string {
  let above = folder
  while (!existsSync(above) && path.dirname(above) !== above) above = path.dirname(above)
  return above
}

function readable(file: string): boolean {
  return may(file, constants.R_OK)
}

function may(place: string, mode: number): boolean {
  try {
    accessSync(place, mode)
    return true
  } catch {
    // Whatever the reason, it may not.
    return false
  }
}
