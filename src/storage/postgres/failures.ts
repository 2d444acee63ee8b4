/** What the database's errors mean. Texts name no host, user or statement: health tells them to anybody. */
import { ApiError } from '#sdk/errors.ts'

export const UNDEFINED_TABLE = '42P01'
export const NOT_NULL = '23502'
export const UNDEFINED_COLUMN = '42703'
/** Two that make the same table at once. */
const MADE_TWICE = new Set(['23505', '42P07', '42710'])
/** Serialization failure, deadlock, and what distributed databases call a restart. */
const AGAIN = new Set(['40001', '40P01', '40003', 'CR000'])
/** A server that stops, starts, cannot take more, was demoted, or ended our statement or connection. */
const GONE = /^(?:08...|57P0.|57014|53...|25006|25P0.|55P03)$/
const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|ENOENT|EACCES)/

const words: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'its name is not known',
  ETIMEDOUT: 'timed out',
  ENOENT: 'its socket is not there',
  '28P01': 'it refuses the password',
  '28000': 'it refuses the user',
  '3D000': 'it has no database of that name',
  '53100': 'its disk is full',
  '53300': 'it takes no more connections',
  '57P01': 'it is being stopped',
  '57P02': 'it has crashed',
  '57P03': 'it is starting',
  '57014': 'it takes too long',
  '55P03': 'another node holds the lock too long',
  '25006': 'it only reads',
  '42501': 'the user may not do that',
}

/** What no further try can mend. */
export class Refusal extends ApiError {
  constructor(message: string, cause?: unknown) {
    super('storage_failed', message, { cause })
  }
}

export function codeOf(error: unknown): string | undefined {
  const inner = error instanceof ApiError ? error.cause : error
  if (!(inner instanceof Error) || !('code' in inner)) return undefined
  return typeof inner.code === 'string' ? inner.code : undefined
}

/** Whether the same may be tried again at once. */
export function isConflict(error: unknown): boolean {
  return AGAIN.has(codeOf(error) ?? '')
}

export function isMadeTwice(error: unknown): boolean {
  return MADE_TWICE.has(codeOf(error) ?? '')
}

/** Whether the connection or the server is at fault, so that a later try on another connection may do. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Refusal) return false
  const code = codeOf(error)
  const inner = error instanceof ApiError ? (error.cause ?? error) : error
  // Errors of the program itself have classes of their own.
  if (code === undefined) return inner instanceof ApiError || (inner instanceof Error && inner.name === 'Error')
  return isConflict(error) || GONE.test(code) || NETWORK.test(code)
}

export function textOf(error: unknown): string {
  const inner = error instanceof ApiError && error.cause !== undefined ? error.cause : error
  return inner instanceof Error ? inner.message : String(inner)
}

/** Short, for anybody. */
export function whyOf(error: unknown): string {
  const code = codeOf(error)
  if (code !== undefined) return words[code] ?? `error ${code}`
  return error instanceof ApiError ? error.message : 'the connection was lost'
}

export function failed(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return new ApiError('storage_failed', `the database of the store fails: ${whyOf(error)}`, {
    reason: textOf(error),
    cause: error,
  })
}
