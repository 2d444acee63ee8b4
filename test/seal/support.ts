/** What the tests of the seal share: a clock to move, and stores that are initialized and open. */
import { drivers } from '#storage/registry.ts'
import { Seal } from '#seal/seal.ts'
import type { Barrier } from '#seal/barrier.ts'
import type { InitOptions } from '#sdk/seal.ts'
import type { Driver } from '#sdk/storage.ts'

export const noOptions: InitOptions = {
  shares: 0,
  threshold: 0,
  storedShares: 0,
  recoveryShares: 0,
  recoveryThreshold: 0,
}

export class TestClock {
  at = new Date('2026-01-01T00:00:00Z')

  now(): Date {
    return this.at
  }

  passSeconds(seconds: number): void {
    this.at = new Date(this.at.getTime() + seconds * 1000)
  }
}

export async function memoryDriver(): Promise<Driver> {
  return await (await drivers.memory()).open({})
}

export async function sqliteDriver(path: string): Promise<Driver> {
  return await (await drivers.sqlite()).open({ path })
}

export interface Opened {
  driver: Driver
  clock: TestClock
  seal: Seal
  barrier: Barrier
  shares: Uint8Array[]
}

/** A store with one Shamir share, initialized and unsealed. */
export async function openStore(given?: Driver): Promise<Opened> {
  const driver = given ?? (await memoryDriver())
  const clock = new TestClock()
  const seal = await Seal.open(driver, { type: 'shamir' }, clock)
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  return { driver, clock, seal, barrier: seal.barrier!, shares }
}

/** The same store after a restart, unsealed. */
export async function reopen({ driver, clock, shares }: Opened): Promise<Seal> {
  const seal = await Seal.open(driver, { type: 'shamir' }, clock)
  await seal.submitShare(shares[0]!)
  return seal
}

/** Passes everything on, but changes what the test says: a store as an attacker or a fault would leave it. */
export function meddled(driver: Driver, change: Partial<Driver>): Driver {
  return {
    moment: () => driver.moment(),
    get: (key) => driver.get(key),
    getMany: (keys) => driver.getMany(keys),
    list: (prefix, page) => driver.list(prefix, page),
    keys: (prefix, page) => driver.keys(prefix, page),
    scan: (prefix, page) => driver.scan(prefix, page),
    transact: (work) => driver.transact(work),
    onCommit: (listener) => driver.onCommit(listener),
    trouble: () => driver.trouble(),
    close: () => driver.close(),
    ...change,
  }
}
