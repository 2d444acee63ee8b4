/**
 * One audit event → one line of JSON in Vault's audit format: the same names in the same order, empty fields left out.
 *
 * Tokens, accessors and every string and number of a payload are replaced by `hmac-sha256:<hex>` under the device's own
 * key, so that two lines can be compared without either saying what it hides. Names stay clear, as do booleans, nulls
 * and Dates (which only an engine can put into a payload: what comes as JSON has none).
 *
 * Two lines are written for every request, so the text is joined by hand, and what repeats is kept: who asked by the
 * identity of the auth object (which must not change once it was used), a payload by its own, a mount by its accessor.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import type { AuditAuth, AuditEvent } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import { Payload } from './payload.ts'

export interface FormatOptions {
  /** HMAC key of this device, 32 bytes. */
  key: KeyObject | Buffer
  /** Hash nothing. False if not given. */
  logRaw?: boolean
  /** Hash accessors too. True if not given. */
  hmacAccessor?: boolean
  /** In replies to listings, say how many `keys` and `key_info` there were instead of which. False if not given. */
  elideListResponses?: boolean
}

/** Mounts whose text is kept. */
const MAX_MOUNTS = 1_000

type Request = AuditEvent['request']
type Response = NonNullable<AuditEvent['response']>

const operations = ['read', 'list', 'scan', 'create', 'update', 'patch', 'delete', 'help'] as const
const operationTexts = new Map<string, string>(
  operations.map((operation) => [operation, `,"operation":"${operation}"`]),
)

/** What is kept is joined, not added up: the parts of a sum stay apart in memory and would be walked for every line. */
const join = (...parts: readonly string[]): string => parts.join('')

interface AuthText {
  text: string
  /** From the type of the line up to the id of the request. */
  requestHead: string
  responseHead: string
  /** From the token up to the path of a request in the root namespace that came with this token. */
  tokenToPath: string
  token: string | undefined
  tokenText: string
  accessor: string | undefined
  accessorText: string
  /** `client_id` of the requests that came with it. */
  client: string | undefined
  clientText: string
}

interface MountText {
  point: string | undefined
  type: string | undefined
  version: string | undefined
  class: string | undefined
  text: string
}

export class Formatter {
  readonly #key: KeyObject
  readonly #raw: boolean
  readonly #clearAccessor: boolean
  readonly #elide: boolean
  readonly #maxLineBytes: number
  readonly #payload: Payload
  readonly #auths = new WeakMap<AuditAuth, AuthText>()
  readonly #datas = new WeakMap<object, string>()
  readonly #requestMounts = new Map<string, MountText>()
  readonly #responseMounts = new Map<string, MountText>()
  #second = Number.NaN
  #secondText = ''
  #address = ''
  #addressText = ''

  /** @param maxLineBytes  where a line would become longer, one hash of the whole stands in place of its payloads */
  constructor(options: FormatOptions, maxLineBytes = Number.POSITIVE_INFINITY) {
    this.#key = Buffer.isBuffer(options.key) ? createSecretKey(options.key) : options.key
    this.#raw = options.logRaw ?? false
    this.#clearAccessor = this.#raw || options.hmacAccessor === false
    this.#elide = options.elideListResponses ?? false
    this.#maxLineBytes = maxLineBytes
    this.#payload = new Payload((text) => this.hash(text), this.#raw, maxLineBytes)
  }

  /** What this device writes in place of `text`. */
  hash(text: string): string {
    return `hmac-sha256:${createHmac('sha256', this.#key).update(text).digest('hex')}`
  }

  /**
   * @returns one JSON object, without a line break
   * @throws ApiError `audit_failed` when it is too long even without its payload
   */
  line(event: AuditEvent): string {
    const line = this.#line(event, false)
    if (this.#fits(line)) return line
    const short = this.#line(event, true)
    if (this.#fits(short)) return short
    throw new ApiError('audit_failed', 'the request cannot be audited: its path or the data of its token is too long')
  }

  #fits(line: string): boolean {
    // A UTF-16 unit takes at most three bytes, so most lines need no counting.
    return line.length * 3 <= this.#maxLineBytes || Buffer.byteLength(line) <= this.#maxLineBytes
  }

  #line(event: AuditEvent, short: boolean): string {
    const auth = this.#auth(event.auth)
    const head = event.type === 'request' ? auth.requestHead : auth.responseHead
    let line = `{"time":"${this.#time(event.at)}${head}${this.#request(event.request, auth, short)}`
    if (event.type === 'response') {
      const elide = this.#elide && (event.request.operation === 'list' || event.request.operation === 'scan')
      line += `,"response":${this.#response(event.response ?? {}, elide, short)}`
    }
    if (event.error) line += `,"error":${JSON.stringify(event.error)}`
    if (event.reason) line += `,"reason":${JSON.stringify(event.reason)}`
    return line + '}'
  }

