/** The shares of a key as they are handed out: plain, or each encrypted to the PGP key of its holder. */
import { encryptEach, type PgpKey } from './pgp/keys.ts'
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
  const texts = plain.map((share) => Buffer.from(Buffer.from(share).toString('hex')))
  try {
    return await encryptEach(pgp, texts)
  } finally {
    for (const each of [...plain, ...texts]) each.fill(0)
  }
}
