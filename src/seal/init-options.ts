/** What `sys/init` may ask for, with the texts of the Vault API for what it may not. */
import { ApiError } from '#sdk/errors.ts'
import type { InitOptions } from '#sdk/seal.ts'
import { MAX_SHARES } from './shamir/shares.ts'

/**
 * @param automatic  the server unseals itself: then shares are those of a recovery key, or there are none
 * @throws ApiError `invalid_request`
 */
export function checkInitOptions(type: string, automatic: boolean, options: InitOptions): void {
  const { shares, threshold, storedShares, recoveryShares, recoveryThreshold } = options
  const alien = automatic
    ? { secret_shares: shares, secret_threshold: threshold }
    : { recovery_shares: recoveryShares, recovery_threshold: recoveryThreshold }
  const alienKeys = automatic ? { pgp_keys: options.pgpKeys } : { recovery_pgp_keys: options.recoveryPgpKeys }
  for (const [name, keys] of Object.entries(alienKeys)) {
    if (keys?.length) throw refused(`parameters ${name} not applicable to seal type ${type}`)
  }
  const given = Object.entries(alien).filter(([, value]) => value !== 0)
  if (given.length > 0) {
    throw refused(`parameters ${given.map(([name]) => name).join(',')} not applicable to seal type ${type}`)
  }
  if (automatic) {
    if (recoveryShares === 0 && recoveryThreshold === 0) return
    const problem =
      shareProblem(recoveryShares, recoveryThreshold) ?? pgpProblem(recoveryShares, options.recoveryPgpKeys)
    if (problem !== undefined) throw refused(`invalid recovery configuration: ${problem}`)
    return
  }
  const problem =
    shareProblem(shares, threshold) ??
    (storedShares > 1 ? 'stored keys cannot be larger than 1' : undefined) ??
    pgpProblem(shares, options.pgpKeys)
  if (problem !== undefined) throw refused(`invalid seal configuration: ${problem}`)
}

/** Why a key cannot be split like this; undefined if it can. */
export function shareProblem(shares: number, threshold: number): string | undefined {
  if (!(shares >= 1)) return 'shares must be at least one'
  if (!(threshold >= 1)) return 'threshold must be at least one'
  if (shares > 1 && threshold === 1) return 'threshold must be greater than one for multiple shares'
  if (shares > MAX_SHARES) return `shares must be less than ${MAX_SHARES + 1}`
  if (threshold > MAX_SHARES) return `threshold must be less than ${MAX_SHARES + 1}`
  if (threshold > shares) return 'threshold cannot be larger than shares'
  return Number.isInteger(shares) && Number.isInteger(threshold)
    ? undefined
    : 'shares and threshold must be whole numbers'
}

/** Checked before a key is looked at, so that nobody sends more of them than there are shares. */
export function pgpProblem(shares: number, keys: readonly string[] | undefined): string | undefined {
  return keys?.length && keys.length !== shares
    ? 'count mismatch between number of provided PGP keys and number of shares'
    : undefined
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
