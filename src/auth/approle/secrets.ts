/**
 * Secret ids as they are kept. The secret id itself is nowhere: its keyed hash is the name of its entry.
 *
 * Storage, for each role by the role's uuid:
 *   secret/<uuid>/<hash>              → SecretEntry
 *   accessor/<uuid>/<accessor>        → AccessorEntry
 *   expiry/<second>/<uuid>/<hash>     → {}, for those that expire: tidying reads only what is due
 *   gone/<uuid>                       → {}, for a deleted role whose secret ids are yet to be removed
 * When a secret id was last used would be an entry of its own beside these, so that a log-in need not wait for it.
 */
import type { Storage, StorageTransaction } from '#sdk/storage.ts'

export interface SecretEntry {
  accessor: string
  created_ms: number
  updated_ms: number
  /** 0: never. */
  expires_ms: number
  ttl_seconds: number
  /** 0: no limit. */
  uses_left: number
  metadata: Record<string, string>
  cidr_list: string[]
  token_bound_cidrs: string[]
}

export interface AccessorEntry {
  hash: string
}

/** How many secret ids one transaction removes. */
const BATCH = 500

/** How many batches one run of the tidying does: a bound, far beyond what falls due between two runs. */
const MAX_BATCHES = 2000

/** How much the deletion of a role removes itself; the rest is left to tidying. */
const MAX_DELETE_BATCHES = 4

const SECOND_DIGITS = 12

export function secretKey(roleUuid: string, hash: string): string {
  return `secret/${roleUuid}/${hash}`
}

export function accessorPrefix(roleUuid: string): string {
  return `accessor/${roleUuid}/`
}

function expiryKey(roleUuid: string, hash: string, expiresMs: number): string {
  const second = Math.ceil(expiresMs / 1000)
  return `expiry/${String(second).padStart(SECOND_DIGITS, '0')}/${roleUuid}/${hash}`
}

export function isExpired(entry: Readonly<SecretEntry>, now: Date): boolean {
  return entry.expires_ms > 0 && entry.expires_ms <= now.getTime()
}

export function putSecret(transaction: StorageTransaction, roleUuid: string, hash: string, entry: SecretEntry): void {
  transaction.put(secretKey(roleUuid, hash), entry)
  transaction.put<AccessorEntry>(accessorPrefix(roleUuid) + entry.accessor, { hash })
  if (entry.expires_ms > 0) transaction.put(expiryKey(roleUuid, hash, entry.expires_ms), {})
}

export function removeSecret(
  transaction: StorageTransaction,
  roleUuid: string,
  hash: string,
  entry: SecretEntry,
): void {
  transaction.delete(secretKey(roleUuid, hash))
  transaction.delete(accessorPrefix(roleUuid) + entry.accessor)
  if (entry.expires_ms > 0) transaction.delete(expiryKey(roleUuid, hash, entry.expires_ms))
}

/**
 * Uses up one log-in. The look and the change are one: were they two, a secret id of one use that is sent twice at once
 * would pass twice.
 *
 * @returns false if nothing was left to use
 */
export async function spendSecret(storage: Storage, roleUuid: string, hash: string, now: Date): Promise<boolean> {
  return await storage.transact(async (transaction) => {
    const entry = await transaction.get<SecretEntry>(secretKey(roleUuid, hash))
    if (!entry || isExpired(entry, now)) return false
    if (entry.uses_left === 1) removeSecret(transaction, roleUuid, hash, entry)
    else if (entry.uses_left > 1) {
      const left: SecretEntry = { ...entry, uses_left: entry.uses_left - 1, updated_ms: now.getTime() }
      transaction.put(secretKey(roleUuid, hash), left)
    }
    return true
  })
}

/** Part of deleting a role: marks its secret ids as left over. @returns false if there are none */
export async function leaveSecrets(transaction: StorageTransaction, roleUuid: string): Promise<boolean> {
  if ((await transaction.keys(secretKey(roleUuid, ''), { limit: 1 })).length === 0) return false
  transaction.put(`gone/${roleUuid}`, {})
  return true
}

/** Removes what a deleted role left. @returns how many batches that took */
export async function sweepSecrets(
  storage: Storage,
  roleUuid: string,
  maxBatches = MAX_DELETE_BATCHES,
): Promise<number> {
  const prefix = secretKey(roleUuid, '')
  for (let batches = 1; batches <= maxBatches; batches++) {
    const isLast = await storage.transact(async (transaction) => {
      const keys = await transaction.keys(prefix, { limit: BATCH })
      for (const key of keys) {
        const entry = await transaction.get<SecretEntry>(key)
        if (entry) removeSecret(transaction, roleUuid, key.slice(prefix.length), entry)
      }
      if (keys.length === BATCH) return false
      transaction.delete(`gone/${roleUuid}`)
      return true
    })
    if (isLast) return batches
  }
  return maxBatches
}

/** Removes secret ids that have expired, and those of roles that are deleted. */
export async function tidySecrets(storage: Storage, now: Date): Promise<void> {
  let batches = 0
  for (; batches < MAX_BATCHES; batches++) if ((await removeExpired(storage, now)) < BATCH) break
  const gone = await storage.list('gone/', { limit: BATCH })
  for (const roleUuid of gone) {
    if (batches >= MAX_BATCHES) return
    batches += await sweepSecrets(storage, roleUuid, MAX_BATCHES - batches)
  }
}

/** One batch. @returns how many were due */
async function removeExpired(storage: Storage, now: Date): Promise<number> {
  const keys = await storage.keys('expiry/', { limit: BATCH })
  const due = keys.filter((key) => Number(key.split('/')[1]) * 1000 <= now.getTime())
  if (due.length === 0) return 0
  await storage.transact(async (transaction) => {
    for (const key of due) {
      const [, , roleUuid, hash] = key.split('/')
      const entry = await transaction.get<SecretEntry>(secretKey(roleUuid!, hash!))
      transaction.delete(key)
      // Only what is due itself goes, whatever led here.
      if (entry && isExpired(entry, now)) removeSecret(transaction, roleUuid!, hash!, entry)
    }
  })
  return due.length
}
