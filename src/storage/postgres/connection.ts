/**
 * Connection strings in both forms that libpq takes: `postgres://user:password@host:port/database?sslmode=…` and
 * `host=… user=… password='…'`. Pure. The keys of the answer are libpq's words.
 */
import { ApiError } from '#sdk/errors.ts'

const known = new Set([
  'host',
  'hostaddr',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'application_name',
  'options',
  'search_path',
])
/** Words that only tune what libpq and its kin do; connections here have limits of their own. */
const meaningless = new Set([
  'connect_timeout',
  'fallback_application_name',
  'client_encoding',
  'target_session_attrs',
  'gssencmode',
  'channel_binding',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'sslsni',
  'default_query_exec_mode',
  'statement_cache_capacity',
])

/** @throws ApiError `invalid_request`; its text never holds any of the string, which may hold a password */
export function parseConnection(text: string): Record<string, string> {
  const given = text.trim()
  if (given === '') return {}
  const found = /^postgres(?:ql)?:\/\//.test(given) ? ofUrl(given) : ofWords(given)
  for (const name of Object.keys(found)) {
    if (!known.has(name) && !meaningless.has(name)) throw refused(`has an unknown word "${name}"`)
  }
  return found
}

function ofUrl(text: string): Record<string, string> {
  const parts = /^[a-z]+:\/\/(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text)
  if (!parts) throw refused('is no URL: postgres://user:password@host:port/database?sslmode=…')
  const [, login, places, database, query] = parts
  const found: Record<string, string> = Object.create(null)
  const take = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== '') found[name] = decoded(value)
  }
  const colon = login?.indexOf(':') ?? -1
  take('user', colon < 0 ? login : login?.slice(0, colon))
  if (colon >= 0) take('password', login?.slice(colon + 1))
  // Several, for a database that moves: host1:5432,host2:5432
  const hosts = (places ?? '').split(',').map((place) => /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(place))
  if (hosts.includes(null)) throw refused('has a host that is none')
  take('host', hosts.map((host) => host![1]!.replaceAll(/[[\]]/g, '')).join(','))
  if (hosts.some((host) => host![2])) take('port', hosts.map((host) => host![2] || '5432').join(','))
  take('dbname', database)
  for (const pair of query?.split('&') ?? []) {
    const equals = pair.indexOf('=')
    if (equals > 0) take(pair.slice(0, equals), pair.slice(equals + 1))
  }
  return found
}

function ofWords(text: string): Record<string, string> {
  const found: Record<string, string> = Object.create(null)
  const word = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gsy
  let end = 0
  for (const [whole, name, inQuotes, plain] of text.matchAll(word)) {
    end += whole.length
    found[name!] = (inQuotes ?? plain ?? '').replace(/\\(.)/gs, '$1')
  }
  if (text.slice(end).trim() !== '') throw refused('is neither a URL nor words such as host=… user=…')
  return found
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    throw new ApiError('invalid_request', 'storage "postgres": connection_url has a % that stands for nothing', {
      cause: error,
    })
  }
}

function refused(text: string): ApiError {
  return new ApiError('invalid_request', `storage "postgres": connection_url ${text}`)
}
