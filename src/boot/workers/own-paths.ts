/**
 * What a worker answers itself: paths whose state is all in the store. Whatever is not named here, a new engine above all, is
 * handed to the main thread as a whole, and so is as exact there as on a server with one thread.
 */
import type { Incoming } from '#request/incoming.ts'
import type { Mounted, Mounts } from '#core/mounts/mounts.ts'

type Judge = (pattern: string) => boolean

const all: Judge = () => true
const allBut =
  (...patterns: string[]): Judge =>
  (pattern) =>
    !patterns.includes(pattern)
const only =
  (...patterns: string[]): Judge =>
  (pattern) =>
    patterns.includes(pattern)

/** By type of mount. */
const judges = new Map<string, Judge>([
  ['kv', all],
  ['generic', all],
  ['cubbyhole', all],
  ['transit', all],
  // Lists of what is revoked are made by one thread: who asks meanwhile waits for the next.
  ['pki', only('issue/:role', 'issuer/:issuer_ref/issue/:role', 'sign/:role', 'issuer/:issuer_ref/sign/:role')],
  // One tidying at a time.
  ['approle', allBut('tidy/secret-id')],
  ['userpass', all],
  ['token', allBut('tidy')],
  [
    'system',
    only(
      'capabilities',
      'capabilities-self',
      'capabilities-accessor',
      'internal/ui/mounts/*path',
      'leases/lookup',
      'leases/renew',
      'renew',
      'wrapping/wrap',
      'wrapping/unwrap',
      'wrapping/lookup',
      'wrapping/rewrap',
    ),
  ],
])

/** A promise only where the table of mounts has to be read first. */
export function isAnsweredHere(mounts: Mounts, incoming: Incoming): boolean | Promise<boolean> {
  const found = mounts.find(incoming.path)
  return found instanceof Promise ? found.then((mounted) => judge(mounted, incoming)) : judge(found, incoming)
}

function judge(mounted: Mounted | undefined, incoming: Incoming): boolean {
  const judged = mounted && judges.get(mounted.entry.type)
  if (!judged) return false
  if (judged === all) return true
  const listing = incoming.operation === 'list' || incoming.operation === 'scan'
  const match = mounted.paths.find(incoming.path.slice(mounted.route.length), listing)
  return match !== undefined && judged(match.path.pattern)
}
