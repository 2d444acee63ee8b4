/** Walks over many entries, a page in memory at a time. */
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Storage } from '#sdk/storage.ts'
import { isTokenLease, type LeaseEntry, type Pointer } from './entry.ts'

const PAGE = 1000

export async function eachKey(storage: Storage, prefix: string, visit: (key: string) => Promise<void>): Promise<void> {
  let after: string | undefined
  let keys: string[]
  do {
    keys = await storage.keys(prefix, { after, limit: PAGE })
    for (const key of keys) await visit(key)
    after = keys.at(-1)
  } while (keys.length === PAGE)
}

/** Remove entries that point nowhere. None should be; a restored backup may bring some. */
export async function tidy(storage: Storage, tokens: Tokens): Promise<void> {
  for (const prefix of ['due/', 'owner/', 'stuck/']) {
    await eachKey(storage, prefix, async (key) => {
      const pointer = await storage.get<Partial<Pointer>>(key)
      const lease = pointer?.lease
      if (lease === undefined) return
      await storage.transact(async (transaction) => {
        if ((await transaction.get(`id/${lease}`)) === undefined) transaction.delete(key)
      })
    })
  }
  await eachKey(storage, 'id/', async (key) => {
    const entry = await storage.get<LeaseEntry>(key)
    if (!entry || !isTokenLease(entry) || (await tokens.exists(entry.token))) return
    await storage.delete(key)
  })
}
