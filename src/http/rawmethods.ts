/**
 * The methods LIST and SCAN, which clients of the Vault API send and the HTTP parser of Node does not know.
 *
 * The parser stops at the first letter that fits none of its methods and says where. If the word there is LIST or SCAN,
 * a method of the same length that it does know and that nobody uses (LINK, LOCK) takes its place, node:http lets go of
 * the socket, and the bytes from that word on are given back to the socket, which then is a new connection to node:http.
 * All boundaries between requests are found by the parser, never here, so that the same word inside a body is left alone.
 * It is the same socket throughout: TLS, back-pressure, time-outs and the count of connections go on as they were. A
 * LINK or LOCK that a client sends is not marked as renamed and is refused like any unknown method.
 *
 * Of a word cut by packets the first letters may be gone when the parser stops: it took them as the beginning of another
 * method. Then those that are left decide. Boundaries do not depend on it, and whoever sends nonsense cut in such a way
 * gets what a LIST would have given.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type Connection, whenAnswered } from './connection.ts'
import { ProtocolError } from './errors.ts'

const words = [
  { method: 'LIST', standIn: 'LINK', letters: Buffer.from('LIST '), refusedLetter: 2 },
  { method: 'SCAN', standIn: 'LOCK', letters: Buffer.from('SCAN '), refusedLetter: 1 },
] as const

type Word = (typeof words)[number]

/** The listeners of node:http on a socket that must go when it lets go of it. */
const EVENTS = ['data', 'end', 'timeout', 'drain', 'close'] as const

/** To be called right after node:http has taken a socket, while its listeners are the last ones. */
export function noteListeners(socket: Socket, connection: Connection): void {
  for (const event of EVENTS) {
    const listener = socket.listeners(event).at(-1)
    if (listener) connection.listeners.set(event, listener as (...args: unknown[]) => void)
  }
}

export interface Refused {
  packet: Buffer
  /** Index of the letter at which the parser stopped. */
  at: number
}

export interface TakeOver {
  server: Server
  /** The event by which sockets come to node:http. */
  event: 'connection' | 'secureConnection'
  /** How long the rest of a word may take, in milliseconds. */
  waitMs: number
  /** Answers with an error and ends the connection. */
  refuse: (error: ProtocolError) => void
}

/** @returns whether the word was (or, as far as it is there, may be) one of ours, and will be taken care of */
export function takeOver(context: TakeOver, socket: Socket, connection: Connection, { packet, at }: Refused): boolean {
  const word = words.find(
    (each) => fits(each, packet, at - each.refusedLetter) && !isGlued(packet, at - each.refusedLetter, connection),
  )
  if (!word) return false
  connection.takingOver = true
  letGoOfReading(socket, connection)
  // Letters that are gone are put back, so that what follows has the word at its start.
  const start = at - word.refusedLetter
  const bytes = start < 0 ? Buffer.concat([word.letters.subarray(0, -start), packet]) : packet.subarray(start)
  if (bytes.length >= word.letters.length) handBack(context, socket, connection, word, bytes)
  else awaitRest(context, socket, connection, word, bytes)
  return true
}

/** Whether all letters of the word that are in the packet are right. */
function fits(word: Word, packet: Buffer, start: number): boolean {
  return word.letters.every((letter, index) => {
    const seen = packet[start + index]
    return seen === undefined || seen === letter
  })
}

/** Whether the word is only the end of a longer one, as in UNLIST. After a body, anything may stand before a method. */
function isGlued(packet: Buffer, start: number, connection: Connection): boolean {
  const before = start > 0 ? packet[start - 1]! : 0x0a
  return before !== 0x0a && !connection.hadBody
}

/** No more bytes for the old parser. Adding a listener for data makes node:http stop reading beside the stream. */
function letGoOfReading(socket: Socket, connection: Connection): void {
  for (const event of ['data', 'end'] as const) {
    const listener = connection.listeners.get(event)
    if (listener) socket.removeListener(event, listener)
  }
}

function awaitRest(context: TakeOver, socket: Socket, connection: Connection, word: Word, first: Buffer): void {
  let bytes = first
  const stop = () => {
    clearTimeout(timer)
    socket.off('data', onData).off('close', stop).off('end', onEnd)
  }
  const onEnd = () => socket.destroy()
  const timer = setTimeout(() => {
    stop()
    context.refuse(new ProtocolError(408, 'request timeout'))
  }, context.waitMs)
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (!fits(word, bytes, 0)) {
      stop()
      context.refuse(new ProtocolError(400, 'malformed request'))
    } else if (bytes.length >= word.letters.length) {
      stop()
      handBack(context, socket, connection, word, bytes)
    }
  }
  socket.on('data', onData).on('close', stop).on('end', onEnd)
}

/** Once the answers to earlier requests are out, the socket becomes a new connection that begins with the stand-in. */
function handBack(context: TakeOver, socket: Socket, connection: Connection, word: Word, bytes: Buffer): void {
  bytes.write(word.standIn, 0, 'latin1')
  const pieces = [bytes]
  const hold = (chunk: Buffer) => {
    pieces.push(chunk)
    socket.pause()
  }
  socket.on('data', hold)
  socket.pause()
  const proceed = () => {
    socket.off('data', hold)
    // The last answer may have ended the connection, or the client may be gone.
    if (socket.destroyed || !socket.writable || connection.closing) return
    if (socket.readableEnded) {
      socket.destroy()
      return
    }
    letGo(socket, connection)
    connection.takingOver = false
    connection.renamed = word.method
    socket.unshift(pieces.length === 1 ? bytes : Buffer.concat(pieces))
    context.server.emit(context.event, socket)
    socket.resume()
  }
  whenAnswered(connection, proceed)
}

/** What node:http does when a socket closes, it does now: it frees the parser and forgets the socket. */
function letGo(socket: Socket, connection: Connection): void {
  for (const [event, listener] of connection.listeners) socket.removeListener(event, listener)
  connection.listeners.get('close')?.()
}
