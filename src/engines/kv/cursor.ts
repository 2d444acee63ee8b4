/**
 * Where a search goes on: opaque to callers, since the place where it stopped may be a name that they must not see. Sealed with
 * a key of the mount (AES-256-GCM), so that no cursor can be made or read outside.
 *
 * Storage: cursor-key → CursorKey, made when the first cursor is.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'

interface CursorKey {
  /** Base64. */
  key: string
}

const KEY = 'cursor-key'
const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/** @param purpose  cursors of one listing mean nothing to another */
export async function sealCursor(storage: Storage, purpose: string, place: string): Promise<string> {
  if (!(await storage.getShared<CursorKey>(KEY))) {
    const fresh: CursorKey = { key: randomBytes(KEY_BYTES).toString('base64') }
    await storage.update<CursorKey>(KEY, (there) => there ?? fresh)
  }
  const key = (await storage.getShared<CursorKey>(KEY))!
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv(CIPHER, Buffer.from(key.key, 'base64'), iv)
  cipher.setAAD(Buffer.from(purpose))
  const sealed = Buffer.concat([iv, cipher.update(place, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return sealed.toString('base64url')
}

/** @throws ApiError `invalid_request` for what this mount did not give out for this purpose */
export async function openCursor(storage: Storage, purpose: string, text: string): Promise<string> {
  const key = await storage.getShared<CursorKey>(KEY)
  const sealed = Buffer.from(text, 'base64url')
  if (!key || sealed.length < IV_BYTES + TAG_BYTES) throw refused()
  const decipher = createDecipheriv(CIPHER, Buffer.from(key.key, 'base64'), sealed.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(purpose)).setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return decipher.update(sealed.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    throw refused()
  }
}

function refused(): ApiError {
  return new ApiError('invalid_request', '"after" is none that this listing gave as "next"')
}
