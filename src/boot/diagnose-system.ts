/** What the operating system lets a server do, and what it might do to its secrets. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { buildDate } from '#lib/version.ts'
import { fail, type Finding, ok, skip, warn } from './diagnosis.ts'
import { coreLimit, exposedSwap, memoryNotice, swapState } from './memory.ts'

/** One for each connection, and some for the store, the ledger and audit files. */
const ENOUGH_FILES = 10_000

export function diagnoseSystem(): Finding[] {
  return [user(), openFiles(), swap(), coreDumps(), clock(), entropy()]
}

function user(): Finding {
  const uid = process.getuid?.()
  if (uid === undefined) return skip('User', 'this system has no numbers of users')
  if (uid !== 0) return ok('User', `runs as user ${uid}`)
  return warn('User', 'runs as root', 'Run the server, and this, as a user of its own: User= in the unit.')
}

/** Of this process: a service has its own limit, in its unit. */
function openFiles(): Finding {
  const text = limits()
  const match = text === undefined ? null : /^Max open files\s+(\S+)/m.exec(text)
  if (!match) return skip('Open files', 'the limit cannot be told here')
  if (match[1] === 'unlimited' || Number(match[1]) >= ENOUGH_FILES) return ok('Open files', `at most ${match[1]}`)
  return warn(
    'Open files',
    `at most ${match[1]}, and each connection takes one`,
    'LimitNOFILE=65536 in the unit, or ulimit -n 65536.',
  )
}

function swap(): Finding {
  const state = swapState()
  if (state.areas === undefined) return skip('Swap', memoryNotice(state))
  if (exposedSwap(state).length === 0) return ok('Swap', memoryNotice(state))
  return warn(
    'Swap',
    `on, and not encrypted: ${exposedSwap(state).join(', ')}`,
    'swapoff -a, encrypt it, or MemorySwapMax=0 in the unit.',
  )
}

function coreDumps(): Finding {
  const limit = coreLimit()
  if (limit === undefined) return skip('Core dumps', 'the limit cannot be told here')
  // `server` and `start` turn them off for themselves; a hard limit of the service holds for whatever else it runs.
  const here = limit.softBytes === 0 ? 'off here' : 'on here'
  return ok('Core dumps', `${here}; the server turns them off for itself`)
}

function clock(): Finding {
  const now = new Date()
  const advice = 'Turn on time synchronisation: timedatectl set-ntp true.'
  if (now < new Date(buildDate)) {
    return fail('Clock', `says ${now.toISOString()}, which is before this program was made`, advice)
  }
  return ok('Clock', now.toISOString())
}

function entropy(): Finding {
  const startedAt = performance.now()
  randomBytes(32)
  const tookMs = Math.round(performance.now() - startedAt)
  if (tookMs > 1000)
    return warn('Randomness', `32 bytes took ${tookMs} ms`, 'Install haveged or give the machine a virtio-rng.')
  return ok('Randomness', 'the system gives random bytes at once')
}

function limits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    // Only Linux has it.
    return undefined
  }
}
