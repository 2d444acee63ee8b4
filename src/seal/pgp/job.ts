/** What the thread for PGP keys is asked, and what it answers. */

export interface Job {
  /** Base64 of binary public keys. */
  keys: readonly string[]
  /** What to encrypt to the key at the same place. */
  plains: readonly Uint8Array[]
}

export type Outcome =
  | { ok: true; fingerprints: string[]; messages: Uint8Array[] }
  /** `message` is for the client, `reason` for the audit; neither ever holds what is to be encrypted. */
  | { ok: false; message: string; reason?: string }
