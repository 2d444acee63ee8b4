/** The looking of `debug`: each target at its own pace, until the time is over or somebody interrupts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { blankSecrets, blankTokens } from '#cli/blank.ts'
import { isObject } from '#cli/json.ts'
import type { Session } from '#cli/session.ts'
import { productVersion } from '#lib/version.ts'
import type { TarFile } from '#cli/tar.ts'
import { looks, type Target } from './targets.ts'

export interface Plan {
  durationSeconds: number
  intervalSeconds: number
  metricsIntervalSeconds: number
  targets: readonly Target[]
}

/** Of the log; what comes later is left out. */
const MAX_LOG_CHARACTERS = 16 * 1024 * 1024
/** Of the answers of one target. */
const MAX_TARGET_CHARACTERS = 32 * 1024 * 1024

interface Trouble {
  error: string
  target: Target
  timestamp: string
}

export async function gather(session: Session, plan: Plan, startedAt: Date, stop: AbortSignal): Promise<TarFile[]> {
  const troubles: Trouble[] = []
  const over = AbortSignal.any([stop, AbortSignal.timeout(plan.durationSeconds * 1000)])
  const told = (target: Target) => (error: unknown) => {
    const text = error instanceof Error ? error.message : String(error)
    troubles.push({ error: blankTokens(text), target, timestamp: new Date().toISOString() })
  }
  const files = await Promise.all(
    plan.targets.map((target) =>
      target === 'log' ? followLog(session, over, told(target)) : lookAt(session, target, plan, over, told(target)),
    ),
  )
  return [...files.filter((file) => file !== undefined), indexFile(session, plan, startedAt, troubles)]
}

async function lookAt(
  session: Session,
  target: Exclude<Target, 'log'>,
  plan: Plan,
  over: AbortSignal,
  told: (error: unknown) => void,
): Promise<TarFile | undefined> {
  const { file, once } = looks[target]
  const intervalMs = 1000 * (target === 'metrics' ? plan.metricsIntervalSeconds : plan.intervalSeconds)
  const seen: string[] = []
  let characters = 0
  do {
    try {
      const text = JSON.stringify(
        { timestamp: new Date().toISOString(), ...(await answers(session, target)) },
        undefined,
        2,
      )
      characters += text.length
      seen.push(text)
    } catch (error) {
      told(error)
      // What is refused or not there now will be so in half a minute.
      if (seen.length === 0) return undefined
    }
    if (once || characters > MAX_TARGET_CHARACTERS) break
    await sleep(intervalMs, undefined, { signal: over }).catch(() => {})
  } while (!over.aborted)
  return { name: file, bytes: Buffer.from(`[${seen.join(',\n')}]\n`) }
}

async function answers(session: Session, target: Exclude<Target, 'log'>): Promise<Record<string, unknown>> {
  const { paths, query } = looks[target]
  const all: Record<string, unknown> = {}
  for (const [name, path] of Object.entries(paths)) {
    const { json, text } = await session.ask('GET', path, { ...(query && { query }) })
    const data = isObject(json) && isObject(json['data']) ? json['data'] : (json ?? text)
    all[name] = blankSecrets(data)
  }
  return all
}

async function followLog(
  session: Session,
  over: AbortSignal,
  told: (error: unknown) => void,
): Promise<TarFile | undefined> {
  let log = ''
  try {
    const query = { log_level: 'trace' }
    await session.follow('sys/monitor', { query, signal: over }, (text) => {
      if (log.length < MAX_LOG_CHARACTERS) log += text
    })
  } catch (error) {
    if (!over.aborted) told(error)
  }
  return log === '' && !over.aborted ? undefined : { name: 'server.log', bytes: Buffer.from(blankTokens(log)) }
}

function indexFile(session: Session, plan: Plan, startedAt: Date, errors: readonly Trouble[]): TarFile {
  const index = {
    version: productVersion,
    address: session.address,
    timestamp: startedAt.toISOString(),
    duration_seconds: plan.durationSeconds,
    interval_seconds: plan.intervalSeconds,
    metrics_interval_seconds: plan.metricsIntervalSeconds,
    targets: plan.targets,
    errors,
  }
  return { name: 'index.json', bytes: Buffer.from(`${JSON.stringify(index, undefined, 2)}\n`) }
}
