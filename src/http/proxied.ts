/**
 * Connections that come through a proxy which tells whose they are (PROXY protocol). Its header comes before everything
 * else, before TLS too, so sockets are held back from node:http until it has been read.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Log, ProxyProtocol } from './options.ts'
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from './proxy-header.ts'

export interface Source {
  address: string
  port: number
}

export interface Proxied {
  /** Whose connection it is that node:http gets right now; undefined where no proxy told. */
  source(): Source | undefined
  /** Closes those whose header has not come. */
  close(): void
}

interface Options {
  protocol: ProxyProtocol
  secure: boolean
  /** How long a header may take. */
  waitMs: number
  log: Log
}

type Take = (this: Server, socket: Duplex) => void

/** Who was told is bound to what happens to the connection from then on: its TLS socket is made of it, and comes later. */
const sources = new AsyncLocalStorage<Source | undefined>()

/** To be called when all that listens for connections of the server is there, and before it listens itself. */
export function holdBack(server: Server, { protocol, secure, waitMs, log }: Options): Proxied {
  const takers = server.listeners('connection') as Take[]
  const waiting = new Set<Socket>()
  const tell = sparingly(log)
  const passed = new WeakSet<Duplex>()
  const pass = (socket: Duplex, source: Source | undefined) => {
    passed.add(socket)
    sources.run(source, () => {
      for (const take of takers) take.call(server, socket)
    })
  }
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    // Given back for a method that the parser does not know: its header was read long ago.
    if (passed.has(socket)) return pass(socket, undefined)
    const trusted = protocol.trusts(socket.remoteAddress ?? '')
    if (!trusted && protocol.denyOthers) {
      const details = { remote_address: socket.remoteAddress ?? '' }
      tell('connection refused: its source may not speak for others (proxy_protocol_authorized_addrs)', details)
      socket.destroy()
      return
    }
    if (!trusted) return pass(socket, undefined)
    waiting.add(socket)
    socket.once('close', () => waiting.delete(socket))
    readHeader(socket, waitMs, (outcome) => {
      waiting.delete(socket)
      if (typeof outcome === 'string') {
        tell('connection closed: PROXY header', { problem: outcome, remote_address: socket.remoteAddress ?? '' })
        socket.destroy()
        return
      }
      handOn(socket, outcome.rest, secure, (given) => pass(given, outcome.source))
    })
  })
  return {
    source: () => sources.getStore(),
    close() {
      for (const socket of waiting) socket.destroy()
    },
  }
}

interface Read {
  source: Source
  /** What came behind the header. */
  rest: Buffer
}

/** Calls `done` once: with what was read, or with what was wrong; not at all if the connection ends before. */
function readHeader(socket: Socket, waitMs: number, done: (outcome: string | Read) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', onData).off('close', stop).off('error', ignore).off('end', onEnd)
  }
  const timer = setTimeout(() => {
    stop()
    done('did not come in time')
  }, waitMs)
  const onEnd = () => socket.destroy()
  const onData = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const header = parseProxyHeader(bytes.subarray(0, MAX_PROXY_HEADER_BYTES))
    if (header.kind === 'more') return
    stop()
    if (header.kind === 'bad') return done(header.message)
    socket.pause()
    const isHeader = header.kind === 'header'
    // Noted also where it is the proxy itself: a TLS socket may be made of a stream that has no address.
    const own = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    done({ source: (isHeader && header.source) || own, rest: isHeader ? bytes.subarray(header.bytes) : bytes })
  }
  socket.on('data', onData).on('close', stop).on('error', ignore).on('end', onEnd)
}

/** A parser of HTTP gets what came behind the header back from the socket. TLS reads beside the socket, and would not. */
function handOn(socket: Socket, rest: Buffer, secure: boolean, pass: (socket: Duplex) => void): void {
  if (secure && rest.length > 0) return pass(withRest(socket, rest))
  if (rest.length > 0) socket.unshift(rest)
  pass(socket)
  socket.resume()
}

const TELL_MS = 10_000

/** Strangers must not fill the log: after a line, for a while they are only counted. */
function sparingly(log: Log): Log {
  let quietUntil = 0
  let untold = 0
  return (message, details) => {
    const now = performance.now()
    if (now < quietUntil) {
      untold += 1
      return
    }
    log(message, untold === 0 ? details : { ...details, untold_before: untold })
    quietUntil = now + TELL_MS
    untold = 0
  }
}

/** The socket as a stream that begins with these bytes. */
function withRest(socket: Socket, rest: Buffer): Duplex {
  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  stream.push(rest)
  socket.on('data', (chunk) => {
    if (!stream.push(chunk)) socket.pause()
  })
  socket.on('end', () => stream.push(null)).on('error', ignore)
  socket.on('close', () => stream.destroy())
  return stream
}

/** The end of the connection follows, and is what counts. */
function ignore(): void {}
