/**
 * Where requests enter. Some paths are answered without the barrier; all others wait behind it and are refused while the
 * server is sealed.
 */
import { PathTable } from '#core/mounts/paths.ts'
import type { Clock, Path, Reply, Verb } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import type { Core } from './core.ts'
import { methodOf, pathHelp } from './help.ts'
import type { Incoming, Outgoing } from './incoming.ts'
import { handle } from './pipeline.ts'
import { InFlight, takeOne, withLimits } from './rate.ts'
import { redacted } from './redact.ts'

export class Gate {
  /** What is answered without the barrier, as it was given. */
  readonly bare: readonly Path[]
  readonly #bare: PathTable
  readonly #open: PathTable
  readonly #inFlight: InFlight
  #core: Core | undefined

  /**
   * @param bare  paths from `sys/…` on that need no barrier; their handlers see no mount and no caller
   * @param open  the same, but only for listeners that are set to answer them so
   */
  constructor(bare: readonly Path[], open: readonly Path[], clock: Clock) {
    this.bare = bare
    this.#bare = new PathTable(bare)
    this.#open = new PathTable(open)
    this.#inFlight = new InFlight(clock)
  }

  open(core: Core): void {
    this.#core = core
  }

  close(): void {
    this.#core = undefined
  }

  /** @returns whether all that had come in before `close` was answered within `timeoutMs` */
  drained(timeoutMs: number): Promise<boolean> {
    return this.#inFlight.drained(timeoutMs)
  }

  /** How many requests are being answered. */
  get running(): number {
    return this.#inFlight.count
  }

  /** Those requests, without what is in them. */
  inFlight() {
    return this.#inFlight.all().map(({ routed: { incoming, record }, begunAt }) => ({
      id: incoming.id,
      begunAt,
      remoteAddress: `${incoming.remoteAddress.includes(':') ? `[${incoming.remoteAddress}]` : incoming.remoteAddress}:${incoming.remotePort}`,
      path: `/v1/${incoming.path}`,
      method: methodOf(incoming.operation),
      clientId: record.client_id ?? '',
    }))
  }

  async handle(incoming: Incoming): Promise<Outgoing> {
    // All paths without the barrier lie below sys/; the check keeps the tree walk off everybody else's way.
    const match = incoming.path.startsWith('sys/') ? this.#bare.find(incoming.path, false) : undefined
    if (match) {
      const answer = await this.#answerBare(match.path, incoming)
      return incoming.redact ? redacted(answer, incoming.redact) : answer
    }
    const open = incoming.open?.has(incoming.path) === true && this.#open.find(incoming.path, false)
    if (open) return await this.#answerBare(open.path, incoming)
    if (!this.#core) throw new ApiError('sealed', 'Vault is sealed')
    return handle(this.#core, this.#inFlight, incoming)
  }

  /** Rate quotas lie behind the barrier: they hold for these paths too, but only while it is open. */
  async #answerBare(path: Path, incoming: Incoming): Promise<Outgoing> {
    const core = this.#core
    if (!core || core.quotas.noRates) return await answerBare(path, incoming)
    const limits = await takeOne(core, incoming, await core.mounts.find(incoming.path))
    return withLimits(await answerBare(path, incoming), limits)
  }
}

async function answerBare(path: Path, incoming: Incoming): Promise<Outgoing> {
  const { operation } = incoming
  // Says no more than the documentation does, so it needs no token.
  if (operation === 'help') return outgoing(pathHelp(path))
  const endpoint = path.operations[operation as Verb]
  if (!endpoint) throw new ApiError('unsupported_operation', oneError('unsupported operation'))
  const decoded = decode(endpoint.fields, incoming.body)
  if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
  const reply = await endpoint.handle({
    mount: noMount,
    operation,
    path: incoming.path,
    data: decoded.value,
    body: incoming.body,
    bodyText: incoming.bodyText,
    caller: undefined,
    token: undefined,
    remoteAddress: incoming.remoteAddress,
    headers: incoming.headers,
    wrapped: false,
  })
  return outgoing(reply)
}

function outgoing(reply: Reply): Outgoing {
  if (!reply.raw) throw new ApiError('internal', 'internal error', { reason: 'a path without barrier answers raw' })
  return { status: reply.raw.status ?? 200, contentType: reply.raw.contentType, body: reply.raw.body }
}

/** A path without the barrier has no storage to reach. */
const noMount = new Proxy({} as never, {
  get(_, name) {
    throw new Error(`no mount here: ${String(name)}`)
  },
})
