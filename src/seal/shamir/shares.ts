/**
 * Splitting a key into shares and joining them again (Shamir's scheme over GF(2^8), one polynomial for each byte). A share
 * of a 32-byte key has 33 bytes, the last one being its x coordinate: the same as Vault's.
 */
import { combine, split } from 'shamir-secret-sharing'

/** Limits that the scheme itself sets: x coordinates are bytes other than 0. */
export const MAX_SHARES = 255

/** Shares for a key; one share of a threshold of one is the key itself. The caller wipes the result. */
export async function splitKey(key: Uint8Array, shares: number, threshold: number): Promise<Uint8Array[]> {
  if (shares === 1) return [Uint8Array.from(key)]
  // The package accepts plain arrays of bytes only, not Node's Buffer.
  const plain = Uint8Array.from(key)
  try {
    return await split(plain, shares, threshold)
  } finally {
    plain.fill(0)
  }
}

export type Joined = { ok: true; key: Uint8Array } | { ok: false; message: string }

/**
 * The key that these shares are of, if they belong together; of shares that do not, some other key. Only what the key
 * opens can tell. The caller wipes the result.
 *
 * @param shares  as many as the threshold says; the messages are those of the Vault API
 */
export async function joinShares(shares: readonly Uint8Array[]): Promise<Joined> {
  if (shares.length === 1) return { ok: true, key: Uint8Array.from(shares[0]!) }
  if (shares.some((share) => share.length !== shares[0]!.length)) return bad('all parts must be the same length')
  if (new Set(shares.map((share) => share.at(-1))).size < shares.length) return bad('duplicate part detected')
  const plain = shares.map((share) => Uint8Array.from(share))
  try {
    return { ok: true, key: await combine(plain) }
  } finally {
    for (const share of plain) share.fill(0)
  }
}

function bad(message: string): Joined {
  return { ok: false, message }
}
