/** Other names of a certificate, as the API writes them: `<oid>;UTF8:<text>`. Pure. */
import { isOid } from '#lib/der.ts'
import { globMatches } from '#lib/glob.ts'

export interface OtherSan {
  oid: string
  value: string
}

type Parsed = { ok: true; value: OtherSan } | { ok: false; message: string }

export function parseOtherSan(text: string): Parsed {
  const semicolon = text.indexOf(';')
  if (semicolon < 0) return { ok: false, message: `expected a semicolon in other SAN ${JSON.stringify(text)}` }
  const rest = text.slice(semicolon + 1)
  const colon = rest.indexOf(':')
  if (colon < 0) return { ok: false, message: `expected a colon in other SAN ${JSON.stringify(text)}` }
  const type = rest.slice(0, colon).toLowerCase()
  if (type !== 'utf8' && type !== 'utf-8') {
    const message = `only utf8 other SANs are supported; found non-supported type in other SAN ${JSON.stringify(text)}`
    return { ok: false, message }
  }
  const oid = text.slice(0, semicolon)
  if (oid !== '*' && !isOid(oid)) return { ok: false, message: `invalid oid in other SAN ${JSON.stringify(text)}` }
  return { ok: true, value: { oid, value: rest.slice(colon + 1) } }
}

/** @returns why not */
export function otherSanProblem(allowed: readonly string[], { oid, value }: OtherSan): string | undefined {
  if (allowed.length === 1 && allowed[0] === '*') return undefined
  const patterns = allowed
    .map(parseOtherSan)
    .flatMap((each) => (each.ok && each.value.oid === oid ? [each.value.value] : []))
  if (patterns.length === 0) return `other SAN OID ${oid} not allowed by this role`
  if (patterns.some((pattern) => globMatches(pattern, value))) return undefined
  return `other SAN ${value} not allowed for OID ${oid} by this role`
}
