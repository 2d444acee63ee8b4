/** HTTP/1.1 on one address: bytes to Incoming, Outgoing to bytes. Knows no engine, token or policy. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { bind } from './bind.ts'
import { type Connection, createConnection, whenAnswered } from './connection.ts'
import { errorBody, ProtocolError } from './errors.ts'
import { createExchanges, type Exchanges, type Handle } from './exchange.ts'
import { defaultLimits, type Limits, type ListenerOptions, parseAddress } from './options.ts'
import { holdBack, type Proxied } from './proxied.ts'
import { headersByStatus, type ResponseHeaders } from './response-headers.ts'
import { noteListeners, takeOver } from './rawmethods.ts'
import { handshakeOptions, readContext } from './tls.ts'

export interface Listener {
  /** Resolves when connections are accepted. @throws Error if the address is taken or a certificate is no good */
  listen(): Promise<void>
  /**
   * Accepts nothing more, closes idle connections, answers what is under way, and after `drainSeconds` cuts what is left.
   * Resolves when the last connection is closed.
   */
  close(options: { drainSeconds: number }): Promise<void>
  /** Cuts every connection; to be called when `close` has taken too long. */
  cut(): void
  /** `127.0.0.1:8200`, with the port that was given for 0, or the path of the unix socket. */
  readonly address: string
  /** Read certificates again, for new connections. @throws Error and keeps the old ones if the new are no good */
  reloadTls(): Promise<void>
  /** Other headers for the answers from now on; undefined: none. */
  setResponseHeaders(headers: ResponseHeaders | undefined): void
}

interface Context {
  server: Server
  event: 'connection' | 'secureConnection'
  limits: Limits
  exchanges: Exchanges
  connections: WeakMap<Socket, Connection>
  open: Set<Connection>
  proxied: Proxied | undefined
}

export function createListener(handle: Handle, options: ListenerOptions): Listener {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const address = parseAddress(options.address)
  const { tls } = options
  const server = createServerOf(options, limits)
  const open = new Set<Connection>()
  const exchanges = createExchanges(handle, exchangeOptions(options, limits), open)
  const event = tls ? 'secureConnection' : 'connection'
  const sockets = trackSockets(server)
  const waitMs = Math.min(limits.headerSeconds, limits.readSeconds) * 1000
  const context: Context = { server, event, limits, exchanges, open, proxied: undefined, connections: new WeakMap() }
  attach(context)
  if (options.proxyProtocol)
    context.proxied = holdBack(server, {
      protocol: options.proxyProtocol,
      secure: tls !== undefined,
      waitMs,
      log: options.log ?? (() => {}),
    })
  let bound = options.address
  const reloadTls = async () => {
    if (tls && server instanceof TlsServer) server.setSecureContext(await readContext(tls))
  }
  return {
    async listen() {
      await reloadTls()
      bound = await bind(server, address, options)
    },
    close({ drainSeconds }) {
      context.proxied?.close()
      return close(server, sockets, exchanges, drainSeconds)
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    get address() {
      return bound
    },
    reloadTls,
    setResponseHeaders: (headers) => exchanges.setHeaders(headers && headersByStatus(headers)),
  }
}

function exchangeOptions(options: ListenerOptions, limits: Limits) {
  const { tls, log = () => {}, responseHeaders, ...rest } = options
  const { forwarding, redaction, hostname, crossOrigin, pageHeaders, open, onAnswer } = rest
  const headersFor = responseHeaders && headersByStatus(responseHeaders)
  return {
    limits,
    secure: tls !== undefined,
    log,
    forwarding,
    redaction,
    hostname,
    crossOrigin,
    pageHeaders,
    headersFor,
    open,
    onAnswer,
  }
}

/** How often node:http looks for connections whose headers or bodies are late. */
const CHECK_MS = 1000

function createServerOf({ tls }: ListenerOptions, limits: Limits): Server {
  const readMs = limits.readSeconds * 1000
  const headerMs = Math.min(limits.headerSeconds * 1000, readMs)
  const options = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: headerMs,
    requestTimeout: readMs,
    keepAliveTimeout: limits.idleSeconds * 1000,
    keepAliveTimeoutBuffer: 0,
    connectionsCheckingInterval: Math.min(CHECK_MS, headerMs / 4),
    // We look ourselves, to answer in our own form.
    requireHostHeader: false,
    // Requests without a body, most of all, are spared the machinery of a stream.
    optimizeEmptyRequests: true,
  }
  const server = tls ? createTlsServer({ ...options, ...handshakeOptions(tls, headerMs) }) : createServer(options)
  server.maxConnections = limits.maxConnections
  // One more than allowed: the parser drops the rest silently, but a request must not be judged by half of its headers.
  server.maxHeadersCount = limits.maxHeaders + 1
  // For a client that neither reads nor writes. Longer than any request may take.
  server.timeout = 1000 * (Math.max(limits.idleSeconds, limits.maxRequestSeconds) + limits.readSeconds)
  return server
}

