/** Names: random ones of tokens and leases, and the ones that tokens have inside. */
import { createHmac, randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The largest multiple of 62 below 256. Bytes from there on are thrown away, since they would favour some letters. */
const FAIR = 248

/** @param length  letters, each worth 5.95 bits */
export function randomBase62(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length + 8)) {
      if (byte < FAIR && text.length < length) text += ALPHABET[byte % ALPHABET.length]
    }
  }
  return text
}

export const SERVICE_PREFIX = 'hvs.'
/** What tokens of old servers began with; still what an old client's one-time pad is as long as. */
const OLD_PREFIX = 's.'
/** 143 bits. */
const TOKEN_LETTERS = 24

/** Lengths a root token may have, and so a one-time pad for it. */
export const ROOT_TOKEN_LENGTHS = [SERVICE_PREFIX.length + TOKEN_LETTERS, OLD_PREFIX.length + TOKEN_LETTERS] as const

/** @param length  one of ROOT_TOKEN_LENGTHS */
export function newServiceToken(length: number = ROOT_TOKEN_LENGTHS[0]): string {
  return (length === ROOT_TOKEN_LENGTHS[0] ? SERVICE_PREFIX : OLD_PREFIX) + randomBase62(TOKEN_LETTERS)
}

const NAME_LETTERS = 24
const MAX_CUSTOM_ID_BYTES = 256

/**
 * The name of a token inside, and its accessor: a keyed hash of it in letters (HMAC-SHA256). A byte makes a letter though
 * some letters come more often so: that leaves more than 5.6 bits in each, 136 in all.
 */
export function tokenName(salt: Buffer, token: string): string {
  const hash = createHmac('sha256', salt).update(token).digest()
  let name = ''
  for (let at = 0; at < NAME_LETTERS; at++) name += ALPHABET[hash[at]! % ALPHABET.length]
  return name
}

export function isTokenName(text: string): boolean {
  return /^[0-9A-Za-z]{24}$/.test(text)
}

/** @throws ApiError `invalid_request` for what an operator may not name a token */
export function checkCustomId(id: string): void {
  if (id.startsWith('s.') || id.startsWith(SERVICE_PREFIX)) {
    throw new ApiError(
      'invalid_request',
      `custom token ID cannot have the '${id.startsWith('s.') ? 's.' : SERVICE_PREFIX}' prefix`,
    )
  }
  if (id.includes('.')) throw new ApiError('invalid_request', `custom token ID cannot have a '.' in the value`)
  if (id === '' || Buffer.byteLength(id) > MAX_CUSTOM_ID_BYTES) {
    throw new ApiError('invalid_request', `custom token ID must have 1 to ${MAX_CUSTOM_ID_BYTES} bytes`)
  }
}
