/** From the head and body of an HTTP request to an Incoming, as the Vault API reads them. */
import { trimSlashes } from '#lib/slashes.ts'
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { parseDuration } from '#lib/duration.ts'
import type { Incoming } from '#request/incoming.ts'
import { ApiError } from '#sdk/errors.ts'
import { type Body, decodeForm, decodeJson, noBody } from './body.ts'
import { ProtocolError } from './errors.ts'
import type { Limits } from './options.ts'
import { parseFields, parseFlag, parseTarget, type Target } from './target.ts'

export interface Head {
  method: string
  url: string
  headers: IncomingHttpHeaders
}

export interface Peer {
  remoteAddress: string
  remotePort: number
  clientCertificates?: readonly Uint8Array[]
}

/** What fits into a duration of the Go standard library, 292 years in nanoseconds. */
const MAX_WRAP_SECONDS = 9_223_372_036

type Operation = Incoming['operation']

interface Decoded {
  operation: Operation
  path: string
  body: Body
}

/**
 * @param bytes  the whole body, empty if there was none
 * @throws ApiError, or ProtocolError for refusals that only HTTP knows
 */
export function toIncoming(head: Head, bytes: Buffer, peer: Peer, limits: Limits): Incoming {
  const target = parseTarget(head.url)
  if (!target) throw new ApiError('not_found', '')
  const { headers } = head
  const { operation, path, body } = decodeRequest(head, target, bytes, limits)
  return {
    id: randomUUID(),
    operation,
    path,
    token: tokenOf(headers),
    namespace: namespaceOf(headers),
    body: body.fields,
    bodyText: body.text,
    headers,
    remoteAddress: peer.remoteAddress,
    remotePort: peer.remotePort,
    wrapTtlSeconds: headers['x-vault-wrap-ttl'] === undefined ? undefined : wrapTtlOf(headers),
    ...(peer.clientCertificates && { clientCertificates: peer.clientCertificates }),
  }
}

function decodeRequest({ method, headers }: Head, target: Target, bytes: Buffer, limits: Limits): Decoded {
  const { path, query } = target
  if (query !== '' && query.includes('help=') && wantsHelp(query, limits))
    return { operation: 'help', path, body: noBody() }
  switch (method) {
    case 'GET':
    case 'HEAD':
      return query === '' ? { operation: 'read', path, body: noBody() } : decodeRead(path, query, limits)
    case 'POST':
    case 'PUT':
      return { operation: 'update', path, body: decodeBody(headers, bytes, limits) }
    case 'DELETE':
      return { operation: 'delete', path, body: queryBody(query, limits) }
    case 'LIST':
      return { operation: 'list', path: directory(path), body: queryBody(query, limits) }
    case 'SCAN':
      return { operation: 'scan', path: directory(path), body: queryBody(query, limits) }
    case 'PATCH':
      return { operation: 'patch', path, body: decodePatch(headers, bytes, limits) }
    default:
      throw new ApiError('unsupported_operation', '')
  }
}

function wantsHelp(query: string, limits: Limits): boolean {
  const { help } = parseFields(query, limits.maxJsonObjectEntries, false)
  return help !== undefined && help !== ''
}

function queryBody(query: string, limits: Limits): Body {
  const fields = parseFields(query, limits.maxJsonObjectEntries, false)
  delete fields['help']
  return { fields, text: '' }
}

/** GET, which is a listing or a scan if its query says so. */
function decodeRead(path: string, query: string, limits: Limits): Decoded {
  const body = queryBody(query, limits)
  const list = flagOf(body.fields['list'])
  const scan = flagOf(body.fields['scan'])
  if (list && scan) throw new ApiError('invalid_request', '')
  if (list) delete body.fields['list']
  if (scan) delete body.fields['scan']
  if (!list && !scan) return { operation: 'read', path, body }
  return { operation: list ? 'list' : 'scan', path: directory(path), body }
}

function flagOf(given: unknown): boolean {
  const text = Array.isArray(given) ? given[0] : given
  if (text === undefined || text === '') return false
  const flag = parseFlag(String(text))
  if (flag === undefined) throw new ApiError('invalid_request', '')
  return flag
}

/** Listings are judged and routed with a slash at the end, however they were asked for. */
function directory(path: string): string {
  return path === '' || path.endsWith('/') ? path : `${path}/`
}

function decodeBody(headers: IncomingHttpHeaders, bytes: Buffer, limits: Limits): Body {
  const given = headers['content-type']
  if (given === undefined || given === 'application/json') return decodeJson(bytes, limits)
  const type = mediaType(given)
  if (type === 'application/x-www-form-urlencoded') return decodeForm(bytes, limits)
  // DER, for the PKI engine's OCSP responder: no fields, and every byte one character of the text.
  if (type === 'application/ocsp-request') return { fields: {}, text: bytes.toString('latin1') }
  return decodeJson(bytes, limits)
}

function decodePatch(headers: IncomingHttpHeaders, bytes: Buffer, limits: Limits): Body {
  const type = mediaType(headers['content-type'] ?? '')
  if (type === '') throw new ApiError('invalid_request', 'mime: no media type')
  if (type !== 'application/merge-patch+json') {
    throw new ProtocolError(415, `PATCH requires Content-Type of application/merge-patch+json, provided ${type}`)
  }
  return decodeJson(bytes, limits)
}

function mediaType(given: string): string {
  const cut = given.indexOf(';')
  return (cut < 0 ? given : given.slice(0, cut)).trim().toLowerCase()
}

function tokenOf(headers: IncomingHttpHeaders): string | undefined {
  const token = headers['x-vault-token']
  if (token !== undefined && token !== '') return String(token)
  const { authorization } = headers
  if (authorization === undefined || !authorization.startsWith('Bearer ')) return undefined
  const bearer = authorization.slice('Bearer '.length).trim()
  return bearer === '' ? undefined : bearer
}

function namespaceOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-vault-namespace']
  if (given === undefined) return ''
  const namespace = trimSlashes(String(given))
  // The same rules as for paths, since the two are joined.
  const segments = namespace.split('/')
  const bad = segments.some((segment) => segment === '' || segment === '.' || segment === '..')
  if (namespace !== '' && (bad || /[^\x21-\x7e]/.test(namespace))) {
    throw new ApiError('invalid_request', 'X-Vault-Namespace is not a valid path')
  }
  return namespace
}

/**
 * Undefined for none and for zero, which asks for nothing. A part of a second is a whole one: whoever asks for wrapping
 * must never get the secret itself.
 */
function wrapTtlOf(headers: IncomingHttpHeaders): number | undefined {
  const text = String(headers['x-vault-wrap-ttl']).trim()
  if (text === '') return undefined
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds > MAX_WRAP_SECONDS) {
    throw new ApiError(
      'invalid_request',
      `error parsing X-Vault-Wrap-TTL header: time: invalid duration ${JSON.stringify(text)}`,
    )
  }
  if (text.startsWith('-')) {
    throw new ApiError(
      'invalid_request',
      'error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative',
    )
  }
  if (seconds === 0) return /[1-9]/.test(text) ? 1 : undefined
  return seconds
}
