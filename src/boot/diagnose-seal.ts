/** Whether what opens the store can be had: keys wrapped and unwrapped once, as at an unseal. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { AutoUnseal } from '#sdk/seal.ts'
import { autoUnseals } from '#seal/registry.ts'
import type { AutoUnsealConfig } from '#seal/seal.ts'
import { explain } from './auto-unseal.ts'
import type { ServerConfig } from './config.ts'
import { fail, type Finding, ok } from './diagnosis.ts'
import { sealConfig } from './seals.ts'

const ADVICE = 'The server cannot unseal itself: check the options of the seal and what they name.'
const TIMEOUT_MS = 25_000
const PROBE_BYTES = 32

export async function diagnoseSeal(config: ServerConfig): Promise<Finding[]> {
  try {
    const seal = sealConfig(config, process.env)
    const { leaving } = seal
    const used = seal.type === 'shamir' ? undefined : seal
    return [
      used ? await tried('Seal', used) : ok('Seal', 'shares: unsealed by people after each start'),
      ...(leaving ? [await tried('Seal: disabled', leaving)] : []),
    ]
  } catch (error) {
    return [fail('Seal', explain(error), ADVICE)]
  }
}

async function tried(name: string, { type, options }: AutoUnsealConfig): Promise<Finding> {
  let auto: AutoUnseal | undefined
  try {
    const { kind } = await autoUnseals[type]()
    const opened = (auto = await kind.open(options, 'look'))
    const probe = randomBytes(PROBE_BYTES)
    const again = await inTime(async () => await opened.unwrap(await opened.wrap(probe)))
    if (again.length !== PROBE_BYTES || !timingSafeEqual(again, probe)) {
      throw new Error('what was wrapped came back changed')
    }
    return ok(name, `"${type}" wraps and unwraps a key`)
  } catch (error) {
    return fail(name, explain(error), ADVICE)
  } finally {
    await auto?.close?.()
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
