/**
 * The header by which a proxy tells whose connection it passes on: PROXY protocol, versions 1 and 2 (HAProxy's
 * "proxy-protocol.txt"). Pure; strict, since what is lenient here decides whose address a policy sees.
 */
import { isIPv4, isIPv6 } from 'node:net'

export type ProxyHeader =
  /** More bytes are needed to tell. */
  | { kind: 'more' }
  /** The connection begins with something else: nobody passes it on. */
  | { kind: 'none' }
  | { kind: 'bad'; message: string }
  /** `bytes` long. Without a source the proxy speaks for itself (a health check), or does not know. */
  | { kind: 'header'; bytes: number; source: { address: string; port: number } | undefined }

const V1_START = Buffer.from('PROXY ')
/** With its line break, by the specification. */
const V1_MAX_BYTES = 107
const V2_START = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
const V2_HEAD_BYTES = 16
/** Addresses take 216 at most; the rest is for what a proxy adds, such as the names in a client's certificate. */
const V2_MAX_PAYLOAD_BYTES = 4096

/** The longest header that is read. */
export const MAX_PROXY_HEADER_BYTES = V2_HEAD_BYTES + V2_MAX_PAYLOAD_BYTES

/** @param bytes  all that has come so far, from the first byte of the connection on */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V1_START)) return bytes.length < V1_START.length ? { kind: 'more' } : parseV1(bytes)
  if (startsLike(bytes, V2_START)) return bytes.length < V2_HEAD_BYTES ? { kind: 'more' } : parseV2(bytes)
  return { kind: 'none' }
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length)
  return bytes.subarray(0, common).equals(start.subarray(0, common))
}

/** `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n` */
function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n')
  if (end < 0) return bytes.length < V1_MAX_BYTES ? { kind: 'more' } : bad('line without an end')
  const length = end + 2
  const words = bytes.toString('latin1', V1_START.length, end).split(' ')
  if (words[0] === 'UNKNOWN') return { kind: 'header', bytes: length, source: undefined }
  const [family, source, target, sourcePort, targetPort, ...rest] = words
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined
  if (!isAddress) return bad('unknown family')
  if (rest.length > 0 || !isAddress(source ?? '') || !isAddress(target ?? '')) return bad('addresses')
  const port = portOf(sourcePort)
  if (port === undefined || portOf(targetPort) === undefined) return bad('ports')
  return { kind: 'header', bytes: length, source: { address: source!, port } }
}

/** Without a zone: `%eth0` means something to the proxy only. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port > 65_535 ? undefined : port
}

const families: Record<number, { name: 'ip4' | 'ip6' | 'other'; addressBytes: number }> = {
  0x00: { name: 'other', addressBytes: 0 },
  0x11: { name: 'ip4', addressBytes: 12 },
  0x21: { name: 'ip6', addressBytes: 36 },
  // A unix socket in front of the proxy: there is no address to tell.
  0x31: { name: 'other', addressBytes: 216 },
}

function parseV2(bytes: Buffer): ProxyHeader {
  const command = bytes[12]!
  if (command !== 0x20 && command !== 0x21) return bad('unknown version or command')
  const payload = bytes.readUInt16BE(14)
  if (payload > V2_MAX_PAYLOAD_BYTES) return bad('too long')
  const length = V2_HEAD_BYTES + payload
  const family = families[bytes[13]!]
  if (!family && command === 0x21) return bad('unknown family')
  if (command === 0x21 && payload < family!.addressBytes) return bad('too short for its addresses')
  if (bytes.length < length) return { kind: 'more' }
  // LOCAL: the proxy's own connection, whatever else it says.
  if (command === 0x20) return { kind: 'header', bytes: length, source: undefined }
  if (!hasWholeExtras(bytes.subarray(V2_HEAD_BYTES + family!.addressBytes, length), family!.addressBytes === 0))
    return bad('additions that are cut')
  return { kind: 'header', bytes: length, source: sourceOf(family!.name, bytes) }
}

function sourceOf(family: 'ip4' | 'ip6' | 'other', bytes: Buffer): { address: string; port: number } | undefined {
  if (family === 'other') return undefined
  const at = V2_HEAD_BYTES
  if (family === 'ip4') return { address: [...bytes.subarray(at, at + 4)].join('.'), port: bytes.readUInt16BE(at + 8) }
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16))
  // As every other part of this program writes it, `::1` rather than `0:0:0:0:0:0:0:1`.
  const address = new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
  return { address: unmapped(address), port: bytes.readUInt16BE(at + 32) }
}

/** `::ffff:c000:201` → `192.0.2.1` */
function unmapped(address: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (!match) return address
  const [high, low] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)]
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** Behind the addresses: type, length in two bytes, value, again and again. Of an unspecified family anything may follow. */
function hasWholeExtras(extras: Buffer, unspecified: boolean): boolean {
  if (unspecified) return true
  let at = 0
  while (at < extras.length) {
    if (at + 3 > extras.length) return false
    at += 3 + extras.readUInt16BE(at + 1)
  }
  return at === extras.length
}

function bad(message: string): ProxyHeader {
  return { kind: 'bad', message }
}
