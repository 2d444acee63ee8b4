/**
 * Who read a secret last, when, and how often it was read. A read only counts in memory; what was counted goes to the store
 * every few seconds, many secrets at a time. A crash loses the counts of the last seconds, nothing else.
 *
 * Storage: reads/<path> → ReadsEntry.
 */
import { setImmediate } from 'node:timers/promises'
import type { Caller, Mount } from '#sdk/engine.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { type SecretEntry, timeText } from './secret.ts'

interface ReadsEntry {
  count: number
  last_ms: number
  by: string
  entity_id: string
  /** Of the secret that was read: a later one of the same path begins anew. */
  created_ms: number
}

/**
 * Secrets of one mount that are counted between two flushes: 1 MB, and as much work as the background may make. Reads of
 * further ones are not counted.
 */
export const MAX_COUNTED = 5000
/** In one transaction. */
const BATCH = 250

/** By the mount as requests see it; goes with it. */
const counted = new WeakMap<Mount, Map<string, ReadsEntry>>()

const readsKey = (secretPath: string): string => `reads/${secretPath}`

/** Some 100 ns. */
export function countRead(
  mount: Mount,
  secretPath: string,
  createdMs: number,
  caller: Caller | undefined,
  nowMs: number,
): void {
  let secrets = counted.get(mount)
  if (!secrets) counted.set(mount, (secrets = new Map()))
  const entry = secrets.get(secretPath)
  const [by, entityId] = [caller?.displayName ?? '', caller?.entityId ?? '']
  if (entry && entry.created_ms === createdMs) {
    entry.count += 1
    entry.last_ms = nowMs
    entry.by = by
    entry.entity_id = entityId
  } else if (entry || secrets.size < MAX_COUNTED) {
    secrets.set(secretPath, { count: 1, last_ms: nowMs, by, entity_id: entityId, created_ms: createdMs })
  }
}

/** Writes down what was counted in this process. What cannot be written stays counted for the next time. */
export async function flushReads(mount: Mount): Promise<void> {
  const secrets = counted.get(mount)
  if (!secrets || secrets.size === 0) return
  counted.set(mount, new Map())
  const all = [...secrets]
  for (let start = 0; start < all.length; start += BATCH) {
    const batch = all.slice(start, start + BATCH)
    try {
      await mount.storage.transact(async (transaction) => {
        for (const [path, entry] of batch) {
          const stored = await transaction.get<ReadsEntry>(readsKey(path))
          transaction.put(readsKey(path), joined(stored, entry))
        }
      })
    } catch (error) {
      keepForNextTime(mount, all.slice(start))
      throw error
    }
    await setImmediate()
  }
}

function keepForNextTime(mount: Mount, left: readonly [string, ReadsEntry][]): void {
  const secrets = counted.get(mount)!
  for (const [path, entry] of left) {
    const now = secrets.get(path)
    if (now) secrets.set(path, joined(entry, now))
    else if (secrets.size < MAX_COUNTED) secrets.set(path, entry)
  }
}

/** Of an older secret at the same path nothing counts. */
function joined(stored: ReadsEntry | undefined, entry: ReadsEntry): ReadsEntry {
  if (!stored || stored.created_ms < entry.created_ms) return entry
  if (stored.created_ms > entry.created_ms) return stored
  const latest = stored.last_ms > entry.last_ms ? stored : entry
  return { ...latest, count: stored.count + entry.count }
}

/** In the transaction that removes the secret. */
export function removeReads(transaction: StorageTransaction, secretPath: string): void {
  transaction.delete(readsKey(secretPath))
}

/** When the secret is removed: what was counted of it is not to be written down any more. */
export function forgetCounted(mount: Mount, secretPath: string): void {
  counted.get(mount)?.delete(secretPath)
}

/** What the store knows, and what was counted here since. */
export async function describeReads(
  mount: Mount,
  secretPath: string,
  { created_ms }: Pick<SecretEntry, 'created_ms'>,
): Promise<Record<string, unknown>> {
  const stored = await mount.storage.get<ReadsEntry>(readsKey(secretPath))
  const here = counted.get(mount)?.get(secretPath)
  const known = here ? joined(stored, here) : stored
  if (!known || known.created_ms !== created_ms) return { read_count: 0, last_read_time: '', last_read_by: null }
  const by = { display_name: known.by, entity_id: known.entity_id }
  return { read_count: known.count, last_read_time: timeText(known.last_ms), last_read_by: by }
}
