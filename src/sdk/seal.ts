/** What the seal is to the rest of the system, and what a way of unsealing without people has to offer. */
import type { ApiError } from './errors.ts'

/** As `sys/seal-status` and `sys/unseal` tell it; version, cluster and storage type are added by whoever answers. */
export interface SealStatus {
  /** `shamir`, or the kind of auto-unseal. */
  type: string
  initialized: boolean
  sealed: boolean
  /** `t`: shares needed. With auto-unseal these three speak of the recovery key. 0 before initialization. */
  threshold: number
  /** `n`: shares made. */
  shares: number
  /** Shares of the attempt under way. */
  progress: number
  /** Names the attempt under way; empty when there is none. */
  nonce: string
  /** A change from one type of seal to another is under way. */
  migration: boolean
  /** Shares are recovery shares, since the server unseals itself. */
  recoverySeal: boolean
}

/** What `sys/init` asks for. 0 stands for "not given", as on the wire. */
export interface InitOptions {
  shares: number
  threshold: number
  storedShares: number
  recoveryShares: number
  recoveryThreshold: number
  /** Base64 of public PGP keys, one for each share, in their order. None: shares are told as they are. */
  pgpKeys?: readonly string[] | undefined
  recoveryPgpKeys?: readonly string[] | undefined
  /** The first token is encrypted to this one. */
  rootTokenPgpKey?: string | undefined
}

export interface InitResult {
  /**
   * Unseal shares, or PGP messages with their hex text; none with auto-unseal. The caller wipes them once they are
   * delivered.
   */
  shares: Uint8Array[]
  recoveryShares: Uint8Array[]
}

/** The key new entries are encrypted with, as `sys/key-status` tells it. */
export interface KeyStatus {
  term: number
  installedAt: Date
  /** Never lower than what was really encrypted under this term. */
  encryptions: number
}

/** When a term is replaced without anybody asking (`sys/rotate/config`). */
export interface RotationPolicy {
  enabled: boolean
  maxOperations: number
  /** 0: age does not matter. */
  intervalSeconds: number
}

/** A root key under somebody else's key, e.g. that of a cloud's key service. */
export interface WrappedKey {
  /** Of the key and its version. A root key whose identifier is not the one that `wrap` gives now is wrapped again. */
  keyId: string
  bytes: Uint8Array
}

/**
 * One configured way of unsealing without people. Both calls may ask somebody else, so both have a time limit of their own.
 *
 * @throws ApiError  `upstream_failed` when whoever has the key cannot be asked, or refuses: it may be tried again;
 *                   `invalid_request` when trying again cannot help. The message names no host, file or secret, since
 *                   anybody may read it; the reason names hosts and files, and never a secret
 */
export interface AutoUnseal {
  /** @param key  at most 64 bytes */
  wrap(key: Uint8Array): Promise<WrappedKey>
  /** The caller wipes the result. */
  unwrap(wrapped: WrappedKey): Promise<Uint8Array>
  /** What will keep it from working before long, though it works now; told in the log and in the server's health. */
  trouble?(): ApiError | undefined
  /** Lets go of timers, connections and threads. */
  close?(): Promise<void>
}

/** A kind of seal in the configuration file: `seal "<name>" { options }`. */
export interface AutoUnsealKind {
  name: string
  /**
   * Looks at the options and asks nobody yet.
   *
   * @param purpose  `look`: only to see whether it works, so that nothing is made for want of it
   * @throws ApiError `invalid_request` for options that cannot be used
   */
  open(options: Readonly<Record<string, string>>, purpose?: 'look'): Promise<AutoUnseal>
}
