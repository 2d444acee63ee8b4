/** A reply of the API as a secret: lease, token, wrapping, data; and how those are told in a table. Pure. */
import { isObject } from './json.ts'
import { duration, plain, plainField, quotedList } from './table.ts'

export interface Secret {
  request_id: string
  lease_id: string
  lease_duration: number
  renewable: boolean
  data: Record<string, unknown> | null
  warnings: string[] | null
  auth?: Record<string, unknown>
  wrap_info?: Record<string, unknown>
  mount_type?: string
}

const envelope = ['request_id', 'lease_id', 'lease_duration', 'renewable', 'data', 'warnings', 'auth', 'wrap_info']

/** System paths answer bare objects: those become the data. */
export function toSecret(reply: unknown): Secret & Record<string, unknown> {
  const given = isObject(reply) ? reply : {}
  const bare = !envelope.some((name) => Object.hasOwn(given, name))
  const text = (name: string) => (typeof given[name] === 'string' ? given[name] : '')
  const data = bare ? given : given['data']
  const warnings = Array.isArray(given['warnings']) ? given['warnings'].filter((each) => typeof each === 'string') : []
  return {
    request_id: text('request_id'),
    lease_id: text('lease_id'),
    lease_duration: typeof given['lease_duration'] === 'number' ? given['lease_duration'] : 0,
    renewable: given['renewable'] === true,
    data: isObject(data) ? sorted(data) : null,
    warnings: warnings.length > 0 ? warnings : null,
    ...(isObject(given['auth']) ? { auth: given['auth'] } : {}),
    ...(isObject(given['wrap_info']) ? { wrap_info: given['wrap_info'] } : {}),
    ...(text('mount_type') === '' ? {} : { mount_type: text('mount_type') }),
  }
}

/** Names and shown values, in the order of a table. */
export function secretRows(secret: Secret): [string, string][] {
  const rows: [string, string][] = []
  if (secret.lease_id !== '') {
    rows.push(
      ['lease_id', secret.lease_id],
      ['lease_duration', duration(secret.lease_duration)],
      ['lease_renewable', String(secret.renewable)],
    )
  } else if (secret.lease_duration > 0) {
    // Not a lease: KV v1 says how often to look again.
    rows.push(['refresh_interval', duration(secret.lease_duration)])
  }
  if (secret.auth) rows.push(...authRows(secret.auth))
  if (secret.wrap_info) rows.push(...wrapRows(secret.wrap_info))
  const data = secret.data ?? {}
  for (const name of Object.keys(data).sort()) rows.push([name, plainField(name, data[name])])
  return rows
}

function authRows(auth: Record<string, unknown>): [string, string][] {
  if (isObject(auth['mfa_requirement'])) {
    return [
      ['mfa_request_id', plain(auth['mfa_requirement']['mfa_request_id'])],
      ...constraintRows(auth['mfa_requirement']),
    ]
  }
  const metadata = isObject(auth['metadata']) ? auth['metadata'] : {}
  return [
    ['token', plain(auth['client_token'])],
    ['token_accessor', plain(auth['accessor'])],
    // Zero is a root token: it never ends.
    ['token_duration', auth['lease_duration'] === 0 ? '∞' : duration(auth['lease_duration'])],
    ['token_renewable', plain(auth['renewable'])],
    ['token_policies', quotedList(auth['token_policies'])],
    ['identity_policies', quotedList(auth['identity_policies'])],
    ['policies', quotedList(auth['policies'])],
    ...Object.keys(metadata)
      .sort()
      .map((name): [string, string] => [`token_meta_${name}`, plain(metadata[name])]),
  ]
}

function constraintRows(requirement: Record<string, unknown>): [string, string][] {
  const constraints = isObject(requirement['mfa_constraints']) ? requirement['mfa_constraints'] : {}
  return Object.entries(constraints).flatMap(([name, constraint]) => {
    const any = isObject(constraint) && Array.isArray(constraint['any']) ? constraint['any'].filter(isObject) : []
    return any.map((method): [string, string] => [
      `mfa_constraint_${name}_${plain(method['type'])}_id`,
      plain(method['id']),
    ])
  })
}

function wrapRows(wrap: Record<string, unknown>): [string, string][] {
  const rows: [string, string][] = [
    ['wrapping_token:', plain(wrap['token'])],
    ['wrapping_accessor:', plain(wrap['accessor'])],
    ['wrapping_token_ttl:', duration(wrap['ttl'])],
    ['wrapping_token_creation_time:', plain(wrap['creation_time'])],
    ['wrapping_token_creation_path:', plain(wrap['creation_path'])],
  ]
  if (wrap['wrapped_accessor']) rows.push(['wrapped_accessor:', plain(wrap['wrapped_accessor'])])
  return rows
}

/** What `-field` can name: the data, and the parts of token, lease and wrapping under the names of the table. */
export function secretFields(secret: Secret): Record<string, unknown> {
  const { auth, wrap_info: wrap } = secret
  return {
    ...secret.data,
    ...(secret.lease_id === '' && secret.lease_duration > 0 ? { refresh_interval: secret.lease_duration } : {}),
    ...(secret.lease_id === ''
      ? {}
      : { lease_id: secret.lease_id, lease_duration: secret.lease_duration, lease_renewable: secret.renewable }),
    ...(auth && {
      token: auth['client_token'],
      token_accessor: auth['accessor'],
      token_duration: auth['lease_duration'],
      token_renewable: auth['renewable'],
      token_policies: auth['token_policies'] ?? [],
      identity_policies: auth['identity_policies'] ?? [],
      policies: auth['policies'] ?? [],
    }),
    ...(wrap && {
      wrapping_token: wrap['token'],
      wrapping_accessor: wrap['accessor'],
      wrapping_token_ttl: wrap['ttl'],
      wrapping_token_creation_time: wrap['creation_time'],
      wrapping_token_creation_path: wrap['creation_path'],
      ...(wrap['wrapped_accessor'] ? { wrapped_accessor: wrap['wrapped_accessor'] } : {}),
    }),
  }
}

/** Names in order at every level, so that the same secret is always printed the same way. */
function sorted(values: Record<string, unknown>): Record<string, unknown> {
  const deep = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(deep)
    return isObject(value) ? sorted(value) : value
  }
  const names = Object.keys(values).sort()
  return Object.fromEntries(names.map((name) => [name, deep(values[name])]))
}
