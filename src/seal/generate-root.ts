/** A new root token for those who hold enough shares: told encrypted, so that who starts it need not be one of them. */
import { ApiError } from '#sdk/errors.ts'
import type { IssueRoot, RootGenerated, RootGeneration, RootGenerationStatus } from '#sdk/seal-keys.ts'
import { checkShare } from './by-shares.ts'
import { Gathering } from './gathering.ts'
import { type OpenSeal, prove, requiredShares } from './open-seal.ts'
import { encryptEach, type PgpKey, readPgpKeys } from './pgp/keys.ts'

interface Attempt {
  gathering: Gathering
  /** One of the two: a one-time pad as long as the token, or whom to encrypt it to. */
  otp: Buffer
  pgp: PgpKey | undefined
}

export class GenerateRoot implements RootGeneration {
  readonly #seal: OpenSeal
  #attempt: Attempt | undefined

  constructor(seal: OpenSeal) {
    this.#seal = seal
  }

  status(): RootGenerationStatus {
    const required = requiredShares(this.#seal)
    const attempt = this.#attempt
    return {
      nonce: attempt?.gathering.nonce ?? '',
      started: attempt !== undefined,
      progress: attempt?.gathering.count ?? 0,
      required,
      pgpFingerprint: attempt?.pgp?.fingerprint ?? '',
    }
  }

  async start({ otp, pgpKey }: { otp: string; pgpKey: string }): Promise<void> {
    const check = () => {
      if (requiredShares(this.#seal) === 0) throw refused('no recovery keys are configured: nobody could consent')
      if (this.#attempt) throw refused('root generation already in progress')
    }
    if (otp === '' && pgpKey === '') throw refused('otp or pgp_key parameter must be provided')
    check()
    // Not in turn with all others: it may take long, and people may want to unseal meanwhile.
    const [pgp] = otp === '' ? await readPgpKeys([pgpKey]) : []
    await this.#seal.exclusive(async () => {
      check()
      this.#attempt = { gathering: new Gathering(), otp: Buffer.from(otp), pgp }
    })
  }

  async cancel(): Promise<void> {
    await this.#seal.exclusive(async () => {
      this.#seal.ring()
      this.forget()
    })
  }

  async submit(share: Uint8Array, nonce: string, issue: IssueRoot): Promise<RootGenerated> {
    return await this.#seal.exclusive(async () => {
      const required = requiredShares(this.#seal)
      checkShare(share)
      const attempt = this.#attempt
      if (!attempt) throw refused('no root generation in progress')
      const { gathering, pgp } = attempt
      if (nonce !== gathering.nonce) {
        throw refused(
          `incorrect nonce supplied; nonce for this root generation operation is ${JSON.stringify(gathering.nonce)}`,
        )
      }
      if (!gathering.add(share)) throw refused('given key has already been provided during this generation operation')
      const told = { nonce, required, pgpFingerprint: pgp?.fingerprint ?? '' }
      if (gathering.count < required) return { ...told, progress: gathering.count, encodedToken: '' }
      const encodedToken = await this.#issue(attempt, issue)
      this.forget()
      return { ...told, progress: required, encodedToken }
    })
  }

  /** On seal, and at the end. Wipes what is in memory. */
  forget(): void {
    this.#attempt?.gathering.clear()
    this.#attempt?.otp.fill(0)
    this.#attempt = undefined
  }

  async #issue({ gathering, otp, pgp }: Attempt, issue: IssueRoot): Promise<string> {
    try {
      await prove(this.#seal, gathering.shares)
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'invalid_request') throw error
      throw refused(`root generation aborted: ${error.message}`)
    } finally {
      gathering.clear()
    }
    return await issue({
      length: pgp ? undefined : otp.length,
      encode: async (text) => (pgp ? await encrypted(pgp, text) : padded(text, otp)),
    })
  }
}

async function encrypted(pgp: PgpKey, text: string): Promise<string> {
  const [message] = await encryptEach([pgp], [Buffer.from(text)])
  return Buffer.from(message!).toString('base64')
}

/** Each byte of the token with the one of the pad at its place; base64 without padding. */
function padded(text: string, otp: Buffer): string {
  const bytes = Buffer.from(text)
  if (bytes.length !== otp.length) throw new ApiError('internal', 'internal error', { reason: 'pad of another length' })
  return Buffer.from(bytes.map((byte, at) => byte ^ otp[at]!))
    .toString('base64')
    .replace(/=+$/, '')
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
