/**
 * What is checked for a name that no user has, so that its log-in takes as long as one with a wrong password. Where users
 * have hashes of several kinds, which take unlike times, each unknown name gets one of those kinds, always the same: its
 * time says no more than that of a known one.
 *
 * Storage: decoys → Decoys, made with the mount.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { decoyOf, kindOf, type StoredPassword, usualKind } from './passwords.ts'

interface Decoys {
  /** Base64; without it the kind of an unknown name could be foretold. */
  key: string
  /** Kinds of hashes that users of this mount have, or had. */
  kinds: string[]
}

const KEY = 'decoys'
const KEY_BYTES = 32

export async function makeDecoys(storage: Storage): Promise<void> {
  if (await storage.getShared<Decoys>(KEY)) return
  const fresh: Decoys = { key: randomBytes(KEY_BYTES).toString('base64'), kinds: [usualKind] }
  await storage.update<Decoys>(KEY, (decoys) => decoys ?? fresh)
}

export async function decoyFor(storage: Storage, name: string): Promise<StoredPassword> {
  const decoys = await storage.getShared<Decoys>(KEY)
  if (!decoys) throw new ApiError('internal', 'internal error', { reason: 'the mount has no decoys' })
  const number = createHmac('sha256', Buffer.from(decoys.key, 'base64')).update(name).digest().readUInt32BE()
  return decoyOf(decoys.kinds[number % decoys.kinds.length]!)
}

/** In the transaction that gives a user this hash. There are a dozen kinds at most. */
export async function noteKind(transaction: StorageTransaction, password: StoredPassword): Promise<void> {
  const kind = kindOf(password)
  if (kind === usualKind) return
  const decoys = await transaction.get<Decoys>(KEY)
  if (decoys && !decoys.kinds.includes(kind)) {
    transaction.put<Decoys>(KEY, { ...decoys, kinds: [...decoys.kinds, kind] })
  }
}
