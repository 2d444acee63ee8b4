/** Keys that get a new version by themselves. */
import { setImmediate } from 'node:timers/promises'
import type { Mount } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { rotateKey } from './create.ts'
import { type KeyEntry, keyNamed, ROTATING } from './key.ts'

/** How many names are read in one go. */
const PAGE = 1000

/** Keys whose latest version is older than their period get a new one; one that cannot does not keep the others. */
export async function rotateDue(mount: Mount): Promise<void> {
  const failures: string[] = []
  for (let after: string | undefined; ;) {
    const names = await mount.storage.list(ROTATING, { after, limit: PAGE })
    for (const name of names) {
      try {
        await rotateIfDue(mount, name)
      } catch (error) {
        failures.push(`${name}: ${error instanceof ApiError ? error.message.trim() : String(error)}`)
      }
    }
    if (names.length < PAGE) break
    after = names.at(-1)
    await setImmediate()
  }
  if (failures.length > 0) throw new Error(`keys that could not be rotated: ${failures.slice(0, 10).join('; ')}`)
}

async function rotateIfDue(mount: Mount, name: string): Promise<void> {
  const due = (key: Readonly<KeyEntry>) => isDue(key, mount.clock.now())
  const key = await keyNamed(mount.storage, name)
  // Looked at again in the transaction: another node, or an operator, may have rotated meanwhile.
  if (key && due(key)) await rotateKey(mount, name, () => new ApiError('not_found', ''), due)
}

/** Keys that were put away, or may not be rotated, wait. */
function isDue(key: Readonly<KeyEntry>, now: Date): boolean {
  const period = key.auto_rotate_period_seconds
  if (period === 0 || key.soft_deleted || (key.imported && !key.allow_rotation)) return false
  return Date.parse(key.created.at(-1)!) + period * 1000 <= now.getTime()
}
