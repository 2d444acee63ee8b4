/** Walks over many entries, a page in memory at a time; between two pages others have their turn. */
import { setImmediate } from 'node:timers/promises'
import type { LeaseSource } from '#core/quotas/census.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Storage } from '#sdk/storage.ts'
import { parseDueKey, pathIn, type Pointer } from './entry.ts'

const PAGE = 1000

export async function eachKey(storage: Storage, prefix: string, visit: (key: string) => Promise<void>): Promise<void> {
  let after: string | undefined
  let keys: string[]
  do {
    keys = await storage.keys(prefix, { after, limit: PAGE })
    for (const key of keys) await visit(key)
    after = keys.at(-1)
    await setImmediate()
  } while (keys.length === PAGE)
}

/** All leases of secrets, for those who count them. Their paths are in their keys. */
export function leaseSource(storage: Storage): LeaseSource {
  return {
    async page(transaction, after, limit) {
      const here = transaction.in(storage)
      const keys = await here.keys('id/', { limit, ...(after !== '' && { after: `id/${after}` }) })
      return keys.map((each) => {
        const key = each.slice('id/'.length)
        return { key, path: pathIn(key), role: undefined }
      })
    },
  }
}

/** Remove entries that point nowhere. None should be; a restored backup may bring some. */
export async function tidy(storage: Storage, tokens: Tokens): Promise<void> {
  for (const prefix of ['due/', 'owner/', 'stuck/']) {
    await eachKey(storage, prefix, async (key) => {
      const lease = (await storage.get<Partial<Pointer>>(key))?.lease
      if (lease === undefined) return await tidyDueToken(storage, tokens, key)
      await storage.transact(async (transaction) => {
        if ((await transaction.get(`id/${lease}`)) === undefined) transaction.delete(key)
      })
    })
  }
}

async function tidyDueToken(storage: Storage, tokens: Tokens, key: string): Promise<void> {
  const { kind, name } = parseDueKey(key)
  await storage.transact(async (transaction) => {
    if (kind === 't' && !(await tokens.stands(transaction, name))) transaction.delete(key)
  })
}
