/** What the tests of tokens and leases share: the real services over a real barrier, and a clock to move. */
import type { SecretCall } from '#core/leases/ending.ts'
import { Census } from '#core/quotas/census.ts'
import { Leases } from '#core/leases/leases.ts'
import type { CreateSpec } from '#core/tokens/issue.ts'
import type { Token } from '#core/tokens/token.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import type { Clock } from '#sdk/engine.ts'
import type { Driver } from '#sdk/storage.ts'
import { Barrier } from '#seal/barrier.ts'
import { meddled, openStore, type TestClock } from '#test/seal/support.ts'

export const settings = { defaultLeaseTtlSeconds: 2_764_800, maxLeaseTtlSeconds: 2_764_800, options: {} }

export interface Services<C extends Clock = TestClock> {
  driver: Driver
  barrier: Barrier
  clock: C
  tokens: Tokens
  leases: Leases
  /** Cubbyholes of ended tokens, in order. */
  ended: string[]
  /** What engines were told to take back, in order. */
  takenBack: SecretCall[]
  /** Set it to make the engine fail. */
  fault: { error: Error | undefined }
  make: (spec?: Partial<CreateSpec>) => Promise<Token>
  keys: (prefix: string) => Promise<string[]>
}

/** @param wrap  puts a driver of the test's between the barrier and the store */
export async function openServices(given?: Driver, wrap = (driver: Driver) => driver): Promise<Services> {
  const store = await openStore(given)
  const driver = wrap(store.driver)
  return await servicesOver(driver, new Barrier(driver, store.barrier.ring()), store.clock)
}

export async function servicesOver<C extends Clock>(driver: Driver, barrier: Barrier, clock: C): Promise<Services<C>> {
  const tokens = new Tokens({ storage: barrier.storage('core/token/'), clock })
  const takenBack: SecretCall[] = []
  const ended: string[] = []
  const fault: { error: Error | undefined } = { error: undefined }
  const leases = new Leases({
    storage: barrier.storage('core/lease/'),
    clock,
    tokens,
    census: new Census(barrier.storage('core/quota/'), async () => []),
    revokeSecret: async (call) => {
      if (fault.error) throw fault.error
      takenBack.push(call)
    },
    renewSecret: async () => {
      if (fault.error) throw fault.error
    },
  })
  tokens.onRevoke(async ({ cubbyhole }) => {
    ended.push(cubbyhole)
  })
  await tokens.prepare()
  return {
    driver,
    barrier,
    clock,
    tokens,
    leases,
    ended,
    takenBack,
    fault,
    keys: (prefix) => barrier.storage('core/').keys(prefix),
    make: async (spec = {}) => (await tokens.create({ ...plain, ...spec })).token,
  }
}

const plain: CreateSpec = {
  policies: ['default'],
  path: 'auth/token/create',
  displayName: 'token',
  ttlSeconds: 3600,
  renewable: true,
}

/** Holds one transaction at its end, after it read what it wants to change, so that others can come first. */
export function holdingDriver() {
  let armed = false
  let arrived: () => void
  let release: () => void
  const held = new Promise<void>((resolve) => (arrived = resolve))
  const released = new Promise<void>((resolve) => (release = resolve))
  return {
    held,
    holdNext: () => (armed = true),
    release: () => release(),
    wrap: (driver: Driver): Driver =>
      meddled(driver, {
        transact: (change) =>
          driver.transact(async (transaction) => {
            const result = await change(transaction)
            if (armed) {
              armed = false
              arrived()
              await released
            }
            return result
          }),
      }),
  }
}
