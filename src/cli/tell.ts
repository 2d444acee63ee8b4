/** A request as text: the curl command that sends it, or the policy that it needs. Pure. */
import type { Method, Prepared } from '#client/client.ts'

/** The token is left to the program that knows it: it must not end up in a terminal's scroll-back or a ticket. */
export function tellCurl(request: Prepared, skipVerify: boolean): string {
  const parts = ['curl']
  if (skipVerify) parts.push('--insecure')
  if (request.method !== 'GET') parts.push(`-X ${request.method}`)
  for (const [name, value] of Object.entries(request.headers).sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const each of Array.isArray(value) ? value : [value]) {
      parts.push(
        name === 'X-Vault-Token' ? '-H "X-Vault-Token: $(strongroom print token)"' : `-H ${quoted(`${name}: ${each}`)}`,
      )
    }
  }
  if (request.body !== undefined) parts.push(`-d ${quoted(request.body)}`)
  parts.push(quoted(request.url.href))
  return parts.join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`
}

const capabilities: Record<Method, readonly string[]> = {
  GET: ['read'],
  LIST: ['list'],
  SCAN: ['scan'],
  POST: ['create', 'update'],
  PUT: ['create', 'update'],
  PATCH: ['patch'],
  DELETE: ['delete'],
}

/** Paths of the API that need `sudo` besides. */
const sudoPaths = [
  /^auth\/token\/accessors\/?$/,
  /^sys\/audit(\/.+)?$/,
  /^sys\/auth\/.+$/,
  /^sys\/config\/(auditing\/request-headers(\/.+)?|cors|ui\/headers(\/.+)?)$/,
  /^sys\/internal\/inspect\/.+$/,
  /^sys\/leases\/(lookup\/.*|revoke-force\/.+|revoke-prefix\/.+)?$/,
  /^sys\/plugins\/catalog\/.+$/,
  /^sys\/raw(\/.+)?$/,
  /^sys\/remount$/,
  /^sys\/(rotate(\/.+)?|seal|step-down)$/,
  /^[^/]+\/root(\/sign-self-issued)?$/,
]

export function tellPolicy(method: Method, path: string): string {
  const bare = path.replace(/^\/+/, '')
  const needed = [...capabilities[method], ...(sudoPaths.some((each) => each.test(bare)) ? ['sudo'] : [])]
  return `path ${JSON.stringify(bare)} {\n  capabilities = [${needed.map((each) => `"${each}"`).join(', ')}]\n}`
}
