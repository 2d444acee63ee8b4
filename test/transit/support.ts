/** A server with transit at `transit/`. For tests only. */
import { type Options, startServer } from '#test/server.ts'

export async function startTransit(options: Options = {}) {
  const server = await startServer(options)
  const { status, text } = await server.write('sys/mounts/transit', { type: 'transit' })
  if (status !== 204) throw new Error(text)
  return server
}

export const base64 = (text: string) => Buffer.from(text).toString('base64')