/** All open sockets, also those in the middle of a TLS handshake, which node:http does not know yet. */
function trackSockets(server: Server): Set<Socket> {
  const sockets = new Set<Socket>()
  // Before node:http, whose listeners on the socket must stay the last ones.
  server.prependListener('connection', (socket: Socket) => {
    if (sockets.has(socket)) return
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

function attach(context: Context): void {
  const { server, event, limits, exchanges, connections, open } = context
  server.on(event, (socket: Socket) => {
    const known = connections.get(socket)
    const connection = known ?? createConnection(socket, limits.maxRequestsPerConnection, context.proxied?.source())
    noteListeners(socket, connection)
    if (known) return
    connections.set(socket, connection)
    open.add(connection)
    socket.once('close', () => open.delete(connection))
  })
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const connection = connections.get(request.socket)!
    if (connection.closing || connection.requestsLeft <= 0) {
      // The answer before this one said that it is the last.
      request.socket.pause()
      return
    }
    connection.requestsLeft--
    const method = connection.renamed ?? request.method ?? ''
    connection.renamed = undefined
    exchanges.begin(request, response, connection, method)
  }
  server.on('request', onRequest)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (Number(request.headers['content-length'] ?? 0) <= limits.maxRequestBytes) response.writeContinue()
    onRequest(request, response)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => onClientError(context, error, socket))
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.end(rawAnswer(new ProtocolError(405, '')))
  })
}

function onClientError(context: Context, error: NodeJS.ErrnoException, socket: Socket): void {
  const connection = context.connections.get(socket)
  if (!connection || !socket.writable) {
    socket.destroy()
    return
  }
  const { code, rawPacket, bytesParsed } = error as { code?: string; rawPacket?: Buffer; bytesParsed?: number }
  if (connection.closing || (connection.takingOver && code === 'ERR_HTTP_REQUEST_TIMEOUT')) return
  if (code === 'HPE_INVALID_METHOD' && rawPacket && bytesParsed !== undefined && connection.requestsLeft > 0) {
    const { server, event, limits } = context
    const refuse = (refusal: ProtocolError) => refuseConnection(socket, connection, refusal)
    const way = { server, event, refuse, waitMs: limits.headerSeconds * 1000 }
    if (takeOver(way, socket, connection, { packet: rawPacket, at: bytesParsed })) return
  }
  const refusal = protocolErrorOf(code)
  if (refusal) refuseConnection(socket, connection, refusal)
  else socket.destroy()
}

/** Undefined where there is nobody to answer to: connections reset, TLS alerts. */
function protocolErrorOf(code: string | undefined): ProtocolError | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return new ProtocolError(431, 'request headers too large')
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new ProtocolError(413, 'request body too large')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new ProtocolError(408, 'request timeout')
  return code?.startsWith('HPE_') ? new ProtocolError(400, 'malformed request') : undefined
}

/** Answers to what cannot be read as a request: after the answers to earlier requests, and as the last one. */
function refuseConnection(socket: Socket, connection: Connection, error: ProtocolError): void {
  connection.closing = true
  if (connection.abort) {
    connection.abort(error)
    return
  }
  socket.pause()
  const answer = () => {
    if (socket.destroyed || !socket.writable) return
    socket.end(rawAnswer(error), () => socket.destroy())
  }
  whenAnswered(connection, answer)
}

const reasons: Record<number, string> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
}

function rawAnswer({ status, message }: ProtocolError): string {
  const body = errorBody(message)
  return (
    `HTTP/1.1 ${status} ${reasons[status] ?? ''}\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
  )
}

async function close(server: Server, sockets: Set<Socket>, exchanges: Exchanges, drainSeconds: number): Promise<void> {
  exchanges.drain()
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, drainSeconds * 1000)
  await closed
  clearTimeout(cut)
  exchanges.stop()
}
