/**
 * Requests that come through an HTTP proxy: whose they are by X-Forwarded-For, and which certificate the client showed to
 * the proxy. Believed only from addresses that the configuration names. Refusals have the words of a Vault listener.
 */
import { X509Certificate } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { Peer } from './decode.ts'
import { ProtocolError } from './errors.ts'

export type CertificateDecoder = 'URL' | 'BASE64' | 'DER'

export interface Forwarding {
  /** Whether an address is that of a proxy. */
  trusts(address: string): boolean
  /** How many addresses at the end of the list are those of further proxies. */
  hopSkips: number
  /** Refuse requests with the header from anybody else. Otherwise theirs is not looked at. */
  rejectNotAuthorized: boolean
  rejectNotPresent: boolean
  /** Lower case: where the proxy puts the client's certificate, and how it is wrapped, outermost first. */
  clientCertificate: { header: string; decoders: readonly CertificateDecoder[] } | undefined
}

/** Of one client; more than any chain has. */
const MAX_CERTIFICATES = 16

/**
 * @param peer  who is connected
 * @returns who the request comes from
 * @throws ProtocolError 400
 */
export function forwardedPeer(headers: IncomingHttpHeaders, peer: Peer, forwarding: Forwarding): Peer {
  const given = textOf(headers['x-forwarded-for'])
  if (given === undefined || given.trim() === '') {
    if (!forwarding.rejectNotPresent) return peer
    throw refused('missing x-forwarded-for header and configured to reject when not present')
  }
  if (!forwarding.trusts(peer.remoteAddress)) {
    if (!forwarding.rejectNotAuthorized) return peer
    throw refused('client address not authorized for x-forwarded-for and configured to reject connection')
  }
  const chain = given.split(',')
  const at = chain.length - 1 - forwarding.hopSkips
  if (at < 0) {
    throw refused(
      `malformed x-forwarded-for configuration or request, hops to skip (${forwarding.hopSkips}) would skip before earliest chain link (chain length ${chain.length})`,
    )
  }
  const { clientCertificate } = forwarding
  return {
    ...addressOf(chain[at]!.trim(), peer.remotePort),
    // Never the proxy's own: it would make every client who shows none look like the proxy.
    ...(clientCertificate ? certificatesOf(headers, clientCertificate) : ownCertificates(peer)),
  }
}

function ownCertificates({ clientCertificates }: Peer): Pick<Peer, 'clientCertificates'> {
  return clientCertificates ? { clientCertificates } : {}
}

/** Some proxies add the port. What is no address could pass for one in a log, so it is refused. */
function addressOf(text: string, port: number): Pick<Peer, 'remoteAddress' | 'remotePort'> {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text)
  const address = (match?.[1] ?? match?.[2] ?? text).replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')
  if (isIP(address) === 0 || address.includes('%') || Number(match?.[3] ?? 0) > 65_535) {
    throw refused('malformed x-forwarded-for header: not an address')
  }
  return { remoteAddress: address, remotePort: match?.[3] === undefined ? port : Number(match[3]) }
}

function certificatesOf(
  headers: IncomingHttpHeaders,
  { header, decoders }: NonNullable<Forwarding['clientCertificate']>,
): Pick<Peer, 'clientCertificates'> {
  const given = textOf(headers[header])
  if (given === undefined || given.trim() === '') return {}
  const texts = given.split(',').map((each) => each.trim())
  if (texts.length > MAX_CERTIFICATES) throw refused('too many client certificates')
  return { clientCertificates: texts.map((text) => certificateOf(text, decoders)) }
}

function certificateOf(text: string, decoders: readonly CertificateDecoder[]): Uint8Array {
  let bytes = Buffer.from(text, 'latin1')
  for (const decoder of decoders) bytes = decode[decoder](bytes)
  try {
    return new X509Certificate(bytes).raw
  } catch {
    throw refused('failed to parse the client certificate')
  }
}

const decode: Record<CertificateDecoder, (bytes: Buffer) => Buffer<ArrayBuffer>> = {
  URL(bytes) {
    try {
      return Buffer.from(decodeURIComponent(bytes.toString('latin1').replaceAll('+', ' ')), 'latin1')
    } catch {
      throw refused('failed to url unescape the client certificate')
    }
  },
  BASE64(bytes) {
    const text = bytes.toString('latin1')
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
      throw refused('failed to base64 decode the client certificate')
    }
    return Buffer.from(text, 'base64')
  },
  /** What comes as PEM becomes DER. */
  DER(bytes) {
    const pem = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(bytes.toString('latin1'))
    if (!pem) throw refused('failed to convert the client certificate to DER format')
    return Buffer.from(pem[1]!, 'base64')
  },
}

/** node:http joins what came several times by commas, as a list. */
function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value
}

function refused(message: string): ProtocolError {
  return new ProtocolError(400, message)
}
