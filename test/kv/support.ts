/** What the tests of the engine itself share: a mount over a real store behind a real barrier, without HTTP in front. */
import { PathTable } from '#core/mounts/paths.ts'
import { engines } from '#engines/registry.ts'
import type { Call, Mount, Operation, Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import type { Driver } from '#sdk/storage.ts'
import { Barrier } from '#seal/barrier.ts'
import { meddled, openStore, TestClock } from '#test/seal/support.ts'

export interface TestMount {
  mount: Mount
  clock: TestClock
  /** Keys of the store that were read, outside of transactions. */
  reads: string[]
  call: (operation: Operation, path: string, body?: unknown, more?: Partial<Call>) => Promise<Reply>
  /** All keys of the mount. */
  keys: () => Promise<string[]>
  setOptions: (options: Record<string, string>) => Promise<void>
}

export async function openMount(engineName: string, options: Record<string, string> = {}): Promise<TestMount> {
  const { engine } = await engines[engineName]!()
  const store = await openStore()
  const reads: string[] = []
  const counting: Driver = meddled(store.driver, {
    get: (key) => {
      reads.push(key)
      return store.driver.get(key)
    },
  })
  const clock = new TestClock()
  let settings = { defaultLeaseTtlSeconds: 2_764_800, maxLeaseTtlSeconds: 2_764_800, options }
  const mount: Mount = {
    path: `${engineName}/`,
    uuid: 'u',
    accessor: `${engineName}_1`,
    settings: () => settings,
    storage: new Barrier(counting, store.barrier.ring()).storage('data/mount/'),
    clock,
  }
  await engine.prepare?.(mount)

  async function call(
    operation: Operation,
    path: string,
    body: unknown = {},
    more: Partial<Call> = {},
  ): Promise<Reply> {
    const bodyText = typeof body === 'string' ? body : JSON.stringify(body)
    const given = JSON.parse(bodyText) as Record<string, unknown>
    const match = new PathTable(engine.paths(settings)).find(path, operation === 'list' || operation === 'scan')
    const endpoint = match?.path.operations[operation === 'create' ? 'update' : (operation as 'read')]
    if (!match || !endpoint) throw new ApiError('unsupported_operation', 'unsupported operation')
    const decoded = decode(endpoint.fields, { ...given, ...match.params })
    if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
    return endpoint.handle({
      mount,
      operation,
      path,
      data: decoded.value,
      body: given,
      bodyText,
      caller: undefined,
      token: undefined,
      remoteAddress: '127.0.0.1',
      wrapped: false,
      rights: { may: () => true, maySudo: () => true, sees: () => true },
      ...more,
    })
  }

  return {
    mount,
    clock,
    reads,
    call,
    keys: () => mount.storage.keys(''),
    async setOptions(changed) {
      const before = settings
      settings = { ...settings, options: changed }
      try {
        await engine.prepare?.(mount)
      } catch (error) {
        settings = before
        throw error
      }
    },
  }
}

export function member(value: unknown, ...names: string[]): unknown {
  return names.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], value)
}
