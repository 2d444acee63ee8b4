/**
 * One listener's requests while they are being answered: reads the body, hands over, writes the answer. No request has a
 * timer of its own; one clock tick a second looks for those that take too long.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Outgoing, Incoming, Redaction } from '#request/incoming.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Connection } from './connection.ts'
import { type CrossOriginSource, judgeOrigin } from './cross-origin.ts'
import { toIncoming } from './decode.ts'
import { errorBody, ProtocolError, toHttp } from './errors.ts'
import { forwardedPeer, type Forwarding } from './forwarded.ts'
import type { Limits, Log } from './options.ts'
import { pour, type Pourings } from './pour.ts'

export type Handle = (incoming: Incoming) => Promise<Outgoing>

/** How much of a body that is too large is read and dropped, so that the client gets to the answer: twice the limit. */
const DISCARD_FACTOR = 2

const NO_BYTES = Buffer.alloc(0)

interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  connection: Connection
  /** The method that was sent, also where the parser was shown another. */
  method: string
  startedTick: number
  /** While the end of its body has not come. */
  unread: boolean
  /** Headers that its answer has besides, whatever it says: names and values in turn. */
  extra: readonly string[]
}

const NO_HEADERS: readonly string[] = []

export interface Exchanges {
  begin(request: IncomingMessage, response: ServerResponse, connection: Connection, method: string): void
  /** For the answers from now on. */
  setHeaders(headersFor: Options['headersFor']): void
  /** From now on every answer is the last one of its connection. */
  drain(): void
  stop(): void
}

interface Options {
  limits: Limits
  secure: boolean
  log: Log
  forwarding?: Forwarding | undefined
  redaction?: Redaction | undefined
  hostname?: string | undefined
  /** Who may ask from pages of other origins. */
  crossOrigin?: CrossOriginSource | undefined
  /** Headers of the pages of the web interface: names and values in turn. */
  pageHeaders?: (() => Promise<readonly string[]>) | undefined
  /** Headers that operators add to answers of a status; they win over our own. */
  headersFor?: ((status: number) => readonly string[]) | undefined
  open?: ReadonlySet<string> | undefined
  onAnswer?: ((status: number) => void) | undefined
}

interface Context extends Options {
  handle: Handle
  /** In the order in which they began. */
  running: Set<Exchange>
  /** Answers that go on until somebody ends them. */
  pourings: Pourings
  tick: number
  draining: boolean
  /** Settles when those who came in this turn may go on. */
  turn: Promise<void> | undefined
}

/** @param open  the connections there are, kept by the caller */
export function createExchanges(handle: Handle, options: Options, open: ReadonlySet<Connection>): Exchanges {
  const { limits } = options
  const context: Context = {
    handle,
    ...options,
    running: new Set(),
    pourings: new Set(),
    tick: 0,
    draining: false,
    turn: undefined,
  }
  // A quarter of the limit where that is shorter than a second, so that short limits hold as well.
  const tickMs = Math.min(1000, (limits.maxRequestSeconds * 1000) / 4)
  const maxTicks = Math.ceil((limits.maxRequestSeconds * 1000) / tickMs)
  const clock = setInterval(() => {
    context.tick++
    expire(context, maxTicks)
    cutUnread(context, open, maxTicks)
  }, tickMs)
  clock.unref()
  return {
    begin(request, response, connection, method) {
      const exchange: Exchange = {
        request,
        response,
        connection,
        method,
        startedTick: context.tick,
        unread: false,
        extra: NO_HEADERS,
      }
      context.running.add(exchange)
      connection.latest = response
      connection.running++
      begin(context, exchange)
    },
    setHeaders(headersFor) {
      context.headersFor = headersFor
    },
    drain() {
      context.draining = true
      for (const stop of context.pourings) stop()
    },
    stop: () => clearInterval(clock),
  }
}

function expire(context: Context, maxTicks: number): void {
  for (const exchange of context.running) {
    if (context.tick - exchange.startedTick <= maxTicks) return
    context.running.delete(exchange)
    fail(context, exchange, new ApiError('internal', 'context deadline exceeded'))
  }
}

/** Whoever does not read an answer holds its memory, and is not waited for longer than a request may take. */
function cutUnread(context: Context, open: ReadonlySet<Connection>, maxTicks: number): void {
  for (const { latest, answeredTick, socket } of open) {
    if (!latest?.writableEnded || latest.writableFinished) continue
    if (context.tick - answeredTick > maxTicks) socket.destroy()
  }
}

