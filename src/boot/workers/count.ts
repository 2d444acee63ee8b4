/** How many threads answer requests, as people say it. */
import { availableParallelism } from 'node:os'
import { ApiError } from '#sdk/errors.ts'

export const MAX_WORKERS = 64
export const WORKERS_ARE = `workers is a number from 1 to ${MAX_WORKERS}, or "auto" for one on each core`

/** Undefined where nothing is said. */
export function parseWorkers(text: string | undefined): number | undefined | 'unusable' {
  if (text === undefined) return undefined
  if (text === 'auto') return Math.min(MAX_WORKERS, availableParallelism())
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0
  return count >= 1 && count <= MAX_WORKERS ? count : 'unusable'
}

/** Of a flag. @throws ApiError `invalid_request` for what is no such number */
export function workersOf(text: string | undefined): number | undefined {
  const count = parseWorkers(text)
  if (count === 'unusable') throw new ApiError('invalid_request', `${WORKERS_ARE}, not "${text}"`)
  return count
}
