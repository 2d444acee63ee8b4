/** One change of a secret that is there, with nobody else on it. */
import type { Mount } from '#sdk/engine.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { secretKey } from './paths.ts'
import { type SecretEntry, type Stored, asSecret, packed } from './secret.ts'

/**
 * Does nothing when there is no such secret.
 *
 * @param change  returns the new entry, or undefined to leave it; may run more than once
 */
export async function changeSecret(
  mount: Mount,
  secretPath: string,
  change: (secret: SecretEntry, nowMs: number, transaction: StorageTransaction) => SecretEntry | undefined,
): Promise<void> {
  const key = secretKey(secretPath)
  await mount.storage.transact(async (transaction) => {
    const stored = await transaction.get<Stored>(key)
    if (!stored) return
    const next = change(asSecret(stored), mount.clock.now().getTime(), transaction)
    if (next) transaction.put(key, packed(next))
  })
}
