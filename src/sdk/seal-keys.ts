/** Changing the keys of the seal, and making a root token, with the shares of those who hold the keys. */

/** What a new set of shares shall be. */
export interface RekeyOptions {
  shares: number
  threshold: number
  /** Base64 of public PGP keys, one for each share; empty: shares are told as they are. */
  pgpKeys: readonly string[]
  /** Keep the encrypted shares in the store, beside what they open. */
  backup: boolean
  /** The new shares become the keys only when enough of them were given back. */
  requireVerification: boolean
}

/** As `sys/rekey/init` tells it. */
export interface RekeyStatus {
  /** Empty when nothing is under way. */
  nonce: string
  started: boolean
  threshold: number
  shares: number
  progress: number
  /** Shares of the present key that are needed. */
  required: number
  pgpFingerprints: readonly string[] | undefined
  backup: boolean
  verificationRequired: boolean
  /** Only while new shares wait to be given back. */
  verificationNonce: string | undefined
}

export interface RekeyResult {
  nonce: string
  /** The new shares, or PGP messages with their hex text; none where the server unseals itself. The caller wipes them. */
  keys: Uint8Array[]
  pgpFingerprints: readonly string[] | undefined
  backup: boolean
  verificationRequired: boolean
  verificationNonce: string | undefined
}

export interface VerificationStatus {
  nonce: string
  started: boolean
  threshold: number
  shares: number
  progress: number
}

/** PGP fingerprint → the messages for that key, in hex: a key may be given more than once. */
export interface KeyBackup {
  nonce: string
  keys: Record<string, string[]>
}

/** One rekey at a time for each set of shares. Every refusal is an ApiError with the text of the Vault API. */
export interface Rekeying {
  status(): RekeyStatus
  /** @returns the new shares at once where there is no key yet that could be asked for */
  start(options: RekeyOptions): Promise<RekeyResult | undefined>
  /** @param nonce  of the rekey to cancel; empty: whichever is under way */
  cancel(nonce: string): Promise<void>
  /** @returns the new shares when this was the last one needed */
  submit(share: Uint8Array, nonce: string): Promise<RekeyResult | undefined>
  verification(): VerificationStatus
  restartVerification(): Promise<VerificationStatus>
  /** @returns undefined as long as more are needed; `complete` says whether they were the right ones */
  verify(share: Uint8Array, nonce: string): Promise<{ nonce: string; complete: boolean } | undefined>
  readBackup(): Promise<KeyBackup | undefined>
  deleteBackup(): Promise<void>
}

export interface RootGenerationStatus {
  nonce: string
  started: boolean
  progress: number
  required: number
  pgpFingerprint: string
}

export interface RootGenerated {
  nonce: string
  progress: number
  required: number
  pgpFingerprint: string
  /** Only when this share was the last one needed. */
  encodedToken: string
}

/** Makes the token: its text, encoded before it exists, so that none exists that could not be told. */
export type IssueRoot = (how: {
  /** Undefined: as tokens are here. */
  length: number | undefined
  encode: (text: string) => Promise<string>
}) => Promise<string>

export interface RootGeneration {
  status(): RootGenerationStatus
  /** One of the two is given. */
  start(options: { otp: string; pgpKey: string }): Promise<void>
  cancel(): Promise<void>
  submit(share: Uint8Array, nonce: string, issue: IssueRoot): Promise<RootGenerated>
}

/** What the seal lends to `sys/`. */
export interface SealKeys {
  barrier: Rekeying
  /** @throws ApiError `invalid_request` where people unseal the server: then there are no recovery keys */
  recovery(): Rekeying
  rootGeneration: RootGeneration
  /** A new root key under the same shares. */
  rotateRootKey(): Promise<void>
}
