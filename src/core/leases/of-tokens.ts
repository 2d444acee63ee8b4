/**
 * The leases of tokens. Nothing is stored for them besides the token's own entry and its place in the order of expiry:
 * tokens are made far more often than their leases are looked at by path, so such a look walks through all tokens.
 */
import { setImmediate } from 'node:timers/promises'
import { hasLease, idInLease, leaseIdOf } from '#core/tokens/expiry.ts'
import type { TokenEntry } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { MAX_PAGE, type Page } from '#sdk/storage.ts'

/** Log-ins and the token paths lie below it; a token made elsewhere is found by its whole lease id only. */
const AREA = 'auth/'
/** Looked at in one go, some milliseconds' worth; then others have their turn. */
const AT_ONCE = 200

/** The token whose lease that is. */
export async function tokenOfLease(
  tokens: Tokens,
  leaseId: string,
): Promise<{ id: string; entry: Readonly<TokenEntry> } | undefined> {
  const id = idInLease(leaseId)
  const entry = id === undefined ? undefined : await tokens.entry(id)
  return id !== undefined && entry && hasLease(entry) && leaseIdOf(id, entry) === leaseId ? { id, entry } : undefined
}

/** Those whose lease ids begin so. */
export async function* tokensBelow(tokens: Tokens, prefix: string): AsyncGenerator<{ id: string; leaseId: string }> {
  if (!prefix.startsWith(AREA) && !AREA.startsWith(prefix)) return
  let count = 0
  for await (const { id, entry } of tokens.all()) {
    count += 1
    if (count % AT_ONCE === 0) await setImmediate()
    const leaseId = leaseIdOf(id, entry)
    if (leaseId.startsWith(prefix) && leaseId.startsWith(AREA) && hasLease(entry)) yield { id, leaseId }
  }
}

/** Names one level below a path, in order, as storage would list them. */
export async function listBelow(
  tokens: Tokens,
  folder: string,
  { after = '', limit = MAX_PAGE }: Page,
): Promise<string[]> {
  let names = new Set<string>()
  for await (const { leaseId } of tokensBelow(tokens, folder)) {
    const [name, ...more] = leaseId.slice(folder.length).split('/')
    const told = more.length > 0 ? `${name}/` : name!
    if (told > after) names.add(told)
    // Only the first ones count; what is too much goes before it gets large.
    if (names.size >= 2 * limit) names = new Set([...names].toSorted().slice(0, limit))
  }
  return [...names].toSorted().slice(0, limit)
}
