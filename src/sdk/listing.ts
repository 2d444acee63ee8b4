/** Listings of engines: whole ones, put together from the pages that storage gives, with a bound that is told. */
import { setImmediate } from 'node:timers/promises'
import type { Fields } from './schema.ts'
import { ApiError } from './errors.ts'
import type { Page, Storage } from './storage.ts'

/** The most names one answer may have. Leaving out the rest unsaid would look like a complete listing. */
export const MAX_LISTED = 1_000_000

/** Names read in one go, some milliseconds' worth; between two pages others have their turn. */
const PAGE = 10_000

export const pageFields = {
  after: { type: 'string', about: 'List what comes after this name, which need not exist.', query: true },
  limit: { type: 'integer', about: 'At most so many names; without it or with 0, all.', query: true },
} as const satisfies Fields

/** Names one level below `prefix`, folders with a slash at their end. */
export function listNames(storage: Storage, prefix: string, page: Page): Promise<string[]> {
  const area = prefix === '' ? storage : storage.below(prefix)
  return gather((part) => area.list('', part), page)
}

/** Names of all entries below `prefix`, at any depth. */
export function scanNames(storage: Storage, prefix: string, page: Page): Promise<string[]> {
  const area = prefix === '' ? storage : storage.below(prefix)
  return gather((part) => area.keys('', part), page)
}

/** How many entries lie below `prefix`, at any depth, by their names alone. */
export async function countNames(storage: Pick<Storage, 'keys'>, prefix: string): Promise<number> {
  let count = 0
  let keys: string[] = []
  do {
    keys = await storage.keys(prefix, { limit: PAGE, after: keys.at(-1) })
    count += keys.length
    await setImmediate()
  } while (keys.length === PAGE)
  return count
}

/** `a/b` and `a/b/` → `a/b/`, and none → none: the prefix that a listing at this path means. */
export function folder(path: string): string {
  return path === '' || path.endsWith('/') ? path : `${path}/`
}

/** @throws ApiError `too_large` when there are more than MAX_LISTED and no limit was asked for */
async function gather(read: (part: Page) => Promise<string[]>, { after, limit }: Page): Promise<string[]> {
  const wanted = limit !== undefined && limit > 0 ? Math.min(limit, MAX_LISTED) : undefined
  const names: string[] = []
  let last = after
  for (;;) {
    const size = wanted === undefined ? PAGE : Math.min(PAGE, wanted - names.length)
    const part = await read({ after: last, limit: size })
    for (const name of part) names.push(name)
    if (part.length < size || names.length === wanted) return names
    if (names.length >= MAX_LISTED) {
      throw new ApiError('too_large', `more than ${MAX_LISTED} names here: list them in pages with "after" and "limit"`)
    }
    last = part.at(-1)
    await setImmediate()
  }
}