function begin(context: Context, exchange: Exchange): void {
  const { headers } = exchange.request
  const refusal = refuseHead(exchange, context.limits)
  if (refusal) {
    exchange.unread = true
    fail(context, exchange, refusal)
    return
  }
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    exchange.connection.hadBody = false
    void answer(context, exchange, NO_BYTES)
    return
  }
  readBody(context, exchange)
}

/** What the parser lets pass and we do not. */
function refuseHead({ request, connection }: Exchange, limits: Limits): ProtocolError | undefined {
  const { headers, rawHeaders, httpVersionMajor, httpVersionMinor } = request
  // HTTP/0.9 knows neither headers nor statuses, and nobody speaks higher ones in this form.
  if (httpVersionMajor !== 1) return new ProtocolError(505, 'HTTP version not supported')
  // RFC 9112 section 3.2.
  if (headers.host === undefined && httpVersionMinor >= 1) return new ProtocolError(400, 'missing Host header')
  if (connection.running > limits.maxPipelinedRequests) return new ProtocolError(429, 'too many requests at once')
  return rawHeaders.length > 2 * limits.maxHeaders ? new ProtocolError(431, 'too many headers') : undefined
}

/**
 * Collects the body below its limit; `answer` gets it, or the client an error. The parser pushes each piece, then null, into
 * the request; taken right there, a small body is complete before the parser returns, without a stream queueing it and
 * telling of it in later ticks.
 */
function readBody(context: Context, exchange: Exchange): void {
  const { request } = exchange
  const { maxRequestBytes } = context.limits
  const declared = Number(request.headers['content-length'] ?? 0)
  exchange.unread = true
  exchange.connection.hadBody = declared > 0
  // Who asks whether to send it has not begun to.
  if (declared > (request.headers.expect === undefined ? DISCARD_FACTOR : 1) * maxRequestBytes) {
    fail(context, exchange, tooLarge())
    return
  }
  const chunks: Buffer[] = []
  let bytes = 0
  exchange.connection.abort = (error) => fail(context, exchange, error)
  request.push = (chunk: Buffer | null) => {
    if (chunk !== null) {
      bytes += chunk.length
      if (bytes <= maxRequestBytes) chunks.push(chunk)
      else if (bytes > DISCARD_FACTOR * maxRequestBytes) fail(context, exchange, tooLarge())
      return true
    }
    exchange.unread = false
    exchange.connection.abort = undefined
    // Refused already, for its size or because it took too long.
    if (exchange.response.headersSent) return false
    if (bytes > maxRequestBytes) fail(context, exchange, tooLarge())
    else void answer(context, exchange, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes))
    // The request is remembered until the next one of its connection comes, its body need not be.
    chunks.length = 0
    return false
  }
  // Whoever goes away in the middle of a body leaves nothing of it.
  exchange.response.on('close', () => context.running.delete(exchange))
}

function tooLarge(): ApiError {
  return new ApiError('too_large', 'request body too large')
}

/** Never rejects: whatever goes wrong becomes a status. */
async function answer(context: Context, exchange: Exchange, bytes: Buffer): Promise<void> {
  const { request, connection, method } = exchange
  let id: string | undefined
  try {
    const { origin } = request.headers
    if (origin !== undefined && context.crossOrigin && (await answeredByOrigin(context, exchange, origin))) return
    if (context.pageHeaders && /^\/ui(?:[/?]|$)/.test(request.url ?? '')) exchange.extra = await context.pageHeaders()
    const head = { method, url: request.url ?? '', headers: request.headers }
    const { forwarding, redaction } = context
    const peer = forwarding ? forwardedPeer(request.headers, connection.peer, forwarding) : connection.peer
    const incoming = toIncoming(head, bytes, peer, context.limits)
    if (redaction) incoming.redact = redaction
    if (context.open) incoming.open = context.open
    id = incoming.id
    await together(context)
    send(context, exchange, await context.handle(incoming))
  } catch (error) {
    fail(context, exchange, error, id)
  }
}

/** @returns whether there is nothing more to do: it was a question about what is allowed, or a page that may not ask */
async function answeredByOrigin(context: Context, exchange: Exchange, origin: string): Promise<boolean> {
  const rules = await context.crossOrigin!()
  if (!rules) return false
  const { request, method } = exchange
  const requestedMethod = request.headers['access-control-request-method']
  const judged = judgeOrigin(rules, { origin, method, requestedMethod })
  if (judged.kind === 'refused') throw new ApiError('permission_denied', 'origin not allowed')
  exchange.extra = judged.headers
  if (judged.kind === 'allowed') return false
  send(context, exchange, { status: judged.status, contentType: 'application/json', body: undefined })
  return true
}

