/** Host names as certificates may have them: labels, wildcards, and names beyond ASCII (RFC 5890, RFC 6125). Pure. */
import { domainToASCII } from 'node:url'

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const hostname = new RegExp(`^(?:\\*\\.)?(?:${label}\\.)*${label}\\.?$`)
const wildcardLabel = new RegExp(`^(?:\\*|\\*${label}|${label}\\*|${label}\\*${label})$`)

const MAX_NAME = 253
const MAX_LABEL = 63

export const isHostname = (name: string): boolean => name.length <= MAX_NAME + 1 && hostname.test(name)

/** The first label of a name with a star: `*`, `f*`, `*f` or `f*o`. */
export const isWildcardLabel = (text: string): boolean => text.length <= MAX_LABEL && wildcardLabel.test(text)

/** With labels beyond ASCII in their ASCII form; undefined where DNS could not hold it. */
export function toAscii(name: string): string | undefined {
  const labels = name.split('.').map((each) => (/^\p{ASCII}*$/u.test(each) ? each : domainToASCII(each)))
  const ascii = labels.join('.')
  const bare = labels.at(-1) === '' ? labels.slice(0, -1) : labels
  const fits = bare.length > 0 && bare.every((each) => each !== '' && each.length <= MAX_LABEL)
  return fits && ascii.length <= MAX_NAME + 1 ? ascii : undefined
}

/** `*.example.com` → `*` and `example.com`; a star alone leaves nothing. Undefined for one elsewhere, or two of them. */
export function splitWildcard(name: string): { label: string; rest: string } | undefined {
  const [first = '', ...more] = name.split('.')
  const rest = more.join('.')
  return first.split('*').length === 2 && !rest.includes('*') ? { label: first, rest } : undefined
}
