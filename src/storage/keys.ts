/**
 * Keys: what is one, and their order. Pure.
 *
 * Keys are ordered by their UTF-8 bytes, which is the order of their code points. JavaScript's own `<` compares UTF-16
 * units and puts U+FFFF after every character beyond it, so it must not be used for keys.
 */
import { ApiError } from '#sdk/errors.ts'

export const MAX_KEY_BYTES = 1024

/** Sorts below every character of a key, since keys have none: `key + NUL` is the first text after `key`. */
export const NUL = '\0'

/** Negative, zero or positive, as `a` sorts before, with or after `b` by UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above U+FFFF, so they sort above the units U+E000 to U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit
}

/** @throws ApiError `too_large` for a key beyond 1,024 bytes, `invalid_request` for what is no key */
export function checkKey(key: string): void {
  if (key === '') throw new ApiError('invalid_request', 'a storage key must not be empty')
  checkText(key)
}

/** @throws ApiError as `checkKey`; also for a prefix that neither is empty nor ends in '/' */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return
  if (!prefix.endsWith('/')) throw new ApiError('invalid_request', "a storage prefix must be empty or end in '/'")
  checkText(prefix)
}

function checkText(text: string): void {
  // A unit of UTF-16 takes at most three bytes of UTF-8, so short keys need no count.
  if (text.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw new ApiError('too_large', `a storage key has at most ${MAX_KEY_BYTES} bytes`)
  }
  if (text.includes(NUL)) throw new ApiError('invalid_request', 'a storage key must not contain NUL')
  // Half a surrogate pair has no UTF-8: two such keys could become one on disk.
  if (!text.isWellFormed()) throw new ApiError('invalid_request', 'a storage key must be well-formed Unicode')
}

/** The first text after everything below `prefix`; undefined if nothing comes after it. '0' follows '/'. */
export function endOf(prefix: string): string | undefined {
  return prefix === '' ? undefined : `${prefix.slice(0, -1)}0`
}

/** Index of the first of `keys` (sorted, each once) that does not sort before `key`. */
export function seek(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
