/** What a listener can be told, and the limits it holds when it is told nothing. */
import type { Redaction } from '#request/incoming.ts'
import type { Forwarding } from './forwarded.ts'
import type { CrossOriginSource } from './cross-origin.ts'
import type { ResponseHeaders } from './response-headers.ts'

export interface TlsOptions {
  /** PEM, the server's own certificate first. */
  certFile: string
  keyFile: string
  /** PEM of those who may sign client certificates; needed for `requireClientCert`. */
  clientCaFile?: string
  minVersion?: 'tls12' | 'tls13'
  maxVersion?: 'tls12' | 'tls13'
  /** OpenSSL's names of those for TLS 1.2, by preference; without them Node's. Those of TLS 1.3 are always all. */
  ciphers?: readonly string[]
  /** Refuse connections without a certificate of `clientCaFile`. */
  requireClientCert?: boolean
  /** Do not even ask for one. Unless set, one is asked for and handed on unverified: the cert auth method judges it. */
  disableClientCerts?: boolean
}

export interface ProxyProtocol {
  /** Whether a connection from this address may begin with a header. Whoever connects without one speaks for itself. */
  trusts(address: string): boolean
  /** Close connections from all other addresses at once, rather than taking them as they are. */
  denyOthers: boolean
}

export interface Limits {
  maxRequestBytes: number
  /** From the first byte of a request to its answer; what is not answered by then is answered with an error. */
  maxRequestSeconds: number
  /** From the first byte (or, on a new connection, from its start) to the end of the headers; also for TLS handshakes. */
  headerSeconds: number
  /** From the first byte to the last of the body. */
  readSeconds: number
  /** A kept-alive connection without a request. */
  idleSeconds: number
  maxConnections: number
  maxRequestsPerConnection: number
  /** Requests of one connection that are carried out at the same time. Clients that do not pipeline need one. */
  maxPipelinedRequests: number
  /** Of the request line and all headers together. */
  maxHeaderBytes: number
  maxHeaders: number
  maxJsonDepth: number
  /** In bytes of UTF-8 as sent, escapes included. */
  maxJsonStringBytes: number
  maxJsonObjectEntries: number
  maxJsonArrayElements: number
}

/**
 * Sizes of requests and JSON, and the times for headers, reading, idling and answering, are those of a Vault listener.
 * There a JSON document may nest 500 deep; V8 parses, walks and prints that in a small part of its stack.
 */
export const defaultLimits: Readonly<Limits> = {
  maxRequestBytes: 32 * 1024 * 1024,
  maxRequestSeconds: 90,
  headerSeconds: 10,
  readSeconds: 30,
  idleSeconds: 300,
  maxConnections: 8192,
  maxRequestsPerConnection: 1_000_000,
  maxPipelinedRequests: 128,
  maxHeaderBytes: 64 * 1024,
  maxHeaders: 200,
  maxJsonDepth: 500,
  maxJsonStringBytes: 1024 * 1024,
  maxJsonObjectEntries: 10_000,
  maxJsonArrayElements: 10_000,
}

/** Never gets a secret: neither messages of unknown errors nor anything of a request but its id. */
export type Log = (message: string, details: Readonly<Record<string, string | number>>) => void

export interface ListenerOptions {
  /** `127.0.0.1:8200`, `[::1]:8200`, `:8200` (all interfaces), or the path of a unix socket: whatever has a '/'. */
  address: string
  tls?: TlsOptions
  limits?: Partial<Limits>
  /** Let several processes or threads listen on the same port. */
  reusePort?: boolean
  /** Permissions of a unix socket; by default only its owner may connect. */
  socketMode?: number
  /** Whom a unix socket is given to, by number. */
  socketOwner?: { uid?: number; gid?: number }
  /** Connections come through a proxy that begins each with a PROXY header. */
  proxyProtocol?: ProxyProtocol
  /** Requests come through a proxy that names the client in a header. */
  forwarding?: Forwarding
  /** What answers that need no token leave out. */
  redaction?: Redaction
  /** Told in every answer as X-Vault-Hostname. */
  hostname?: string
  log?: Log
  /** Who may ask from pages of other origins; without it nobody is judged and no browser lets them see an answer. */
  crossOrigin?: CrossOriginSource
  /** Headers of the pages of the web interface, below `/ui`: names and values in turn. */
  pageHeaders?: () => Promise<readonly string[]>
  /** Headers that operators add, by status. */
  responseHeaders?: ResponseHeaders
  /** Paths below `/v1/` that this listener answers without a token, of those that can be. */
  open?: ReadonlySet<string>
  /** Told the status of every answer. */
  onAnswer?: (status: number) => void
}

export type Address = { path: string } | { host: string | undefined; port: number }

/** @throws Error for what is neither `host:port` nor a path */
export function parseAddress(address: string): Address {
  if (address.includes('/')) return { path: address.replace(/^unix:(\/\/)?/, '') }
  const match = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (!match || port > 65_535)
    throw new Error(`listener: "${address}" is neither host:port nor the path of a unix socket`)
  return { host: match[1] ?? (match[2] === '' ? undefined : match[2]), port }
}
