/**
 * Stands in where a mount's engine is not in this version: the mount is shown, answers nothing and can be disabled, and
 * the rest of the server goes on. What the engine gave out is not forgotten, since only it could take that back.
 */
import type { Engine } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'

export function missingEngine(name: string): Engine {
  const refuse = async () => {
    throw new ApiError('upstream_failed', `this version has no engine "${name}"`)
  }
  return {
    name,
    about: `This version has no engine "${name}".`,
    paths: () => [],
    renew: refuse,
    revokeLease: refuse,
    renewLease: refuse,
  }
}
