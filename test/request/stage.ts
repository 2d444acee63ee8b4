/** Staged races: holds real handlers of a real server until all have come, or until the test lets them go. For tests only. */
import type { Endpoint, Verb } from '#sdk/engine.ts'
import type { TestServer } from '#test/server.ts'

/** Each call waits until `count` have come. */
export function meeting(count: number): () => Promise<void> {
  const all = Promise.withResolvers<void>()
  let come = 0
  return async () => {
    come += 1
    if (come === count) all.resolve()
    await all.promise
  }
}

export interface Held {
  /** Resolves when a request has reached the handler. */
  reached: Promise<void>
  release(): void
}

/** Holds requests before the handler of a path; after `release` all go through. */
export async function hold(server: TestServer, route: string, verb: Verb): Promise<Held> {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  await before(server, route, verb, async () => {
    reached.resolve()
    await released.promise
  })
  return { reached: reached.promise, release: () => released.resolve() }
}

/** Runs `wait` before every call of a handler of this mount. */
export async function before(server: TestServer, path: string, verb: Verb, wait: () => Promise<void>): Promise<void> {
  const mounted = (await server.node.core.mounts.find(path))!
  const { paths } = mounted
  const find = paths.find.bind(paths)
  paths.find = (rest, listing) => {
    const match = find(rest, listing)
    const endpoint = match?.path.operations[verb]
    if (!match || !endpoint) return match
    const slow: Endpoint = {
      ...endpoint,
      handle: async (call) => {
        await wait()
        return endpoint.handle(call)
      },
    }
    return { ...match, path: { ...match.path, operations: { ...match.path.operations, [verb]: slow } } }
  }
}

/** Asks again until it holds. */
export async function eventually(holds: () => Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`did not come to hold within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
