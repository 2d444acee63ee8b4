/**
 * New shares for the key of the store (or for the recovery key), made with the consent of those who hold the present ones:
 *
 *     start → submit … submit → new shares, valid at once
 *                             → new shares → verify … verify → valid        with verification
 *
 * All of it lives in memory until the one transaction that makes the new shares valid. So a crash anywhere leaves the old
 * ones, or the new ones that were told.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { KeyBackup, Rekeying, RekeyOptions, RekeyResult, RekeyStatus, VerificationStatus } from '#sdk/seal-keys.ts'
import type { Transaction } from '#sdk/storage.ts'
import { checkShare } from './by-shares.ts'
import { Gathering } from './gathering.ts'
import { pgpProblem, shareProblem } from './init-options.ts'
import { type OpenSeal, prove, requiredShares } from './open-seal.ts'
import { type PgpKey, readPgpKeys } from './pgp/keys.ts'
import { KEY_BYTES } from './ring-data.ts'
import { joinShares } from './shamir/shares.ts'
import { sharesFor } from './shares-for.ts'
import { readBackup, writeBackup } from './stored.ts'

/** Which key is split anew. */
export interface Target {
  name: 'barrier' | 'recovery'
  backupEntry: string
  /** May change what was asked for. @throws ApiError for what this key cannot do */
  fit(options: RekeyOptions): RekeyOptions
  /** No shares come of it: the server unseals itself. */
  withoutShares: boolean
  /** Make it the key, in one transaction with what `also` writes. */
  install(key: Uint8Array, options: RekeyOptions, also: (transaction: Transaction) => void): Promise<void>
}

interface Attempt {
  options: RekeyOptions
  pgp: readonly PgpKey[]
  gathering: Gathering
  made: Made | undefined
}

/** New shares are told and wait to be given back. */
interface Made {
  key: Uint8Array
  backup: KeyBackup | undefined
  gathering: Gathering
}

export class Rekey implements Rekeying {
  readonly #seal: OpenSeal
  readonly #target: Target
  #attempt: Attempt | undefined

  constructor(seal: OpenSeal, target: Target) {
    this.#seal = seal
    this.#target = target
  }

  status(): RekeyStatus {
    const required = requiredShares(this.#seal)
    const attempt = this.#attempt
    return {
      nonce: attempt?.gathering.nonce ?? '',
      started: attempt !== undefined,
      threshold: attempt?.options.threshold ?? 0,
      shares: attempt?.options.shares ?? 0,
      progress: attempt?.gathering.count ?? 0,
      required,
      pgpFingerprints: attempt && fingerprints(attempt),
      backup: attempt?.options.backup ?? false,
      verificationRequired: attempt?.options.requireVerification ?? false,
      verificationNonce: attempt?.made?.gathering.nonce,
    }
  }

  async start(asked: RekeyOptions): Promise<RekeyResult | undefined> {
    const options = this.#fit(asked)
    // Not in turn with all others: it may take long, and people may want to unseal meanwhile.
    const pgp = await readPgpKeys(options.pgpKeys)
    return await this.#seal.exclusive(async () => {
      this.#fit(asked)
      const attempt = { options, pgp, gathering: new Gathering(), made: undefined }
      // Nobody could be asked for what does not exist yet.
      if (requiredShares(this.#seal) === 0) return await this.#makeShares(attempt)
      this.#attempt = attempt
      return undefined
    })
  }

  /** What will be done of what was asked. @throws ApiError if nothing can be begun now */
  #fit(asked: RekeyOptions): RekeyOptions {
    const required = requiredShares(this.#seal)
    if (this.#attempt) throw refused('rekey already in progress')
    const options = this.#target.fit(asked)
    checkOptions(options)
    if (required === 0 && this.#target.name === 'barrier') {
      throw refused('no recovery keys are configured: rotate the root key with sys/rotate/root, or make recovery keys')
    }
    return options
  }

  async cancel(nonce: string): Promise<void> {
    await this.#seal.exclusive(async () => {
      this.#seal.ring()
      const attempt = this.#attempt
      if (attempt && nonce !== '' && nonce !== attempt.gathering.nonce) throw wrongNonce('rekey', attempt.gathering)
      this.forget()
    })
  }

  async submit(share: Uint8Array, nonce: string): Promise<RekeyResult | undefined> {
    return await this.#seal.exclusive(async () => {
      const required = requiredShares(this.#seal)
      checkShare(share)
      const attempt = this.#attempt
      if (!attempt) throw refused(`no ${this.#target.name} rekey in progress`)
      const { gathering, made } = attempt
      if (made) {
        throw refused(
          `rekey operation already finished; verification must be performed; nonce for the verification operation is ${JSON.stringify(made.gathering.nonce)}`,
        )
      }
      if (nonce !== gathering.nonce) throw wrongNonce('rekey', gathering)
      if (!gathering.add(share)) throw refused('given key has already been provided during this generation operation')
      if (gathering.count < required) return undefined
      try {
        await prove(this.#seal, gathering.shares)
        return await this.#makeShares(attempt)
      } finally {
        gathering.clear()
      }
    })
  }

