/** The engine over a memory store, without a server: for lists that are too long to be made request by request. */
import { engine } from '#engines/pki/engine.ts'
import { PathTable } from '#core/mounts/paths.ts'
import type { Mount, Reply, Verb } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import { openStore } from '#test/seal/support.ts'

export async function openEngine() {
  const { barrier, clock } = await openStore()
  const mount: Mount = {
    path: 'pki/',
    uuid: crypto.randomUUID(),
    accessor: 'pki_1',
    settings: () => ({ defaultLeaseTtlSeconds: 2_764_800, maxLeaseTtlSeconds: 2_764_800, options: {} }),
    storage: barrier.storage('data/mount/'),
    clock,
  }
  const table = new PathTable(engine.paths(mount.settings()))
  async function call(verb: Verb, path: string, body: Record<string, unknown> = {}): Promise<Reply> {
    const match = table.find(path, false)!
    const endpoint = match.path.operations[verb]!
    const decoded = decode(endpoint.fields, { ...body, ...match.params })
    if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
    return await endpoint.handle({
      mount,
      operation: verb,
      path,
      data: decoded.value,
      body,
      bodyText: '',
      caller: undefined,
      token: undefined,
      remoteAddress: '127.0.0.1',
      wrapped: false,
    })
  }
  return {
    mount,
    call,
    pass: (seconds: number) => clock.passSeconds(seconds),
    read: (path: string) => call('read', path),
    write: (path: string, body: Record<string, unknown> = {}) => call('update', path, body),
    tidy: () => engine.tidy!(mount),
  }
}
