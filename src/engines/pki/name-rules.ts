/** Which names a role allows. The order of the rules is part of what clients see, since the first refusal is told. Pure. */
import { globMatches } from '#lib/glob.ts'
import { isHostname, isWildcardLabel, splitWildcard, toAscii } from './hostnames.ts'
import type { RoleEntry } from './role.ts'

export type NameRules = Pick<
  RoleEntry,
  | 'allow_any_name'
  | 'allow_bare_domains'
  | 'allow_glob_domains'
  | 'allow_localhost'
  | 'allow_subdomains'
  | 'allow_wildcard_certificates'
  | 'allowed_domains'
  | 'cn_validations'
  | 'enforce_hostnames'
>

interface Name {
  whole: string
  /** Without what stands before an @, and without the first label if that has a star. */
  reduced: string
  isEmail: boolean
  isWildcard: boolean
}

export function allowsCommonName(rules: NameRules, name: string): boolean {
  const kinds = rules.cn_validations
  if (kinds.length === 1 && kinds[0] === 'disabled') return true
  if (!allowsName(rules, name)) return false
  return kinds.length === 0 || kinds.includes(name.includes('@') ? 'email' : 'hostname')
}

export function allowsName(rules: NameRules, whole: string): boolean {
  const name = formOf(rules, whole)
  if (!name) return false
  return (
    rules.allow_any_name || isLocal(rules, name) || rules.allowed_domains.some((each) => isBelow(rules, name, each))
  )
}

/** Undefined when the name has a form that the role does not take. */
function formOf(rules: NameRules, whole: string): Name | undefined {
  const parts = whole.split('@')
  if (parts.length > 2) return undefined
  const isEmail = parts.length === 2
  const host = isEmail ? parts[1]! : whole
  const isWildcard = host.includes('*')
  if (!isWildcard) {
    const fits = !rules.enforce_hostnames || host === '' || isHost(host)
    return fits ? { whole, reduced: host, isEmail, isWildcard } : undefined
  }
  const split = rules.allow_wildcard_certificates && !isEmail ? splitWildcard(host) : undefined
  if (!split) return undefined
  const { label, rest } = split
  if (rules.enforce_hostnames && ((rest !== '' && !isHost(rest)) || !isWildcardLabel(label))) return undefined
  return { whole, reduced: rest, isEmail, isWildcard }
}

function isHost(text: string): boolean {
  const ascii = toAscii(text)
  return ascii !== undefined && isHostname(ascii)
}

function isLocal(rules: NameRules, { reduced }: Name): boolean {
  if (!rules.allow_localhost) return false
  if (reduced === 'localhost' || reduced === 'localdomain') return true
  return rules.allow_subdomains && (reduced.endsWith('.localhost') || reduced.endsWith('.localdomain'))
}

function isBelow(rules: NameRules, name: Name, domain: string): boolean {
  if (domain === '') return false
  const { whole, reduced, isEmail, isWildcard } = name
  if (rules.allow_bare_domains && (same(whole, domain) || (isEmail && same(reduced, domain)))) return true
  if (rules.allow_subdomains && (reduced.endsWith(`.${domain}`) || (isWildcard && same(reduced, domain)))) return true
  return rules.allow_glob_domains && domain.includes('*') && globMatches(domain, whole)
}

const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
