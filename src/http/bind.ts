/** Listening on an address, also on that of a unix socket whose last owner was killed. */
import { once } from 'node:events'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import type { Address } from './options.ts'

interface BindOptions {
  reusePort?: boolean
  socketMode?: number
}

/** @returns the address as text, with the port that was chosen */
export async function bind(server: Server, address: Address, { reusePort, socketMode }: BindOptions): Promise<string> {
  if ('path' in address) {
    await removeStale(address.path)
    await listen(server, { path: address.path })
    await chmod(address.path, socketMode ?? 0o600)
    return address.path
  }
  const { host, port } = address
  await listen(server, { port, ...(host !== undefined && { host }), ...(reusePort && { reusePort }) })
  const given = server.address()
  if (given === null || typeof given === 'string') throw new Error('listener: has no port')
  return given.family === 'IPv6' ? `[${given.address}]:${given.port}` : `${given.address}:${given.port}`
}

async function listen(server: Server, where: { path: string } | { port: number; host?: string; reusePort?: boolean }) {
  const listening = once(server, 'listening')
  server.listen(where)
  await listening
}

/** Removes a socket that nobody answers at; anything else at that path stays, and listening then fails. */
async function removeStale(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there?.isSocket() && !(await isAnswered(path))) await unlink(path)
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    // Refused: its owner is gone.
    return false
  } finally {
    socket.destroy()
  }
}