  /** RFC 3339 in UTC, to the millisecond. */
  #time(at: Date): string {
    const timeMs = at.getTime()
    const second = Math.floor(timeMs / 1_000)
    if (second !== this.#second) {
      this.#secondText = at.toISOString().slice(0, -4)
      this.#second = second
    }
    const ms = timeMs - second * 1_000
    return `${this.#secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
  }

  #auth(auth: AuditAuth): AuthText {
    let kept = this.#auths.get(auth)
    if (!kept) {
      const tokenText = auth.client_token ? this.#token(auth.client_token) : ''
      const accessorText = auth.accessor ? this.#accessor(auth.accessor) : ''
      const text = authText(auth, tokenText, accessorText)
      const [token, accessor] = [auth.client_token, auth.accessor]
      kept = {
        text,
        requestHead: join('","type":"request","auth":', text, ',"request":{"id":'),
        responseHead: join('","type":"response","auth":', text, ',"request":{"id":'),
        tokenToPath: tokenToPath(tokenText, accessorText, rootText),
        token,
        tokenText,
        accessor,
        accessorText,
        client: undefined,
        clientText: '',
      }
      this.#auths.set(auth, kept)
    }
    return kept
  }

  /** As JSON. */
  #token(token: string): string {
    return this.#raw ? JSON.stringify(token) : `"${this.hash(token)}"`
  }

  #accessor(accessor: string): string {
    return this.#clearAccessor ? JSON.stringify(accessor) : `"${this.hash(accessor)}"`
  }

  #request(request: Request, auth: AuthText, short: boolean): string {
    let text = JSON.stringify(request.id)
    if (request.client_id) text += this.#clientId(request.client_id, auth)
    text += operationTexts.get(request.operation) ?? `,"operation":${JSON.stringify(request.operation)}`
    text += mountText(this.#requestMounts, request, request.mount_running_version, 'mount_running_version')
    text += this.#tokenToPath(request, auth) + JSON.stringify(request.path)
    if (request.data && hasMembers(request.data)) text += `,"data":${this.#requestData(request, request.data, short)}`
    if (request.remote_address) text += this.#remoteAddress(request.remote_address)
    if (request.remote_port) text += `,"remote_port":${request.remote_port}`
    if (request.wrap_ttl) text += `,"wrap_ttl":${request.wrap_ttl}`
    if (request.headers && hasMembers(request.headers)) {
      text += `,"headers":${this.#payload.text(request.headers, request.clearHeaders, false)}`
    }
    return text + '}'
  }

  #tokenToPath({ client_token, client_token_accessor, namespace }: Request, auth: AuthText): string {
    const known = client_token === auth.token && client_token_accessor === auth.accessor
    if (known && namespace.id === 'root' && !namespace.path) return auth.tokenToPath
    let tokenText = ''
    if (client_token) tokenText = client_token === auth.token ? auth.tokenText : this.#token(client_token)
    const accessorText = client_token_accessor ? this.#accessor(client_token_accessor) : ''
    return tokenToPath(tokenText, accessorText, namespaceText(namespace))
  }

  #clientId(client: string, auth: AuthText): string {
    if (client !== auth.client) {
      auth.client = client
      auth.clientText = join(',"client_id":', JSON.stringify(client))
    }
    return auth.clientText
  }

  #remoteAddress(address: string): string {
    if (address !== this.#address) {
      this.#address = address
      this.#addressText = join(',"remote_address":', JSON.stringify(address))
    }
    return this.#addressText
  }

  /** Hashed once for the two lines of a request. */
  #requestData(request: Request, data: Readonly<Record<string, unknown>>, short: boolean): string {
    if (short) return this.#payload.short(data)
    let text = this.#datas.get(data)
    if (text === undefined) {
      text = this.#payload.text(data, request.clearData, false)
      this.#datas.set(data, text)
    }
    return text
  }

  #response(response: Response, elide: boolean, short: boolean): string {
    const version = response.mount_running_plugin_version
    const mount = mountText(this.#responseMounts, response, version, 'mount_running_plugin_version')
    let text = response.auth ? `,"auth":${this.#auth(response.auth).text}${mount}` : mount
    // Only the first member goes without its comma; cutting here, the text is still short.
    text = text === '' ? '' : text.slice(1)
    const add = (member: string) => (text += text === '' ? member : `,${member}`)
    if (response.secret) add(`"secret":{"lease_id":${JSON.stringify(response.secret.lease_id)}}`)
    if (response.data && hasMembers(response.data)) {
      const data = response.data
      add(`"data":${short ? this.#payload.short(data) : this.#payload.text(data, response.clearData, elide)}`)
    }
    if (response.warnings && response.warnings.length > 0) add(`"warnings":${JSON.stringify(response.warnings)}`)
    if (response.wrap_info) add(`"wrap_info":${this.#wrapInfo(response.wrap_info)}`)
    if (response.headers && hasMembers(response.headers)) {
      add(`"headers":${this.#payload.text(response.headers, undefined, false)}`)
    }
    return `{${text}}`
  }

  #wrapInfo(info: NonNullable<Response['wrap_info']>): string {
    const { ttl, token, accessor, creation_time, creation_path, wrapped_accessor } = info
    let text = `{"ttl":${ttl},"token":${this.#token(token)},"accessor":${this.#accessor(accessor)}`
    text += `,"creation_time":${JSON.stringify(creation_time)},"creation_path":${JSON.stringify(creation_path)}`
    return wrapped_accessor ? `${text},"wrapped_accessor":${this.#accessor(wrapped_accessor)}}` : `${text}}`
  }
}

