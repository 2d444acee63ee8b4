/** The question that is put to policies, and their answer. */
import type { Operation } from '#sdk/engine.ts'
import type { ControlGroup } from './control-group.ts'

export interface AclRequest {
  operation: Operation
  path: string
  body: Readonly<Record<string, unknown>>
  /** Undefined when the reply will not be wrapped. */
  wrapTtlSeconds: number | undefined
  /** The path is one that needs `sudo`: control groups may guard just those. */
  needsSudo?: boolean
}

export interface Verdict {
  readonly allowed: boolean
  /** Whether the caller may use paths that need `sudo`, should this be one. */
  readonly sudo: boolean
  /** Names of the policies that grant it; empty for a refusal. */
  readonly grantingPolicies: readonly string[]
  readonly mfaMethods?: readonly string[]
  /** Only the factors that guard this operation. */
  readonly controlGroup?: ControlGroup
  /** The limit that a listing gets which names none, or `max`. */
  readonly paginationLimit?: number
  /** How to find the path that decides whether an entry of a listing may be seen. */
  readonly keysFilterPath?: string
  /** Of a refusal, for the audit log. Never holds values or names of parameters. */
  readonly reason?: string
}

export function refusal(reason: string, sudo: boolean): Verdict {
  return { allowed: false, sudo, grantingPolicies: [], reason }
}
