/** What is remembered of a connection from one request to the next. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Peer } from './decode.ts'
import type { ProtocolError } from './errors.ts'
import type { Source } from './proxied.ts'

export interface Connection {
  socket: Socket
  peer: Peer
  requestsLeft: number
  /** Requests begun and not yet answered. */
  running: number
  /** The answer to its latest request. Answers leave in the order of the requests: when this one is out, all are. */
  latest: ServerResponse | undefined
  /** The tick of the clock in which that answer was ready. */
  answeredTick: number
  /** Ends the request whose body is being read, with an answer. */
  abort: ((error: ProtocolError) => void) | undefined
  /** Bytes before the next request may be a body: one with a length was received. */
  hadBody: boolean
  /** Nothing more is taken from it. */
  closing: boolean
  /** The method that was sent, while the parser is shown a stand-in for it. */
  renamed: 'LIST' | 'SCAN' | undefined
  /** Between two parsers; what the old one still says of time-outs no longer counts. */
  takingOver: boolean
  /** What node:http listens with, so that it can be taken off again. */
  listeners: Map<string, (...args: unknown[]) => void>
}

/** @param source  whose connection it is, where a proxy passes it on */
export function createConnection(socket: Socket, maxRequests: number, source?: Source): Connection {
  return {
    socket,
    peer: peerOf(socket, source),
    requestsLeft: maxRequests,
    running: 0,
    latest: undefined,
    answeredTick: 0,
    abort: undefined,
    hadBody: false,
    closing: false,
    renamed: undefined,
    takingOver: false,
    listeners: new Map(),
  }
}

/** Calls `then` when all requests that were read are answered, at once if they are. Not if the connection breaks first. */
export function whenAnswered({ latest }: Connection, then: () => void): void {
  // An answer that waits for its turn has no socket either, but it has bytes left to send.
  if (!latest || (latest.writableFinished && !latest.socket)) then()
  else latest.once('close', then)
}

function peerOf(socket: Socket, source: Source | undefined): Peer {
  const clientCertificates = socket instanceof TLSSocket ? chainOf(socket) : undefined
  return {
    // An IPv4 address that a socket for both families reports in its IPv6 form.
    remoteAddress: (source?.address ?? socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, ''),
    remotePort: source?.port ?? socket.remotePort ?? 0,
    ...(clientCertificates && { clientCertificates }),
  }
}

const MAX_CHAIN = 16

function chainOf(socket: TLSSocket): Uint8Array[] | undefined {
  const chain: Uint8Array[] = []
  let certificate = socket.getPeerX509Certificate()
  while (certificate && chain.length < MAX_CHAIN) {
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return chain.length > 0 ? chain : undefined
}
