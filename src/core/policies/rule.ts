/** What all stanzas for one path say together. Pure, and never changed once made, so that ACLs can share them. */
import type { Operation } from '#sdk/engine.ts'
import { capabilityBits } from './capability.ts'
import type { ControlGroup } from './control-group.ts'
import type { PathRule } from './policy.ts'
import type { Verdict } from './verdict.ts'

type Parameters = ReadonlyMap<string, readonly unknown[]> | undefined

/** The fields of a stanza that take part in merging. */
type Terms = Omit<PathRule, 'path' | 'templated' | 'expiresAt'>

type Asked = Exclude<Operation, 'help'>

export const operationBits: Record<Asked, number> = {
  read: capabilityBits.read,
  list: capabilityBits.list,
  scan: capabilityBits.scan,
  create: capabilityBits.create,
  update: capabilityBits.update,
  patch: capabilityBits.patch,
  delete: capabilityBits.delete,
}

interface Source {
  policy: string
  capabilities: number
}

export class Rule {
  readonly capabilities: number
  readonly terms: Terms
  /** There is more to check than the capability. */
  readonly limited: boolean
  readonly sources: readonly Source[]
  /** Answers that grant, made when first asked for: the same object every time, since this is asked on every request. */
  readonly #verdicts: Partial<Record<Asked, Verdict>> = {}
  readonly #sudoVerdicts: Partial<Record<Asked, Verdict>> = {}

  constructor(terms: Terms, sources: readonly Source[]) {
    this.capabilities = terms.capabilities
    this.terms = terms
    this.sources = sources
    this.limited =
      terms.minWrapTtlSeconds > 0 ||
      terms.maxWrapTtlSeconds > 0 ||
      terms.allowed !== undefined ||
      terms.denied !== undefined ||
      terms.required.length > 0 ||
      terms.paginationLimit > 0
  }

  /** The answer if the operation is granted and nothing else forbids it. */
  verdict(operation: Asked, needsSudo: boolean): Verdict {
    const verdicts = needsSudo ? this.#sudoVerdicts : this.#verdicts
    return (verdicts[operation] ??= this.#make(operation, needsSudo))
  }

  #make(operation: Asked, needsSudo: boolean): Verdict {
    const { mfaMethods, controlGroup, paginationLimit, keysFilterPath } = this.terms
    const bit = operationBits[operation]
    const guarded = bit | (needsSudo ? capabilityBits.sudo : 0)
    const factors = controlGroup?.factors.filter(
      ({ controlledCapabilities: bits }) => bits === 0 || (bits & guarded) !== 0,
    )
    const granting = this.sources.filter((source) => source.capabilities & bit).map((source) => source.policy)
    const listing = operation === 'list' || operation === 'scan'
    return Object.freeze({
      allowed: true,
      sudo: (this.capabilities & capabilityBits.sudo) !== 0,
      grantingPolicies: Object.freeze([...new Set(granting)]),
      ...(mfaMethods.length > 0 && { mfaMethods }),
      ...(controlGroup && factors && factors.length > 0 && { controlGroup: { ...controlGroup, factors } }),
      ...(listing && paginationLimit > 0 && { paginationLimit }),
      ...(listing && keysFilterPath !== undefined && { keysFilterPath }),
    })
  }
}

/** A stanza belongs to one policy and never changes, so its rule is made once for all ACLs. */
const rules = new WeakMap<PathRule, Rule>()

export function ruleOf(stanza: PathRule, policy: string): Rule {
  let rule = rules.get(stanza)
  if (!rule) {
    rule = new Rule(stanza, [{ policy, capabilities: stanza.capabilities }])
    rules.set(stanza, rule)
  }
  return rule
}

/** Deny wins and leaves no conditions. Else capabilities add up, and of two bounds the lower one holds. */
export function mergeRules(first: Rule, second: Rule): Rule {
  if (first.capabilities & capabilityBits.deny) return first
  if (second.capabilities & capabilityBits.deny) return second
  const [a, b] = [first.terms, second.terms]
  const terms: Terms = {
    capabilities: a.capabilities | b.capabilities,
    minWrapTtlSeconds: lower(a.minWrapTtlSeconds, b.minWrapTtlSeconds),
    maxWrapTtlSeconds: lower(a.maxWrapTtlSeconds, b.maxWrapTtlSeconds),
    allowed: mergeParameters(a.allowed, b.allowed),
    denied: mergeParameters(a.denied, b.denied),
    required: union(a.required, b.required),
    mfaMethods: union(a.mfaMethods, b.mfaMethods),
    controlGroup: mergeControlGroups(a.controlGroup, b.controlGroup),
    paginationLimit: lower(a.paginationLimit, b.paginationLimit),
    keysFilterPath: a.keysFilterPath ?? b.keysFilterPath,
    subscribeEventTypes: union(a.subscribeEventTypes, b.subscribeEventTypes),
  }
  return new Rule(terms, [...first.sources, ...second.sources])
}

/** Of two bounds where 0 means none. */
function lower(a: number, b: number): number {
  if (a === 0) return b
  return b === 0 ? a : Math.min(a, b)
}

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0) return b
  return b.length === 0 ? a : [...new Set([...a, ...b])]
}

/** A stanza without a list adds nothing to one that has it; an empty list, which stands for all values, swallows any other. */
function mergeParameters(a: Parameters, b: Parameters): Parameters {
  if (!a || !b) return a ?? b
  const merged = new Map(a)
  for (const [name, values] of b) {
    const there = merged.get(name)
    if (there === undefined) merged.set(name, values)
    else merged.set(name, there.length === 0 || values.length === 0 ? [] : [...there, ...values])
  }
  return merged
}

function mergeControlGroups(a: ControlGroup | undefined, b: ControlGroup | undefined): ControlGroup | undefined {
  if (!a || !b) return a ?? b
  return { ttlSeconds: lower(a.ttlSeconds, b.ttlSeconds), factors: [...a.factors, ...b.factors] }
}
