/** What the server asks of program.ts, and what it answers: one line of JSON each way. */

export interface TokenRequest {
  library: string
  /** Decimal. Given, or else the token's label is. */
  slot?: string | undefined
  tokenLabel?: string | undefined
  pin: string
  action: 'wrap' | 'unwrap'
  key: KeyName
  /** Make an AES key if there is none of this name. */
  generate: boolean
  oaepHash: OaepHash
  /** Base64. */
  data: string
}

export interface KeyName {
  label?: string | undefined
  /** Hex. */
  id?: string | undefined
  /** Left out: what the key is good for. */
  mechanism?: MechanismName | undefined
}

export type MechanismName = 'AES_GCM' | 'RSA_PKCS_OAEP'
export type OaepHash = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512'

export type TokenReply =
  | { ok: true; key: KeyName; data: string }
  /** `call` is undefined when it is not the token that refused. */
  | { ok: false; call?: string; result: string }

/** More than any request or reply has. */
export const MAX_MESSAGE_BYTES = 64 * 1024
