/**
 * Requests from pages of other origins (the CORS protocol of the Fetch standard), answered as the Vault API does. Only
 * requests that name an origin are judged: command lines and programs send none. Pure.
 */

export interface CrossOrigin {
  /** As browsers send them, or `*` alone. */
  origins: readonly string[]
  /** Headers that such requests may carry. */
  headers: readonly string[]
}

/** Who may ask right now; undefined while the rules are off. */
export type CrossOriginSource = () => Promise<CrossOrigin | undefined>

export type Judged =
  | { kind: 'refused' }
  /** Nothing more is done; the answer has no body. */
  | { kind: 'answered'; status: number; headers: readonly string[] }
  /** The request is carried out, and its answer has these headers: names and values in turn. */
  | { kind: 'allowed'; headers: readonly string[] }

const methods: readonly string[] = ['DELETE', 'GET', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'LIST', 'SCAN']

/** How long browsers may remember the answer. */
const MAX_AGE_SECONDS = 300

export interface AskedFrom {
  origin: string
  method: string
  /** Of Access-Control-Request-Method. */
  requestedMethod: string | undefined
}

export function judgeOrigin(rules: CrossOrigin, { origin, method, requestedMethod }: AskedFrom): Judged {
  const all = rules.origins.length === 1 && rules.origins[0] === '*'
  if (!all && !rules.origins.includes(origin)) return { kind: 'refused' }
  const headers = ['Access-Control-Allow-Origin', origin, 'Vary', 'Origin']
  if (method !== 'OPTIONS') return { kind: 'allowed', headers }
  if (!methods.includes(requestedMethod ?? '')) return { kind: 'answered', status: 405, headers: [] }
  headers.push('Access-Control-Allow-Headers', rules.headers.join(','))
  headers.push('Access-Control-Allow-Methods', methods.join(','))
  headers.push('Access-Control-Max-Age', String(MAX_AGE_SECONDS))
  return { kind: 'answered', status: 200, headers }
}
