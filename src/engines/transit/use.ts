/** Whether a key may be used. Pure. */
import { type KeyEntry, refuse } from './key.ts'

/** @throws ApiError `invalid_request` with `missing` when there is none, or since it was put away */
export function usable(key: Readonly<KeyEntry> | undefined, missing: string): Readonly<KeyEntry> {
  if (!key) refuse(missing)
  if (key.soft_deleted) refuse('key is soft deleted: restore it before it can be used')
  return key
}
