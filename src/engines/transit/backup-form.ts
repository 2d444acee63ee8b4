/** A key with all its versions as one text, in the form that the servers of this API exchange: what both sides need. */
import type { KeyEntry, VersionEntry } from './key.ts'

export interface Backup {
  name: string
  key: KeyEntry
  /** Of the versions from the oldest on. */
  versions: VersionEntry[]
}

/** What the reference writes where it has no time. */
export const NO_TIME = '0001-01-01T00:00:00Z'
