/** A listener on a free port with a handler that tells what it got, and clients that speak in bytes. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { Handle } from '#http/exchange.ts'
import type { ListenerOptions } from '#http/options.ts'
import { createListener, type Listener } from '#http/server.ts'
import type { Incoming, Outgoing } from '#request/incoming.ts'

export interface Started extends AsyncDisposable {
  listener: Listener
  port: number
  seen: Incoming[]
  logged: string[]
}

/** What the handler got of a request, as JSON; a path that begins with `slow/` takes a moment. */
export const echo: Handle = async (incoming) => {
  const { operation, path, body } = incoming
  if (path.startsWith('slow/')) await sleep(15)
  return json({ operation, path, body })
}

export function json(value: unknown, status = 200): Outgoing {
  return { status, contentType: 'application/json', body: JSON.stringify(value) }
}

export async function start(options: Partial<ListenerOptions> = {}, handle: Handle = echo): Promise<Started> {
  const seen: Incoming[] = []
  const logged: string[] = []
  const noting: Handle = (incoming) => {
    seen.push(incoming)
    return handle(incoming)
  }
  const log = (message: string, details: object) => void logged.push(`${message} ${JSON.stringify(details)}`)
  const listener = createListener(noting, { address: '127.0.0.1:0', log, ...options })
  await listener.listen()
  return {
    listener,
    port: Number(listener.address.split(':').at(-1)),
    seen,
    logged,
    [Symbol.asyncDispose]: () => listener.close({ drainSeconds: 0 }),
  }
}

export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

export interface Way {
  tls?: boolean
  /** Between two packets, in milliseconds. */
  pauseMs?: number
  /** Methods of the requests, where answers to HEAD are among them. */
  methods?: readonly string[]
}

/** Send the packets one by one, then read until the server closes. */
export async function talk(port: number, packets: readonly (string | Buffer)[], way: Way = {}): Promise<Answer[]> {
  const socket = await open(port, way.tls)
  const received = readAll(socket)
  for (const packet of packets) {
    if (socket.destroyed) break
    socket.write(packet)
    if (packets.length > 1) await sleep(way.pauseMs ?? 2)
  }
  return parseAnswers(await received, way.methods)
}

export async function open(port: number, tls = false): Promise<Socket> {
  const socket = tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    : connect(port, '127.0.0.1')
  socket.setNoDelay()
  await once(socket, tls ? 'secureConnect' : 'connect')
  return socket
}

/** Everything until the other side closes, however it does. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  if (!socket.destroyed) await once(socket, 'close')
  return Buffer.concat(pieces)
}

/** All answers in the bytes, with nothing left over. */
export function parseAnswers(bytes: Buffer, methods: readonly string[] = []): Answer[] {
  const answers: Answer[] = []
  let rest = bytes
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) throw new Error(`half an answer: ${rest.toString()}`)
    const [statusLine, ...lines] = rest.subarray(0, end).toString().split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const status = Number(statusLine!.split(' ')[1])
    const isHead = methods[answers.length] === 'HEAD'
    const length = isHead || status === 100 ? 0 : Number(headers['content-length'] ?? 0)
    rest = rest.subarray(end + 4)
    if (rest.length < length) throw new Error('body is cut')
    if (status !== 100) answers.push({ status, headers, body: rest.subarray(0, length).toString() })
    rest = rest.subarray(length)
  }
  return answers
}

/** `GET /v1/a` as bytes, with a Host and whatever else is given. */
export function request(line: string, headers: Record<string, string> = {}, body = ''): string {
  const all = { Host: 'localhost', ...(body && { 'Content-Length': String(Buffer.byteLength(body)) }), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** The last request of a connection. */
export function last(line: string, headers: Record<string, string> = {}, body = ''): string {
  return request(line, { ...headers, Connection: 'close' }, body)
}

export interface Certificates extends Disposable {
  directory: string
  caFile: string
  certFile: string
  keyFile: string
  clientCertFile: string
  clientKeyFile: string
}

/** An authority, a server certificate for localhost and a client certificate, made by the openssl command. */
export function makeCertificates(name = 'test'): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-http-'))
  const file = (base: string) => join(directory, base)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', `/CN=${name} CA`)
  for (const [base, subject] of [
    ['server', `/CN=${name}`],
    ['client', '/CN=client of the test'],
  ] as const) {
    const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key']
    const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    openssl(
      'req',
      '-x509',
      ...newKey,
      ...ca,
      ...names,
      '-keyout',
      `${base}.key`,
      '-out',
      `${base}.pem`,
      '-subj',
      subject,
    )
  }
  return {
    directory,
    caFile: file('ca.pem'),
    certFile: file('server.pem'),
    keyFile: file('server.key'),
    clientCertFile: file('client.pem'),
    clientKeyFile: file('client.key'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}
