/** Shares as the API writes and reads them: hex and base64. */
import { ApiError } from '#sdk/errors.ts'

/** The caller wipes the result. @throws ApiError `invalid_request` */
export function shareOf(text: string): Uint8Array {
  if (/^([0-9a-f]{2})+$/i.test(text)) return Buffer.from(text, 'hex')
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0) return Buffer.from(text, 'base64')
  throw new ApiError('invalid_request', `'key' must be a valid hex or base64 string`)
}

/** For paths that need one in each call: run `use` with it, and wipe it. */
export async function withShare<T>(text: string, use: (share: Uint8Array) => Promise<T>): Promise<T> {
  if (text === '') throw new ApiError('invalid_request', `'key' must be specified in request body as JSON`)
  const share = shareOf(text)
  try {
    return await use(share)
  } finally {
    share.fill(0)
  }
}

/** As replies tell them. */
export function textsOf(shares: readonly Uint8Array[]): { keys: string[]; keys_base64: string[] } {
  return {
    keys: shares.map((share) => toText(share, 'hex')),
    keys_base64: shares.map((share) => toText(share, 'base64')),
  }
}

function toText(bytes: Uint8Array, encoding: 'hex' | 'base64'): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding)
}
