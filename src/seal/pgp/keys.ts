/**
 * Public keys of OpenPGP (RFC 9580) that shares and tokens are encrypted to, so that nobody but the holder ever sees them:
 * not the one who starts the server, and not who reads his terminal.
 *
 * A message is binary and written for the software of the key's holder: what a key does not say it understands is not used.
 */
import type { Key } from 'openpgp'
import { ApiError } from '#sdk/errors.ts'

/** One key with its signatures; keys with portraits in them are larger, and of no use here. */
export const MAX_PGP_KEY_BYTES = 256 * 1024

export interface PgpKey {
  /** Of the primary key, hex in small letters. */
  fingerprint: string
  /** @throws ApiError `invalid_request` for a key that cannot encrypt: expired, revoked, too weak, or only for signing */
  encrypt(plain: Uint8Array): Promise<Uint8Array>
}

/**
 * @param texts  base64 of the binary key, as the API has it
 * @throws ApiError `invalid_request`: for the first one that is no public key, or cannot encrypt
 */
export async function readPgpKeys(texts: readonly string[]): Promise<PgpKey[]> {
  const keys: PgpKey[] = []
  for (const text of texts) keys.push(await readPgpKey(text))
  return keys
}

async function readPgpKey(text: string): Promise<PgpKey> {
  const compact = text.replace(/\s+/g, '')
  if (compact.length > (MAX_PGP_KEY_BYTES / 3) * 4) {
    throw refused(`error parsing given PGP key: it has more than ${MAX_PGP_KEY_BYTES} bytes`)
  }
  if (compact === '' || compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) {
    throw refused('error decoding given PGP key: it is not base64')
  }
  // Loaded only here: most servers never see a PGP key, and the library is large.
  const { readKey } = await import('openpgp')
  let key: Key
  try {
    key = await readKey({ binaryKey: Buffer.from(compact, 'base64') })
  } catch (error) {
    throw refused('error parsing given PGP key', error)
  }
  // Somebody who sends his private key by mistake learns so; it must not look as if that were the way.
  if (key.isPrivate()) throw refused('error parsing given PGP key: it is a private key; only the public one is needed')
  const usable: PgpKey = { fingerprint: key.getFingerprint().toLowerCase(), encrypt: (plain) => encryptTo(key, plain) }
  // Tried now: once keys were made and split, a key that cannot be used would cost them.
  await usable.encrypt(new Uint8Array(1))
  return usable
}

async function encryptTo(key: Key, plain: Uint8Array): Promise<Uint8Array> {
  const { createMessage, encrypt } = await import('openpgp')
  try {
    const message = await createMessage({ binary: Uint8Array.from(plain) })
    return await encrypt({ message, encryptionKeys: key, format: 'binary' })
  } catch (error) {
    throw refused(`the PGP key ${key.getFingerprint()} cannot encrypt: ${reasonOf(error)}`, error)
  }
}

/** The library's own words about a public key; they never hold what is encrypted. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function refused(message: string, cause?: unknown): ApiError {
  const reason = cause instanceof Error ? { reason: cause.message, cause } : {}
  return new ApiError('invalid_request', message, reason)
}
