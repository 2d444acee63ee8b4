/** `sys/internal/counters`: how many tokens and entities there are. */
import type { Identity } from '#core/identity/identity.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import { endpoint, type Path } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

export interface CounterServices {
  tokens: Tokens
  identity: Identity
}

const noFields = {} satisfies Fields

export function counterPaths({ tokens, identity }: CounterServices): Path[] {
  return [
    {
      pattern: 'internal/counters/tokens',
      readsOnly: true,
      operations: {
        read: endpoint('How many service tokens there are.', noFields, async () => ({
          data: { counters: { service_tokens: { total: await tokens.count() } } },
        })),
      },
    },
    {
      pattern: 'internal/counters/entities',
      readsOnly: true,
      operations: {
        read: endpoint('How many entities there are.', noFields, async () => ({
          data: { counters: { entities: { total: await identity.count() } } },
        })),
      },
    },
    {
      pattern: 'internal/counters/requests',
      readsOnly: true,
      operations: {
        read: endpoint('Gone from the API; `sys/metrics` counts requests.', noFields, async () => {
          throw new ApiError('not_found', 'The functionality has been removed on this path')
        }),
      },
    },
  ]
}
