/** A folder for one test, gone after it. Below the system's folder for such: on a real disk, so that fsync is one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export function temporaryFolder(): { path: string; remove: () => void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-storage-'))
  return { path: folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
