/** What the tests of AppRole share: a server with the method at auth/approle/, and the engine over a store to meddle with. */
import assert from 'node:assert/strict'
import { engine } from '#auth/approle/engine.ts'
import { PathTable } from '#core/mounts/paths.ts'
import type { Call, Mount, Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import type { Driver } from '#sdk/storage.ts'
import { Barrier } from '#seal/barrier.ts'
import { meddled, openStore } from '#test/seal/support.ts'
import { type Answer, type Options, startServer, type TestServer } from '#test/server.ts'

export const UNKNOWN = '00000000-0000-0000-0000-000000000000'

export async function startAppRole(options: Options = {}): Promise<TestServer> {
  const server = await startServer({ at: '2026-01-01T00:00:00Z', ...options })
  await enable(server, 'approle')
  return server
}

/** Without lock-out: these tests fail to log in more often than it allows. It has tests of its own. */
export async function enable(server: TestServer, path: string): Promise<void> {
  const config = { user_lockout_config: { lockout_disable: true } }
  assert.equal((await server.write(`sys/auth/${path}`, { type: 'approle', config })).status, 204)
}

/** Makes a role. @returns its role id */
export async function makeRole(
  server: TestServer,
  name: string,
  fields: Record<string, unknown> = {},
  at = 'approle',
): Promise<string> {
  const made = await server.write(`auth/${at}/role/${name}`, fields)
  assert.equal(made.status, 204, made.text)
  return (await server.read(`auth/${at}/role/${name}/role-id`)).body.data.role_id
}

export async function makeSecret(
  server: TestServer,
  name: string,
  fields: Record<string, unknown> = {},
  at = 'approle',
): Promise<{ secret_id: string; secret_id_accessor: string; secret_id_num_uses: number; secret_id_ttl: number }> {
  const made = await server.write(`auth/${at}/role/${name}/secret-id`, fields)
  assert.equal(made.status, 200, made.text)
  return made.body.data
}

export function logIn(server: TestServer, roleId?: string, secretId?: string, at = 'approle'): Promise<Answer> {
  return server.write(`auth/${at}/login`, { role_id: roleId, secret_id: secretId }, null)
}

export function assertInvalid(answer: Answer): void {
  assert.deepEqual([answer.status, answer.body], [400, { errors: ['invalid role or secret ID'] }])
}

export interface BareEngine {
  mount: Mount
  call: (path: string, body?: Record<string, unknown>, more?: Partial<Call>) => Promise<Reply>
  pass: (seconds: number) => void
  /** All keys of the mount. */
  keys: () => Promise<string[]>
}

/** The engine over a memory store, whose driver the test may change. Calls are updates. */
export async function openEngine(change: (driver: Driver) => Partial<Driver> = () => ({})): Promise<BareEngine> {
  const { driver, barrier, clock } = await openStore()
  const mount: Mount = {
    path: 'auth/approle/',
    uuid: 'u',
    accessor: 'auth_approle_1',
    settings: () => ({ defaultLeaseTtlSeconds: 2_764_800, maxLeaseTtlSeconds: 2_764_800, options: {} }),
    storage: new Barrier(meddled(driver, change(driver)), barrier.ring()).storage('data/mount/'),
    clock,
  }
  await engine.prepare!(mount)
  const table = new PathTable(engine.paths(mount.settings()))
  return {
    mount,
    pass: (seconds) => clock.passSeconds(seconds),
    keys: () => mount.storage.keys(''),
    async call(path, body = {}, more = {}) {
      const match = table.find(path, false)!
      const endpoint = match.path.operations.update!
      const decoded = decode(endpoint.fields, { ...body, ...match.params })
      if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
      return endpoint.handle({
        mount,
        operation: 'update',
        path,
        data: decoded.value,
        body,
        bodyText: JSON.stringify(body),
        caller: undefined,
        token: undefined,
        remoteAddress: '127.0.0.1',
        wrapped: false,
        ...more,
      })
    },
  }
}
