/**
 * `auth/token/`: tokens made, looked at, renewed and ended. Thin over core/tokens; what is stored here are the roles.
 */
import { type Call, endpoint, type Engine, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { createPaths } from './create.ts'
import { lookPaths, renewPaths, revokePaths } from './look.ts'
import { rolePaths } from './role.ts'
import type { TokenServices } from './services.ts'

const listFields = {
  after: { type: 'string', about: 'List what comes after this name.', query: true },
  limit: { type: 'integer', about: 'List at most so many.', query: true, default: 0 },
} satisfies Fields

export function tokenEngine(services: TokenServices): Engine {
  const paths: Path[] = [
    ...createPaths(services),
    ...lookPaths(services),
    ...renewPaths(services),
    ...revokePaths(services),
    {
      pattern: 'accessors',
      sudo: true,
      operations: { list: endpoint('Accessors of all tokens.', listFields, (call) => accessors(services, call)) },
    },
    { pattern: 'tidy', operations: { update: endpoint('Remove what points nowhere.', {}, tidier(services)) } },
    ...rolePaths(),
  ]
  return { name: 'token', about: 'The token based credential backend is always enabled.', paths: () => paths }
}

async function accessors({ tokens }: TokenServices, { data }: Call<typeof listFields>): Promise<Reply> {
  return { data: { keys: await tokens.accessors({ after: data.after, ...(data.limit > 0 && { limit: data.limit }) }) } }
}

/** It may take long, so it goes on behind the answer; one at a time. */
function tidier({ tokens, leases }: TokenServices): () => Promise<Reply> {
  let running: Promise<void> | undefined
  let failure: string | undefined
  const run = async () => {
    try {
      await tokens.tidy()
      await leases.tidy()
      failure = undefined
    } catch (error) {
      // Nobody waits for it any more; the next one who asks is told.
      failure = error instanceof Error ? error.message : 'unknown'
    }
    running = undefined
  }
  return async () => {
    if (running) return { status: 202, warnings: ['Tidy operation already in progress.'] }
    const warnings = [
      'Tidy operation successfully started. Any information from the operation will be printed to the server logs.',
    ]
    if (failure !== undefined) warnings.push(`The last tidy operation failed: ${failure}`)
    running = run()
    return { status: 202, warnings }
  }
}
