/** Listening on an address, also on that of a unix socket whose last owner was killed. */
import { once } from 'node:events'
import { chmod, chown, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import type { Address } from './options.ts'

interface BindOptions {
  reusePort?: boolean
  socketMode?: number
  socketOwner?: { uid?: number; gid?: number }
}

/** @returns the address as text, with the port that was chosen */
export async function bind(
  server: Server,
  address: Address,
  { reusePort, socketMode, socketOwner }: BindOptions,
): Promise<string> {
  if ('path' in address) {
    await removeStale(address.path)
    await listenForOwner(server, address.path)
    if (socketOwner) await chown(address.path, socketOwner.uid ?? -1, socketOwner.gid ?? -1)
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

/** Nobody else may connect before the socket has its owner and mode. It is made before `listen` returns. */
async function listenForOwner(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177)
  try {
    const listening = listen(server, { path })
    process.umask(before)
    await listening
  } finally {
    process.umask(before)
  }
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
