/** Requests for one message or for many, whose answers then stand in the same order, each with its own error. */
import { setImmediate } from 'node:timers/promises'
import { base64Fault, decodeBase64 } from '#lib/base64.ts'
import type { Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { type Field, isObject } from '#sdk/schema.ts'
import { refuse } from './key.ts'

export type Item = Record<string, unknown>
export type Result = Record<string, unknown>

/** How many are worked on at once; with RSA they share the thread pool. */
const AT_ONCE = 16

/** After so much time others have their turn. */
const TURN_MS = 5

/** A body of the greatest size with the shortest items has not many more; each makes a promise and an object. */
const MAX_ITEMS = 1_000_000

export const batchInput = {
  type: 'any',
  about:
    'Many messages at once: a list of objects with the fields of one message; those of the request are then ignored.',
} as const satisfies Field

export const partialFailureCode = {
  type: 'integer',
  about: 'Status of the answer when some of the messages fail, but not all.',
} as const satisfies Field

/** Members of an item and what they are. The names of Go types stand in refusals that clients see. */
export type ItemShape = Readonly<Record<string, 'string' | 'int' | 'bool'>>

/**
 * @param required  a member that each item must have
 * @throws ApiError `invalid_request` for a list in which any item has the wrong form
 */
export function itemsOf(given: unknown, shape: ItemShape, required?: { name: string; message: string }): Item[] {
  const list = typeof given === 'string' ? parsed(given) : given
  const errors: string[] = []
  if (!Array.isArray(list)) refuse(`failed to parse batch input: expected a list of objects`)
  if (list.length === 0) refuse('missing batch input to process')
  if (list.length > MAX_ITEMS) refuse(`more than ${MAX_ITEMS} items in a batch`)
  for (const [index, item] of list.entries()) {
    if (!isObject(item)) {
      errors.push(`'[${index}]' expected a map`)
      continue
    }
    for (const [name, value] of Object.entries(item)) {
      const wanted = Object.hasOwn(shape, name) ? shape[name]! : undefined
      if (wanted !== undefined && !fits(wanted, value)) {
        errors.push(`'[${index}].${name}' expected type '${wanted}', got unconvertible type '${typeof value}'`)
      }
    }
    if (required && !Object.hasOwn(item, required.name)) {
      errors.push(`'[${index}].${required.name}' ${required.message}`)
    }
    if (errors.length > 10) break
  }
  if (errors.length > 0) {
    const lines = errors.map((error) => `* ${error}`).join('\n')
    refuse(`failed to parse batch input: ${errors.length} error(s) decoding:\n\n${lines}`)
  }
  return list as Item[]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function fits(wanted: ItemShape[string], value: unknown): boolean {
  if (value === null) return true
  if (wanted === 'string') return typeof value === 'string'
  if (wanted === 'bool') return typeof value === 'boolean'
  return Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d{1,15}$/.test(value))
}

export function textOf(item: Item, name: string): string {
  const value = item[name]
  return typeof value === 'string' ? value : ''
}

export function numberOf(item: Item, name: string): number {
  return Number(item[name] ?? 0)
}

/** Decoded base64 of a member; empty where there is none. */
export function bytesOf(item: Item, name: string): Buffer {
  const text = textOf(item, name)
  if (text === '') return Buffer.alloc(0)
  return decodeBase64(text) ?? refuse(base64Fault(text))
}

/**
 * Each item's answer. What is refused becomes the `error` of its item; what goes wrong on our side ends the request.
 */
export async function eachItem(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let turnEnds = performance.now() + TURN_MS
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const group = items.slice(start, start + AT_ONCE)
    results.push(...(await Promise.all(group.map((item, index) => settle(item, () => work(item, start + index))))))
    if (performance.now() > turnEnds) {
      await setImmediate()
      turnEnds = performance.now() + TURN_MS
    }
  }
  return results
}

async function settle(item: Item, work: () => Promise<Result>): Promise<Result> {
  const reference = textOf(item, 'reference')
  try {
    return { ...(await work()), reference }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'invalid_request') return { error: error.message, reference }
    throw error
  }
}

/** The answer to a batch: with a failed item not 200, unless only some failed and the request says otherwise. */
export function batchReply(results: Result[], partialCode?: number): Reply {
  const data = { batch_results: results }
  const failed = results.filter((result) => result['error'] !== undefined).length
  if (failed === 0) return { data }
  if (partialCode === undefined || failed === results.length) return { data, status: 400 }
  if (partialCode < 200 || partialCode > 599) refuse(`invalid HTTP response code override: ${partialCode}`)
  return { data, status: partialCode }
}
