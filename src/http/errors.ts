/** The only place where an error meets an HTTP status. */
import { ApiError, type ErrorCode } from '#sdk/errors.ts'

const statusOf: Record<ErrorCode, number> = {
  invalid_request: 400,
  permission_denied: 403,
  not_found: 404,
  unsupported_operation: 405,
  precondition_failed: 412,
  too_large: 413,
  too_many_requests: 429,
  internal: 500,
  storage_failed: 500,
  audit_failed: 500,
  upstream_failed: 502,
  sealed: 503,
}

export interface HttpError {
  status: number
  /** JSON as it goes out, with the line break at its end. */
  body: string
}

/** What a client reads of an error. Anything but an ApiError says no more than that something went wrong. */
export function toHttp(error: unknown): HttpError {
  if (error instanceof ApiError) return { status: statusOf[error.code], body: errorBody(error.message) }
  return { status: statusOf.internal, body: errorBody('internal error') }
}

/** `{"errors":["…"]}`; an empty message gives an empty list, as for an entry that is not there. */
export function errorBody(message: string): string {
  return message === '' ? '{"errors":[]}\n' : `{"errors":[${JSON.stringify(message)}]}\n`
}

/** Refusals that belong to HTTP itself and that no other room can cause. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
