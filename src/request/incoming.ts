/** What http/ hands in and gets back. */
import type { Operation } from '#sdk/engine.ts'

export interface Incoming {
  /** UUID, `request_id` of the reply and of the audit lines. */
  id: string
  operation: Exclude<Operation, 'create'>
  /** Without `/v1/`, percent-decoded, e.g. `secret/data/app`; keeps a slash at its end. */
  path: string
  token: string | undefined
  /** From X-Vault-Namespace, without slashes at its ends; empty for the root namespace. */
  namespace: string
  /** The JSON body, or for read, list, scan and delete the query. */
  body: Record<string, unknown>
  /** The body as text; empty when there was none. */
  bodyText: string
  /** Lower-case names, as node:http gives them. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  remoteAddress: string
  remotePort: number
  /** From X-Vault-Wrap-TTL, in seconds. */
  wrapTtlSeconds: number | undefined
  /** Paths that the listener answers without a token. */
  open?: ReadonlySet<string> | undefined
  /** What the client showed in its TLS handshake, DER, its own certificate first; nobody has verified it. */
  clientCertificates?: readonly Uint8Array[]
  /** What the listener does not tell those who need no token to ask. */
  redact?: Redaction
}

export interface Redaction {
  addresses: boolean
  clusterName: boolean
  version: boolean
}

export interface Outgoing {
  status: number
  contentType: string
  /** Absent for 204. */
  body: string | Uint8Array | undefined
  /** Goes on after the headers until one side ends it; then there is no `body`. */
  stream?: AsyncIterable<string>
  headers?: Readonly<Record<string, string>>
}