  verification(): VerificationStatus {
    this.#seal.ring()
    const attempt = this.#attempt
    if (!attempt) throw refused('no rekey configuration found')
    const { options, made } = attempt
    return {
      nonce: made?.gathering.nonce ?? '',
      started: made !== undefined,
      threshold: options.threshold,
      shares: options.shares,
      progress: made?.gathering.count ?? 0,
    }
  }

  async restartVerification(): Promise<VerificationStatus> {
    return await this.#seal.exclusive(async () => {
      restart(this.#made().made)
      return this.verification()
    })
  }

  async verify(share: Uint8Array, nonce: string): Promise<{ nonce: string; complete: boolean } | undefined> {
    return await this.#seal.exclusive(async () => {
      const { options, made } = this.#made()
      checkShare(share)
      const { gathering } = made
      if (nonce !== gathering.nonce) throw wrongNonce('verify', gathering)
      if (!gathering.add(share)) throw refused('given key has already been provided during this verify operation')
      if (gathering.count < options.threshold) return undefined
      if (!(await makes(gathering.shares, made.key))) {
        restart(made)
        return { nonce: made.gathering.nonce, complete: false }
      }
      try {
        await this.#install(made, options)
      } catch (error) {
        restart(made)
        throw error
      }
      this.forget()
      return { nonce: gathering.nonce, complete: true }
    })
  }

  async readBackup(): Promise<KeyBackup | undefined> {
    // Of shares that wait to be given back, so that they can be, even if the answer that told them was lost.
    return this.#attempt?.made?.backup ?? (await readBackup(this.#seal.driver, this.#target.backupEntry))
  }

  async deleteBackup(): Promise<void> {
    await this.#seal.driver.transact(async (transaction) => transaction.delete(this.#target.backupEntry))
  }

  /** On seal, and at the end. Wipes what is in memory. */
  forget(): void {
    this.#attempt?.gathering.clear()
    this.#attempt?.made?.gathering.clear()
    this.#attempt?.made?.key.fill(0)
    this.#attempt = undefined
  }

  #made(): { options: RekeyOptions; made: Made } {
    this.#seal.ring()
    if (!this.#attempt) throw refused('no rekey in progress')
    const { options, made } = this.#attempt
    if (!made) throw refused('no rekey verification in progress')
    return { options, made }
  }

  async #makeShares(attempt: Attempt): Promise<RekeyResult> {
    const { options, pgp, gathering } = attempt
    const key = randomBytes(KEY_BYTES)
    const keys = this.#target.withoutShares ? [] : await sharesFor(pgp, key, options.shares, options.threshold)
    const made: Made = { key, backup: backupOf(attempt, keys), gathering: new Gathering() }
    try {
      // Sealed meanwhile: then nothing of this may be there when it is opened again.
      this.#seal.ring()
      if (!options.requireVerification) await this.#install(made, options)
    } catch (error) {
      for (const each of [key, ...keys]) each.fill(0)
      throw error
    }
    if (options.requireVerification) {
      attempt.made = made
      this.#attempt = attempt
    } else {
      key.fill(0)
      this.forget()
    }
    return {
      nonce: gathering.nonce,
      keys,
      pgpFingerprints: fingerprints(attempt),
      backup: options.backup,
      verificationRequired: options.requireVerification,
      verificationNonce: attempt.made?.gathering.nonce,
    }
  }

  async #install({ key, backup }: Made, options: RekeyOptions): Promise<void> {
    const { backupEntry } = this.#target
    await this.#target.install(key, options, (transaction) => {
      if (backup) writeBackup(transaction, backupEntry, backup)
    })
  }
}

function checkOptions({ shares, threshold, pgpKeys, backup }: RekeyOptions): void {
  if (backup && pgpKeys.length === 0) {
    throw refused('cannot request a backup of the new keys without providing PGP keys for encryption')
  }
  if (pgpProblem(shares, pgpKeys) !== undefined) throw refused('incorrect number of PGP keys for rekey')
  const problem = shareProblem(shares, threshold)
  if (problem !== undefined) throw refused(`invalid rekey seal configuration: ${problem}`)
}

/** Whether these shares make that key. */
async function makes(shares: readonly Uint8Array[], key: Uint8Array): Promise<boolean> {
  const joined = await joinShares(shares)
  if (!joined.ok) return false
  try {
    return joined.key.length === key.length && timingSafeEqual(joined.key, key)
  } finally {
    joined.key.fill(0)
  }
}

function restart(made: Made): void {
  made.gathering.clear()
  made.gathering = new Gathering()
}

function fingerprints({ pgp }: Attempt): string[] | undefined {
  return pgp.length === 0 ? undefined : pgp.map(({ fingerprint }) => fingerprint)
}

function backupOf({ options, pgp, gathering }: Attempt, messages: readonly Uint8Array[]): KeyBackup | undefined {
  if (!options.backup) return undefined
  const keys: Record<string, string[]> = {}
  for (const [at, { fingerprint }] of pgp.entries()) {
    ;(keys[fingerprint] ??= []).push(Buffer.from(messages[at]!).toString('hex'))
  }
  return { nonce: gathering.nonce, keys }
}

function wrongNonce(what: string, { nonce }: Gathering): ApiError {
  return refused(`incorrect nonce supplied; nonce for this ${what} operation is ${JSON.stringify(nonce)}`)
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
