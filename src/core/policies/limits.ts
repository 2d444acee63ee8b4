/**
 * What a stanza asks of a request besides its operation: how long the reply stays wrapped, and which parameters it has.
 * Pure. As for Vault, defaults of parameters are not known here: what is not in the body is not there.
 */
import type { Rule } from './rule.ts'
import type { AclRequest } from './verdict.ts'

/** Why the request is refused, for the audit log; undefined if it is not. */
export function limitProblem(rule: Rule, request: AclRequest): string | undefined {
  return wrappingProblem(rule, request.wrapTtlSeconds) ?? parameterProblem(rule, request)
}

function wrappingProblem({ terms }: Rule, wrapTtlSeconds: number | undefined): string | undefined {
  const { minWrapTtlSeconds: min, maxWrapTtlSeconds: max } = terms
  if (max > 0 && (wrapTtlSeconds === undefined || wrapTtlSeconds > max))
    return 'not wrapped, or for longer than allowed'
  if (min > 0 && (wrapTtlSeconds === undefined || wrapTtlSeconds < min))
    return 'not wrapped, or for shorter than required'
  // Merging takes the lower of each bound, so they can cross; then nothing fits.
  if (min > 0 && max > 0 && max < min) return 'bounds for wrapping contradict each other'
  return undefined
}

function parameterProblem(rule: Rule, { operation, body }: AclRequest): string | undefined {
  switch (operation) {
    case 'read':
    case 'create':
    case 'update':
    case 'patch':
      return requiredProblem(rule, body) ?? deniedProblem(rule, body) ?? allowedProblem(rule, body)
    case 'list':
    case 'scan':
      return listingProblem(rule, body)
    case 'delete':
    case 'help':
      return undefined
  }
}

/** Names are compared with those of the body as they are: `Name` in a body is not the `name` that is required. */
function requiredProblem({ terms }: Rule, body: AclRequest['body']): string | undefined {
  const missing = terms.required.some((name) => !Object.hasOwn(body, name))
  return missing ? 'a required parameter is missing' : undefined
}

function deniedProblem({ terms }: Rule, body: AclRequest['body']): string | undefined {
  if (!terms.denied) return undefined
  const names = Object.keys(body)
  if (names.length > 0 && terms.denied.has('*')) return 'no parameters are allowed'
  const hit = names.some((name) => {
    const values = terms.denied?.get(name.toLowerCase())
    return values !== undefined && isAmong(body[name], values)
  })
  return hit ? 'a parameter is denied' : undefined
}

function allowedProblem({ terms }: Rule, body: AclRequest['body']): string | undefined {
  if (!terms.allowed) return undefined
  const othersAllowed = terms.allowed.has('*')
  const miss = Object.keys(body).some((name) => {
    const values = terms.allowed?.get(name.toLowerCase())
    return values === undefined ? !othersAllowed : !isAmong(body[name], values)
  })
  return miss ? 'a parameter is not among those allowed' : undefined
}

function listingProblem({ terms }: Rule, body: AclRequest['body']): string | undefined {
  const limit = Object.hasOwn(body, 'limit') ? body['limit'] : undefined
  if (limit === undefined || limit === null || limit === '') {
    return terms.required.includes('limit') ? 'a required parameter is missing' : undefined
  }
  if (terms.paginationLimit === 0 || limit === 'max') return undefined
  const asked = typeof limit === 'number' || typeof limit === 'string' ? Number(limit) : Number.NaN
  // Nothing and less than nothing mean no limit at all.
  return asked > 0 && asked <= terms.paginationLimit ? undefined : 'a listing may not ask for so many entries'
}

/** An empty list stands for every value. */
function isAmong(value: unknown, values: readonly unknown[]): boolean {
  return values.length === 0 || values.some((each) => sameValue(each, value))
}

/**
 * A number is never the same as one in a policy: a Vault server compares the text of the one with the value of the other,
 * and policies have been written to that. Who wants to name numbers names them as text, and clients send them so.
 */
function sameValue(listed: unknown, given: unknown): boolean {
  if (typeof listed === 'string' && typeof given === 'string') return matches(listed, given)
  if (typeof listed === 'number' || typeof given === 'number') return false
  if (Array.isArray(listed) && Array.isArray(given)) {
    return listed.length === given.length && listed.every((each, index) => same(each, given[index]))
  }
  return listed === given
}

/** Inside lists nothing is a wildcard. */
function same(listed: unknown, given: unknown): boolean {
  if (Array.isArray(listed) && Array.isArray(given)) {
    return listed.length === given.length && listed.every((each, index) => same(each, given[index]))
  }
  return typeof listed !== 'number' && listed === given
}

/** `*` at either end of the listed text stands for anything; alone it is only itself. */
function matches(listed: string, given: string): boolean {
  if (listed.length < 2) return listed === given
  const [openStart, openEnd] = [listed.startsWith('*'), listed.endsWith('*')]
  if (openStart && openEnd) return given.includes(listed.slice(1, -1))
  if (openStart) return given.endsWith(listed.slice(1))
  return openEnd ? given.startsWith(listed.slice(0, -1)) : listed === given
}