const rootText = '{"id":"root"}'

function namespaceText({ id, path }: Request['namespace']): string {
  const idText = JSON.stringify(id)
  return path ? `{"id":${idText},"path":${JSON.stringify(path)}}` : `{"id":${idText}}`
}

function tokenToPath(token: string, accessor: string, namespace: string): string {
  return join(
    token === '' ? '' : `,"client_token":${token}`,
    accessor === '' ? '' : `,"client_token_accessor":${accessor}`,
    `,"namespace":${namespace},"path":`,
  )
}

function authText(auth: AuditAuth & { num_uses?: number }, tokenText: string, accessorText: string): string {
  const members: string[] = []
  const add = (name: string, value: unknown) => {
    if (value !== undefined && value !== '' && value !== 0 && value !== false) {
      members.push(`"${name}":${JSON.stringify(value)}`)
    }
  }
  const addList = (name: string, list: readonly string[] | undefined) => {
    if (list && list.length > 0) add(name, list)
  }
  if (tokenText !== '') members.push(`"client_token":${tokenText}`)
  if (accessorText !== '') members.push(`"accessor":${accessorText}`)
  add('display_name', auth.display_name)
  addList('policies', auth.policies)
  addList('token_policies', auth.token_policies)
  addList('identity_policies', auth.identity_policies)
  add('no_default_policy', auth.no_default_policy)
  if (auth.policy_results) members.push(`"policy_results":${policyResultsText(auth.policy_results)}`)
  if (auth.metadata && hasMembers(auth.metadata)) members.push(`"metadata":${sortedText(auth.metadata)}`)
  add('num_uses', auth.num_uses)
  add('remaining_uses', auth.remaining_uses)
  add('entity_id', auth.entity_id)
  add('entity_created', auth.entity_created)
  add('token_type', auth.token_type)
  add('token_ttl', auth.token_ttl)
  add('token_issue_time', auth.token_issue_time)
  return `{${members.join(',')}}`
}

function policyResultsText({ allowed, granting_policies }: NonNullable<AuditAuth['policy_results']>): string {
  if (!granting_policies || granting_policies.length === 0) return `{"allowed":${allowed}}`
  const policies = granting_policies.map(({ name, namespace_id, type }) => JSON.stringify({ name, namespace_id, type }))
  return `{"allowed":${allowed},"granting_policies":[${policies.join(',')}]}`
}

function sortedText(pairs: Readonly<Record<string, string>>): string {
  const names = Object.keys(pairs).toSorted()
  return `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(pairs[name])}`).join(',')}}`
}

/** The members that tell of the mount, each with a comma before it. Kept by accessor, which no other mount ever has. */
function mountText(
  kept: Map<string, MountText>,
  { mount_point, mount_type, mount_accessor, mount_class }: Request | Response,
  version: string | undefined,
  versionName: string,
): string {
  const known = mount_accessor === undefined ? undefined : kept.get(mount_accessor)
  if (
    known !== undefined &&
    known.point === mount_point &&
    known.type === mount_type &&
    known.version === version &&
    known.class === mount_class
  ) {
    return known.text
  }
  const text = join(
    mount_point ? `,"mount_point":${JSON.stringify(mount_point)}` : '',
    mount_type ? `,"mount_type":${JSON.stringify(mount_type)}` : '',
    mount_accessor ? `,"mount_accessor":${JSON.stringify(mount_accessor)}` : '',
    version ? `,"${versionName}":${JSON.stringify(version)}` : '',
    mount_class ? `,"mount_class":${JSON.stringify(mount_class)}` : '',
  )
  if (mount_accessor !== undefined) {
    if (kept.size >= MAX_MOUNTS) kept.clear()
    kept.set(mount_accessor, { point: mount_point, type: mount_type, version, class: mount_class, text })
  }
  return text
}

function hasMembers(object: Readonly<Record<string, unknown>>): boolean {
  for (const name in object) if (Object.hasOwn(object, name)) return true
  return false
}
