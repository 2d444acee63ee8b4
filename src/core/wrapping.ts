/**
 * Response wrapping: a reply is kept here and the caller gets a token that is good for one look at it.
 * Storage: `<cubbyhole name of the wrapping token>` → Wrapped, the only kind of entry.
 */
import type { Token } from '#core/tokens/token.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { rfc3339 } from '#lib/time.ts'
import type { Clock, WrapInfo } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'

/** What wrapping tokens have, and no others. */
const POLICY = 'response-wrapping'

interface Wrapped {
  /** JSON text of the whole reply. */
  reply: string
  creation_time: string
  creation_path: string
  creation_ttl: number
}

export class Wrapping {
  readonly #storage: Storage
  readonly #tokens: Tokens
  readonly #clock: Clock

  constructor({ storage, tokens, clock }: { storage: Storage; tokens: Tokens; clock: Clock }) {
    this.#storage = storage
    this.#tokens = tokens
    this.#clock = clock
    tokens.onRevoke(async ({ cubbyhole }) => {
      if (cubbyhole !== '') await storage.delete(cubbyhole)
    })
  }

  async wrap(
    reply: string,
    {
      ttlSeconds,
      creationPath,
      wrappedAccessor,
    }: { ttlSeconds: number; creationPath: string; wrappedAccessor?: string },
  ): Promise<WrapInfo> {
    const creationTime = rfc3339(this.#clock.now())
    const kept: Wrapped = { reply, creation_time: creationTime, creation_path: creationPath, creation_ttl: ttlSeconds }
    const { text, token } = await this.#tokens.create({
      policies: [POLICY],
      path: creationPath,
      displayName: '',
      ttlSeconds,
      explicitMaxTtlSeconds: ttlSeconds,
      numUses: 1,
      renewable: false,
      type: 'service',
      unlimited: true,
      also: (transaction, made) => transaction.in(this.#storage).put(made.cubbyhole, kept),
    })
    return {
      token: text,
      accessor: token.accessor,
      ttl: ttlSeconds,
      creation_time: creationTime,
      creation_path: creationPath,
      ...(wrappedAccessor !== undefined && { wrapped_accessor: wrappedAccessor }),
    }
  }

  /** The reply, once: of many who ask at the same time one gets it. */
  async unwrap(text: string): Promise<string> {
    return (await this.#take(text)).reply
  }

  async lookup(text: string): Promise<Omit<Wrapped, 'reply'>> {
    const wrapped = await this.#storage.get<Wrapped>((await this.#holder(text)).cubbyhole)
    if (!wrapped) throw invalid()
    const { reply: _, ...rest } = wrapped
    return rest
  }

  /** Puts the reply behind a new token, for as long as the old one was made for; the old one is good for nothing. */
  async rewrap(text: string): Promise<WrapInfo> {
    const { reply, creation_path, creation_ttl } = await this.#take(text)
    return await this.wrap(reply, { ttlSeconds: creation_ttl, creationPath: creation_path })
  }

  async #take(text: string): Promise<Wrapped> {
    const token = await this.#holder(text)
    const taken = await this.#storage.transact(async (transaction) => {
      const wrapped = await transaction.get<Wrapped>(token.cubbyhole)
      if (wrapped) transaction.delete(token.cubbyhole)
      return wrapped
    })
    if (!taken) throw invalid()
    await this.#tokens.revoke(token)
    return taken
  }

  async #holder(text: string): Promise<Token> {
    const token = await this.#tokens.lookup(text)
    if (!token || token.policies.length !== 1 || token.policies[0] !== POLICY) throw invalid()
    return token
  }
}

function invalid(): ApiError {
  return new ApiError('invalid_request', 'wrapping token is not valid or does not exist')
}
