/**
 * Where the memory of this process could be read later: swap, core dumps, snapshots of the heap, the debugger. Node can lock
 * no memory (mlock) and cannot be made undumpable (PR_SET_DUMPABLE); what can be done instead is done or advised here.
 */
import { readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { ConfigError } from './config.ts'

/** Options by which Node lets others read its memory, or writes it to disk. */
const WATCHING =
  /^--(?:inspect|heapsnapshot|heap-prof|cpu-prof|report-(?:on|signal|uncaught)|abort-on-uncaught|trace-event|debug)/

/**
 * To be called before the first secret is there.
 *
 * @throws ConfigError if the process was started so that its memory can be read
 */
export function refuseWatchers(execArgv: readonly string[], nodeOptions: string | undefined): void {
  const given = [...execArgv, ...(nodeOptions ?? '').split(/\s+/)].find((option) => WATCHING.test(option))
  if (given === undefined) return
  throw new ConfigError(
    `Node was started with ${given.split('=')[0]}, by which secrets in memory can be read: start without it (NODE_OPTIONS?)`,
  )
}

/** Diagnostic reports hold the environment and the stack. They are off by default; nothing may turn them on later. */
export function quietReports(): void {
  Object.assign(process.report, {
    reportOnFatalError: false,
    reportOnSignal: false,
    reportOnUncaughtException: false,
    excludeEnv: true,
  })
}

export interface SwapState {
  /** Undefined where it cannot be told. */
  areas: { name: string; kind: 'plain' | 'encrypted' | 'memory' }[] | undefined
  /** The control group of this process may not use swap. */
  forbidden: boolean
}

/** @param root  of the file system, for tests */
export function swapState(root = '/'): SwapState {
  const text = read(path.join(root, 'proc/swaps'))
  if (text === undefined) return { areas: undefined, forbidden: false }
  const names = text
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s/)[0]!)
  const areas = names.filter((name) => name !== '').map((name) => ({ name, kind: kindOf(root, name) }))
  return { areas, forbidden: swapForbidden(root) }
}

/** What can come to lie on a disk in clear text. */
export function exposedSwap({ areas, forbidden }: SwapState): string[] {
  return forbidden ? [] : (areas ?? []).filter(({ kind }) => kind === 'plain').map(({ name }) => name)
}

function kindOf(root: string, name: string): 'plain' | 'encrypted' | 'memory' {
  let device: string
  try {
    device = path.basename(realpathSync(path.join(root, name)))
  } catch {
    return 'plain'
  }
  if (device.startsWith('zram')) return 'memory'
  const mapped = read(path.join(root, 'sys/block', device, 'dm/uuid'))
  return mapped?.startsWith('CRYPT-') ? 'encrypted' : 'plain'
}

/** Control groups of version 2, as systemd's MemorySwapMax= sets them; a bound of any group above counts too. */
function swapForbidden(root: string): boolean {
  const own = /^0::(\/.*)$/m.exec(read(path.join(root, 'proc/self/cgroup')) ?? '')?.[1]
  if (own === undefined) return false
  const parts = own.split('/').filter((part) => part !== '')
  return parts.some((_, at) => {
    const group = path.join(root, 'sys/fs/cgroup', ...parts.slice(0, at + 1), 'memory.swap.max')
    return read(group)?.trim() === '0'
  })
}

/** Bytes that a core dump may have; undefined: no bound, or unknown. */
export function coreLimit(root = '/'): { softBytes: number | undefined } | undefined {
  const match = /^Max core file size\s+(\S+)/m.exec(read(path.join(root, 'proc/self/limits')) ?? '')
  return match ? { softBytes: match[1] === 'unlimited' ? undefined : Number(match[1]) } : undefined
}

/** One line for the log of a server that starts. */
export function memoryNotice(state: SwapState = swapState()): string {
  const exposed = exposedSwap(state)
  if (state.areas === undefined) return 'memory is not locked (Node has no mlock): keep swap off or encrypted'
  if (exposed.length > 0) {
    return `memory is not locked (Node has no mlock) and swap is on and not encrypted (${exposed.join(', ')}): secrets can reach the disk; turn it off (swapoff -a), encrypt it, or set MemorySwapMax=0 for the service`
  }
  const why =
    state.areas.length === 0 ? 'there is no swap' : state.forbidden ? 'this service may not swap' : 'swap is safe'
  return `memory is not locked (Node has no mlock), and need not be: ${why}`
}

export function coreNotice(limit = coreLimit()): string | undefined {
  if (limit === undefined || limit.softBytes === 0) return undefined
  return 'core dumps are on, and would hold secrets: start with bin/strongroom, or set LimitCORE=0 for the service'
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Not there on this system, or not for us: then nothing can be told from it.
    return undefined
  }
}
