/**
 * Every refusal the system can answer with. A code is public and stable: docs/errors.md explains it and
 * http/errors.ts gives it a status. Texts that clients of the Vault API match on are part of the API.
 */
export const errorCodes = [
  'invalid_request',
  'permission_denied',
  'not_found',
  'unsupported_operation',
  'precondition_failed',
  'too_large',
  'too_many_requests',
  'internal',
  'storage_failed',
  'audit_failed',
  'upstream_failed',
  'sealed',
] as const

export type ErrorCode = (typeof errorCodes)[number]

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  /** Why, in full, for the audit log. Never sent to the client: it may name paths or policies. */
  readonly reason: string | undefined
  /**
   * A log-in was refused for what it showed, not for where it came from or how it was put: it counts towards the lock-out
   * of the name. `unknown` names count as the known ones do, so that nobody can tell them apart.
   */
  readonly failedLogin: 'known' | 'unknown' | undefined
  /** Refused so early, and so often, that recording it would help whoever floods the server. */
  readonly unrecorded: boolean
  /** Header lines of the answer, set where it is known what they say. */
  headers: Readonly<Record<string, string>> | undefined

  /** @param message  what the client reads; an empty one answers `{"errors":[]}`, as for an entry that is not there */
  constructor(
    code: ErrorCode,
    message: string,
    options: { reason?: string; cause?: unknown; failedLogin?: 'known' | 'unknown'; unrecorded?: boolean } = {},
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.reason = options.reason
    this.failedLogin = options.failedLogin
    this.unrecorded = options.unrecorded ?? false
  }
}

/** The value, or a refusal with code `not_found`. Without a message the answer is an empty list of errors. */
export function found<T>(value: T | undefined, message = ''): T {
  if (value === undefined) throw new ApiError('not_found', message)
  return value
}

/** The text the Vault API wraps around a single error of some handlers. Clients match on it. */
export function oneError(message: string): string {
  return `1 error occurred:\n\t* ${message}\n\n`
}
