/** How often one may ask, and how much may go on at once, before a look-up costs anything. */
import type { Taken } from '#core/quotas/limiter.ts'
import { Occupancy } from '#core/occupancy.ts'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Core } from './core.ts'
import type { Incoming } from './incoming.ts'
import type { Routed } from './route.ts'

declare const mark: unique symbol
export interface Admitted extends Routed {
  readonly [mark]: true
}

/** Header lines that tell how much a client may still ask. */
type Limits = Readonly<Record<string, string>>

/** Far above what one worker answers at once; only a client that piles up requests without end gets here. */
const MAX_IN_FLIGHT = 10_000

export class InFlight {
  readonly #inside = new Occupancy()
  /** With holes, which `#free` knows: a map from which every request is deleted again cost a read one part in thirty. */
  readonly #all: (Routed | undefined)[] = []
  readonly #free: number[] = []
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#inside.count
  }

  /** Those that are being answered, in the order in which they came. */
  all(): { routed: Routed; begunAt: Date }[] {
    return this.#all
      .filter((routed) => routed !== undefined)
      .map((routed) => ({ routed, begunAt: routed.begunAt! }))
      .toSorted((a, b) => a.begunAt.getTime() - b.begunAt.getTime())
  }

  /** @returns whether all was answered within `timeoutMs` */
  drained(timeoutMs: number): Promise<boolean> {
    return this.#inside.empty(timeoutMs)
  }

  enter(routed: Routed): Admitted {
    if (this.#inside.count >= MAX_IN_FLIGHT)
      throw new ApiError('too_many_requests', 'too many requests are going on; try again')
    // In the same step as the check that the mount is not closed: whoever closes it waits for us.
    routed.mounted?.usage.enter(routed.incoming.path)
    this.#inside.enter()
    routed.begunAt = this.#clock.now()
    routed.number = this.#free.pop() ?? this.#all.length
    this.#all[routed.number] = routed
    return routed as Admitted
  }

  leave(admitted: Admitted): void {
    admitted.mounted?.usage.leave()
    this.#inside.leave()
    this.#all[admitted.number] = undefined
    this.#free.push(admitted.number)
  }
}

/** @throws ApiError `too_many_requests` when a rate quota, or the bound of the server, is used up */
export function admit(core: Core, inFlight: InFlight, routed: Routed): Admitted | Promise<Admitted> {
  return core.quotas.noRates ? inFlight.enter(routed) : limited(core, inFlight, routed)
}

async function limited(core: Core, inFlight: InFlight, routed: Routed): Promise<Admitted> {
  routed.limits = await takeOne(core, routed.incoming, routed.mounted)
  return inFlight.enter(routed)
}

/** @returns what the answer tells of it, if it is to tell */
export async function takeOne(
  core: Core,
  { path, body, remoteAddress, token }: Incoming,
  mounted: Routed['mounted'],
): Promise<Limits | undefined> {
  const asked = await core.quotas.take({ mounted, path, body, remoteAddress, token })
  if (!asked) return undefined
  const { taken, config } = asked
  const limits = config.enable_rate_limit_response_headers ? headersOf(taken) : undefined
  if (taken.allowed) return limits
  const message = `request path ${JSON.stringify(path)}: rate limit quota exceeded`
  const refusal = new ApiError('too_many_requests', message, {
    reason: `${message} (${asked.rule})`,
    unrecorded: !config.enable_rate_limit_audit_logging,
  })
  throw withLimits(refusal, limits)
}

/** The answer, or the refusal, with those header lines. */
export function withLimits<T extends { headers?: Limits | undefined }>(answer: T, limits: Limits | undefined): T {
  if (!limits) return answer
  if (!(answer instanceof Error)) return { ...answer, headers: { ...answer.headers, ...limits } }
  answer.headers = { ...answer.headers, ...limits }
  return answer
}

function headersOf({ allowed, limit, left, resetMs, retryMs }: Taken): Limits {
  return {
    'X-Ratelimit-Limit': String(limit),
    'X-Ratelimit-Remaining': String(left),
    'X-Ratelimit-Reset': String(wholeSeconds(resetMs)),
    // Never 0, which would ask for the next attempt at once.
    ...(!allowed && { 'Retry-After': String(Math.max(1, wholeSeconds(retryMs))) }),
  }
}

function wholeSeconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000))
}
