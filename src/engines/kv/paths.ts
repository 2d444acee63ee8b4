/** From the path of a secret to its keys in storage, and which paths a secret may have. Pure. */
import { ApiError } from '#sdk/errors.ts'
import type { Field } from '#sdk/schema.ts'

/** Storage keys have at most 1,024 bytes; the rest is for what stands before the path and for the version after it. */
export const MAX_PATH_BYTES = 896

export const path = { type: 'string', about: 'Path of the secret.', required: true } as const satisfies Field
export const folderPath = {
  type: 'string',
  about: 'Path of the folder; empty for the top.',
  default: '',
} as const satisfies Field

/** Where the entry of a secret lies, of either version of the engine. */
export function secretKey(secretPath: string): string {
  return `secret/${checked(secretPath)}`
}

/** Where the data of a version lies that is not the current one. */
export function versionKey(secretPath: string, version: number): string {
  return `version/${checked(secretPath)}/${version}`
}

/** Below which prefix the entries lie that a listing at this path means. */
export function listingPrefix(folder: string): string {
  return `secret/${folder === '' ? '' : checked(folder)}`
}

function checked(given: string): string {
  if (Buffer.byteLength(given) > MAX_PATH_BYTES) {
    throw new ApiError('invalid_request', `the path is too long: at most ${MAX_PATH_BYTES} bytes`)
  }
  if (given.includes('\0')) throw new ApiError('invalid_request', 'the path has a NUL character')
  return given
}
