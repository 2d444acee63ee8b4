/**
 * Where requests enter. Some paths are answered without the barrier; all others wait behind it and are refused while the
 * server is sealed.
 */
import { PathTable } from '#core/mounts/paths.ts'
import type { Path, Verb } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import { decode } from '#sdk/schema.ts'
import type { Core } from './core.ts'
import type { Incoming, Outgoing } from './incoming.ts'
import { handle } from './pipeline.ts'
import { InFlight } from './rate.ts'

export class Gate {
  readonly #bare: PathTable
  readonly #inFlight = new InFlight()
  #core: Core | undefined

  /** @param bare  paths from `sys/…` on that need no barrier; their handlers see no mount and no caller */
  constructor(bare: readonly Path[]) {
    this.#bare = new PathTable(bare)
  }

  open(core: Core): void {
    this.#core = core
  }

  close(): void {
    this.#core = undefined
  }

  /** Resolves when what had come in before `close` is answered, or after `timeoutMs`. */
  drained(timeoutMs: number): Promise<void> {
    return this.#inFlight.drained(timeoutMs)
  }

  async handle(incoming: Incoming): Promise<Outgoing> {
    // All paths without the barrier lie below sys/; the check keeps the tree walk off everybody else's way.
    const match = incoming.path.startsWith('sys/') ? this.#bare.find(incoming.path, false) : undefined
    if (match) return answerBare(match.path, incoming)
    if (!this.#core) throw new ApiError('sealed', 'Vault is sealed')
    return handle(this.#core, this.#inFlight, incoming)
  }
}

async function answerBare(path: Path, incoming: Incoming): Promise<Outgoing> {
  const endpoint = incoming.operation === 'help' ? undefined : path.operations[incoming.operation as Verb]
  if (!endpoint) throw new ApiError('unsupported_operation', oneError('unsupported operation'))
  const decoded = decode(endpoint.fields, incoming.body)
  if (!decoded.ok) throw new ApiError('invalid_request', decoded.message)
  const reply = await endpoint.handle({
    mount: noMount,
    operation: incoming.operation,
    path: incoming.path,
    data: decoded.value,
    body: incoming.body,
    bodyText: incoming.bodyText,
    caller: undefined,
    token: undefined,
    remoteAddress: incoming.remoteAddress,
    wrapped: false,
  })
  if (!reply.raw) throw new ApiError('internal', 'internal error', { reason: 'a path without barrier answers raw' })
  return { status: reply.raw.status ?? 200, contentType: reply.raw.contentType, body: reply.raw.body }
}

/** A path without the barrier has no storage to reach. */
const noMount = new Proxy({} as never, {
  get(_, name) {
    throw new Error(`no mount here: ${String(name)}`)
  },
})
