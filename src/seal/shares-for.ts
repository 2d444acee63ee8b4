/** The shares of a key as they are handed out: plain, or each encrypted to the PGP key of its holder. */
import type { PgpKey } from './pgp/keys.ts'
import { splitKey } from './shamir/shares.ts'

/**
 * @param pgp  none, or one for each share: then a share is a message with its hex text, as the Vault API has it
 * @returns what the caller hands out and wipes
 */
export async function sharesFor(
  pgp: readonly PgpKey[],
  key: Uint8Array,
  shares: number,
  threshold: number,
): Promise<Uint8Array[]> {
  const plain = await splitKey(key, shares, threshold)
  if (pgp.length === 0) return plain
  const messages: Uint8Array[] = []
  try {
    for (const [at, share] of plain.entries()) {
      const hex = Buffer.from(Buffer.from(share).toString('hex'))
      messages.push(await pgp[at]!.encrypt(hex))
      hex.fill(0)
    }
    return messages
  } finally {
    for (const share of plain) share.fill(0)
  }
}
