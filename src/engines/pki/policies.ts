/** Policy identifiers of a role: object identifiers, or JSON `{"oid": …, "cps": …, "notice": …}`. Pure. */
import { isOid } from '#lib/der.ts'
import { isObject } from '#sdk/schema.ts'
import { refuse } from './key-store.ts'

export interface Policy {
  oid: string
  cps?: string
  notice?: string
}

/** @throws ApiError for what is neither */
export function parsePolicies(texts: readonly string[]): Policy[] {
  return texts.map(
    (text) => parsePolicy(text) ?? refuse(`"${text}" could not be parsed as a valid oid for a policy identifier`),
  )
}

function parsePolicy(text: string): Policy | undefined {
  if (isOid(text)) return { oid: text }
  try {
    const value: unknown = JSON.parse(text)
    if (!isObject(value) || typeof value['oid'] !== 'string' || !isOid(value['oid'])) return undefined
    const { oid, cps, notice } = value
    return {
      oid,
      ...(typeof cps === 'string' && /^[\x20-\x7e]*$/.test(cps) && { cps }),
      ...(typeof notice === 'string' && { notice }),
    }
  } catch {
    // Not JSON either: the caller says what it is not.
    return undefined
  }
}