/**
 * Requests that came in the same turn of the event loop begin together, and then go through the same code side by side: the
 * processor finds it in its caches, which a request on its own, passing through all of it, would not. A fifth of the CPU
 * time of a read is saved so; a lone request waits for nobody.
 */
function together(context: Context): Promise<void> {
  context.turn ??= new Promise((resolve) => {
    setImmediate(() => {
      context.turn = undefined
      resolve()
    })
  })
  return context.turn
}

function fail(context: Context, exchange: Exchange, error: unknown, id?: string): void {
  if (exchange.response.headersSent) return
  const isProtocol = error instanceof ProtocolError
  const { status, body } = isProtocol ? { status: error.status, body: errorBody(error.message) } : toHttp(error)
  // A sealed server refuses everybody who asks; that it is sealed was told when it happened.
  const isSealed = error instanceof ApiError && error.code === 'sealed'
  if (status >= 500 && !isProtocol && !isSealed) context.log('request failed', describe(error, id))
  const headers = error instanceof ApiError ? error.headers : undefined
  send(context, exchange, { status, contentType: 'application/json', body, ...(headers && { headers }) })
}

/** Class, code and place of an error. Its message may quote a secret, as those of JSON.parse do, so it stays out. */
function describe(error: unknown, id: string | undefined): Record<string, string> {
  const details: Record<string, string> = id === undefined ? {} : { request_id: id }
  if (error instanceof ApiError) {
    details['code'] = error.code
    if (error.reason !== undefined) details['reason'] = error.reason
  }
  const source = error instanceof ApiError && error.cause instanceof Error ? error.cause : error
  if (source instanceof Error) {
    details['error'] = source.name
    details['at'] = stackFrames(source)
  }
  return details
}

const MAX_FRAMES = 8

function stackFrames(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return frames
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim())
    .join('; ')
}

function send(context: Context, exchange: Exchange, outgoing: Outgoing): void {
  const { response, connection } = exchange
  if (response.headersSent) return
  context.running.delete(exchange)
  context.onAnswer?.(outgoing.status)
  if (response.destroyed) return
  const body = lineEnd(outgoing)
  // What is left of a request that is answered before its end is not worth reading.
  if (context.draining || exchange.unread || connection.requestsLeft <= 0 || outgoing.stream) {
    endConnection(connection, response)
  }
  response.writeHead(outgoing.status, headersOf(context, exchange, outgoing, body))
  connection.running--
  connection.answeredTick = context.tick
  if (!outgoing.stream || exchange.method === 'HEAD') response.end(body)
  else void pour(outgoing.stream, response, context.pourings)
}

function headersOf(context: Context, exchange: Exchange, outgoing: Outgoing, body: Outgoing['body']): string[] {
  const headers = ['Cache-Control', 'no-store', 'Content-Type', outgoing.contentType]
  if (outgoing.status !== 204 && !outgoing.stream) headers.push('Content-Length', String(lengthOf(body)))
  if (context.secure) headers.push('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
  if (context.hostname !== undefined) headers.push('X-Vault-Hostname', context.hostname)
  const namespace = exchange.request.headers['x-vault-namespace']
  if (namespace !== undefined) headers.push('X-Vault-Namespace', String(namespace))
  const own = context.headersFor ? withExtra(headers, context.headersFor(outgoing.status)) : headers
  const more = exchange.extra.length === 0 ? own : withExtra(own, exchange.extra)
  return outgoing.headers ? withExtra(more, Object.entries(outgoing.headers).flat()) : more
}

/** This answer says that it is the last, unless requests behind it are under way already. */
function endConnection(connection: Connection, response: ServerResponse): void {
  if (connection.latest !== response) return
  connection.closing = true
  response.shouldKeepAlive = false
}

/** JSON answers of the Vault API end in a line break. */
function lineEnd({ body, contentType }: Outgoing): string | Uint8Array | undefined {
  if (typeof body !== 'string' || contentType !== 'application/json') return body
  return body.charCodeAt(body.length - 1) === 10 ? body : `${body}\n`
}

function lengthOf(body: string | Uint8Array | undefined): number {
  if (body === undefined) return 0
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length
}

/** The later headers win over earlier ones of the same name. Both are names and values in turn. */
function withExtra(headers: readonly string[], extra: readonly string[]): string[] {
  const names = new Set(extra.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()))
  const merged: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (!names.has(headers[at]!.toLowerCase())) merged.push(headers[at]!, headers[at + 1]!)
  }
  merged.push(...extra)
  return merged
}
