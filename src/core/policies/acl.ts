/**
 * What several policies together allow: compiled once, asked on every request. Pure.
 *
 * Which stanza speaks for a path: the one that names it exactly; else the most specific of those with `*` or `+`, where
 * more specific means, in this order: its first wildcard stands further back; it does not end in `*`; it has fewer `+`;
 * it is longer; it comes later in the alphabet. Stanzas for the same text are merged across policies, and deny wins.
 *
 * Prefixes are kept sorted, each with the next shorter prefix that contains it. The longest one that fits a path is then
 * the last one not after it in that order, or one of those around it: a binary search and a few steps, like a trie that
 * needs no nodes.
 */
import type { Operation } from '#sdk/engine.ts'
import { capabilityBits, capabilityNames } from './capability.ts'
import { limitProblem } from './limits.ts'
import type { PathRule, Policy } from './policy.ts'
import { mergeRules, operationBits, ruleOf, type Rule } from './rule.ts'
import { expandPath, type Expand } from './template.ts'
import { refusal, type AclRequest, type Verdict } from './verdict.ts'

export interface CompileOptions {
  /** Without it, paths with templates grant nothing. */
  expand?: Expand | undefined
  /** Stanzas that expired before are left out. */
  now?: Date
  /** When the next policy or stanza ends by itself, in milliseconds: from then on it has to be compiled anew. */
  validUntilMs?: number
}

interface Prefix {
  text: string
  rule: Rule
  /** The longest other prefix that this one begins with. */
  outer: Prefix | undefined
}

interface Pattern {
  rule: Rule
  /** What stands before the first `+`, to turn most paths away quickly. */
  head: string
  segments: readonly string[]
  /** Ended in `*`, which is no longer in `segments`. */
  open: boolean
  rank: Rank
}

/** What decides between stanzas that both fit. */
interface Rank {
  firstWildcard: number
  open: boolean
  wildcards: number
  text: string
}

const everything: Verdict = { allowed: true, sudo: true, grantingPolicies: ['root'] }
const help: Verdict = { allowed: true, sudo: false, grantingPolicies: [] }
const denied = refusal('a policy denies this path', false)
const unknownPath = refusal('no policy has a rule for this path', false)

export class Acl {
  readonly validUntilMs: number
  readonly #root: boolean
  readonly #exact: ReadonlyMap<string, Rule>
  readonly #prefixes: readonly Prefix[]
  /** Most specific first. */
  readonly #patterns: readonly Pattern[]

  private constructor(
    root: boolean,
    exact: Map<string, Rule>,
    prefixes: Map<string, Rule>,
    patterns: Map<string, Rule>,
    validUntilMs: number,
  ) {
    this.validUntilMs = validUntilMs
    this.#root = root
    this.#exact = exact
    this.#prefixes = nest(prefixes)
    this.#patterns = [...patterns].map(compilePattern).toSorted((a, b) => (outranks(a.rank, b.rank) ? -1 : 1))
  }

  /** A policy named `root` allows everything, whatever else there is. */
  static compile(policies: readonly Policy[], { expand, now, validUntilMs = Infinity }: CompileOptions = {}): Acl {
    const exact = new Map<string, Rule>()
    const prefixes = new Map<string, Rule>()
    const patterns = new Map<string, Rule>()
    for (const policy of policies) {
      for (const stanza of policy.paths) {
        if (stanza.expiresAt && now && stanza.expiresAt <= now) continue
        const path = pathOf(stanza, expand)
        if (path === undefined) continue
        if (hasSegmentWildcard(path)) add(patterns, path, stanza, policy.name)
        else if (path.endsWith('*')) add(prefixes, path.slice(0, -1), stanza, policy.name)
        else add(exact, path, stanza, policy.name)
      }
    }
    return new Acl(
      policies.some((policy) => policy.name === 'root'),
      exact,
      prefixes,
      patterns,
      validUntilMs,
    )
  }

