/** Whether what opens the store can be had: keys wrapped and unwrapped once, as at an unseal. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { autoUnseals } from '#seal/registry.ts'
import type { ServerConfig } from './config.ts'
import { fail, type Finding, ok } from './diagnosis.ts'
import { sealConfig } from './seals.ts'

const TIMEOUT_MS = 15_000
const PROBE_BYTES = 32

export async function diagnoseSeal(config: ServerConfig): Promise<Finding[]> {
  try {
    const seal = sealConfig(config, process.env)
    if (seal.type === 'shamir') return [ok('Seal', 'shares: unsealed by people after each start')]
    const { kind } = await autoUnseals[seal.type]()
    const auto = await kind.open(seal.options)
    const probe = randomBytes(PROBE_BYTES)
    const same = await inTime(async () => timingSafeEqual(await auto.unwrap(await auto.wrap(probe)), probe))
    if (!same) throw new Error('what was wrapped came back changed')
    return [ok('Seal', `"${seal.type}" wraps and unwraps a key`)]
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [fail('Seal', message, 'The server cannot unseal itself: check the options of the seal and what they name.')]
  }
}

async function inTime<T>(work: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS)
  try {
    return await Promise.race([work(), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