  get root(): boolean {
    return this.#root
  }

  /** As `sys/capabilities` tells them: sorted, `["root"]` for root, `["deny"]` for nothing at all. */
  capabilities(path: string): string[] {
    if (this.#root) return ['root']
    const bits = this.#find(path, true)?.capabilities ?? 0
    return bits === 0 || bits & capabilityBits.deny ? ['deny'] : capabilityNames(bits)
  }

  check(request: AclRequest): Verdict {
    if (this.#root) return everything
    const { operation } = request
    if (operation === 'help') return help
    const listing = operation === 'list' || operation === 'scan'
    // What is listed is always a level, so it is looked up as one: `secret/` and `secret/*` speak for a listing of `secret`.
    const path = listing && !request.path.endsWith('/') ? `${request.path}/` : request.path
    const rule = this.#find(path, listing)
    if (!rule) return unknownPath
    const granted =
      (rule.capabilities & operationBits[operation]) !== 0
        ? rule.verdict(operation, request.needsSudo === true)
        : undefined
    if (!granted) return rule.capabilities & capabilityBits.deny ? denied : missing(operation, rule)
    if (!rule.limited) return granted
    const problem = limitProblem(rule, request)
    return problem === undefined ? granted : refusal(problem, granted.sudo)
  }

  /**
   * Whether anything at or below a mount is granted, so that its existence is no secret.
   *
   * @param mountPath  with a slash at the end
   */
  mayReachBelow(mountPath: string): boolean {
    if (this.#root) return true
    const here = this.#find(mountPath, true)
    if (here && grantsSomething(here)) return true
    for (const [path, rule] of this.#exact) if (path.startsWith(mountPath) && grantsSomething(rule)) return true
    for (const { text, rule } of this.#prefixes) if (text.startsWith(mountPath) && grantsSomething(rule)) return true
    const parts = mountPath.split('/').slice(0, -1)
    return this.#patterns.some((pattern) => grantsSomething(pattern.rule) && mayLieBelow(pattern, parts))
  }

  /** Everything there is, for UIs that want to show only what can be used: paths as written, prefixes without their `*`. */
  rules(): { exact: [string, string[]][]; globs: [string, string[]][]; segmentWildcards: [string, string[]][] } {
    const tell = (path: string, rule: Rule): [string, string[]] => [path, capabilityNames(rule.capabilities)]
    return {
      exact: [...this.#exact].map(([path, rule]) => tell(path, rule)),
      globs: this.#prefixes.map(({ text, rule }) => tell(text, rule)),
      segmentWildcards: this.#patterns.map((each) => tell(each.segments.join('/') + (each.open ? '*' : ''), each.rule)),
    }
  }

  #find(path: string, listing: boolean): Rule | undefined {
    const exact =
      this.#exact.get(path) ?? (listing && path.endsWith('/') ? this.#exact.get(path.slice(0, -1)) : undefined)
    if (exact) return exact
    const level = listing && path.endsWith('/') ? this.#findWild(path.slice(0, -1)) : undefined
    return level ?? this.#findWild(path)
  }

  #findWild(path: string): Rule | undefined {
    const prefix = this.#longestPrefix(path)
    if (this.#patterns.length === 0) return prefix?.rule
    return this.#bestPattern(path, prefix) ?? prefix?.rule
  }

  #longestPrefix(path: string): Prefix | undefined {
    const prefixes = this.#prefixes
    let low = 0
    let high = prefixes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (prefixes[middle]!.text <= path) low = middle + 1
      else high = middle
    }
    let candidate = low > 0 ? prefixes[low - 1] : undefined
    while (candidate && !path.startsWith(candidate.text)) candidate = candidate.outer
    return candidate
  }

  #bestPattern(path: string, prefix: Prefix | undefined): Rule | undefined {
    const bar = prefix && rankOfPrefix(prefix.text)
    for (const pattern of this.#patterns) {
      // Sorted by rank: once the prefix is more specific, it is so for all that follow.
      if (bar && outranks(bar, pattern.rank)) return undefined
      if (path.startsWith(pattern.head) && fits(pattern, path)) return pattern.rule
    }
    return undefined
  }
}

function add(rules: Map<string, Rule>, path: string, stanza: PathRule, policyName: string): void {
  const rule = ruleOf(stanza, policyName)
  const there = rules.get(path)
  rules.set(path, there ? mergeRules(there, rule) : rule)
}

function pathOf(stanza: PathRule, expand: Expand | undefined): string | undefined {
  if (!stanza.templated) return stanza.path
  return expand ? expandPath(stanza.path, expand) : undefined
}

function hasSegmentWildcard(path: string): boolean {
  return path === '+' || path.startsWith('+/') || path.includes('/+')
}

function nest(rules: ReadonlyMap<string, Rule>): Prefix[] {
  const sorted = [...rules].map(([text, rule]): Prefix => ({ text, rule, outer: undefined }))
  sorted.sort((a, b) => (a.text < b.text ? -1 : 1))
  let last: Prefix | undefined
  for (const prefix of sorted) {
    let outer = last
    while (outer && !prefix.text.startsWith(outer.text)) outer = outer.outer
    prefix.outer = outer
    last = prefix
  }
  return sorted
}

function compilePattern([path, rule]: [string, Rule]): Pattern {
  const open = path.endsWith('*')
  const text = open ? path.slice(0, -1) : path
  const segments = text.split('/')
  const firstWildcard = text.indexOf('+')
  const wildcards = segments.filter((segment) => segment === '+').length
  return { rule, head: text.slice(0, firstWildcard), segments, open, rank: { firstWildcard, open, wildcards, text } }
}

function rankOfPrefix(text: string): Rank {
  return { firstWildcard: text.length, open: true, wildcards: 0, text }
}

function outranks(a: Rank, b: Rank): boolean {
  if (a.firstWildcard !== b.firstWildcard) return a.firstWildcard > b.firstWildcard
  if (a.open !== b.open) return b.open
  if (a.wildcards !== b.wildcards) return a.wildcards < b.wildcards
  if (a.text.length !== b.text.length) return a.text.length > b.text.length
  return a.text > b.text
}

/** Walks along the path without cutting it into pieces. */
function fits({ segments, open }: Pattern, path: string): boolean {
  const last = segments.length - 1
  let at = 0
  for (let index = 0; index <= last; index += 1) {
    const segment = segments[index]!
    const slash = path.indexOf('/', at)
    const end = slash < 0 ? path.length : slash
    const whole = segment === '+' || (segment.length === end - at && path.startsWith(segment, at))
    if (index === last) {
      if (!open) return whole && slash < 0
      return whole || path.startsWith(segment, at)
    }
    if (!whole || slash < 0) return false
    at = slash + 1
  }
  return false
}

/** Whether some path below `parts` can fit. */
function mayLieBelow({ segments, open }: Pattern, parts: readonly string[]): boolean {
  return parts.every((part, index) => {
    const segment = segments[index]
    if (segment === undefined) return open
    return segment === '+' || segment === part || (open && index === segments.length - 1 && part.startsWith(segment))
  })
}

function grantsSomething(rule: Rule): boolean {
  return rule.capabilities !== 0 && (rule.capabilities & capabilityBits.deny) === 0
}

const refusals = new Map<string, Verdict>()

/** One object per operation, since an attacker can ask for as many refusals as they like. */
function missing(operation: Operation, rule: Rule): Verdict {
  const sudo = (rule.capabilities & capabilityBits.sudo) !== 0
  const key = `${operation} ${sudo}`
  let verdict = refusals.get(key)
  if (!verdict) {
    verdict = refusal(`no policy grants ${operation} on this path`, sudo)
    refusals.set(key, verdict)
  }
  return verdict
}
