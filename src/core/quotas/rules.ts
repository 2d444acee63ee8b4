/**
 * Quota rules as they are stored, and which one speaks for a request. Pure.
 *
 * The most specific rule alone counts: role, whole path, longest path with `*` at its end, mount, everything.
 */

export interface Scope {
  name: string
  /** Route of the mount, `secret/` or `auth/approle/`; empty: everything. */
  mount: string
  /** Of that mount, so that another one at the same place is not meant. Empty with `mount`. */
  uuid: string
  /** Below the mount, without a slash at its end; a `*` at the end stands for all that follows. Empty: the whole mount. */
  suffix: string
  /** Log-ins of this role only; empty: all. */
  role: string
  inheritable: boolean
}

export const groupings = ['ip', 'none', 'entity_then_ip', 'entity_then_none'] as const
export type Grouping = (typeof groupings)[number]

export interface RateRule extends Scope {
  rate: number
  interval_seconds: number
  /** 0: whoever asks too often may go on with the next interval. */
  block_seconds: number
  group_by: Grouping
  /** For those without an entity, where entities are what is grouped by; else 0. */
  secondary_rate: number
}

export interface LeaseRule extends Scope {
  max_leases: number
}

interface MountRules<R> {
  whole: R | undefined
  exact: Map<string, R>
  /** Longest first. */
  globs: { prefix: string; rule: R }[]
  roles: Map<string, R>
}

/** Rules in the form in which requests ask for them. */
export class RuleTable<R extends Scope> {
  readonly size: number
  readonly #everything: R | undefined
  /** By uuid: a mount that moves keeps its rules from the first request on. */
  readonly #mounts = new Map<string, MountRules<R>>()
  readonly #routes = new Map<string, MountRules<R>>()

  constructor(rules: readonly R[]) {
    this.size = rules.length
    this.#everything = rules.find((rule) => rule.mount === '')
    for (const rule of rules) if (rule.mount !== '') this.#add(rule)
    for (const { globs } of this.#mounts.values()) globs.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  /** Whether a rule for this mount asks for the role of a log-in, which costs a look-up. */
  needsRole(uuid: string): boolean {
    const rules = this.#mounts.get(uuid)
    return rules !== undefined && rules.roles.size > 0
  }

  /**
   * @param mount  the one that answers, undefined if none does
   * @param path  the whole path of the request
   */
  find(mount: { route: string; uuid: string } | undefined, path: string, role: string | undefined): R | undefined {
    const rules = mount && this.#mounts.get(mount.uuid)
    if (!rules) return this.#everything
    return this.#among(rules, path.slice(mount.route.length), role) ?? this.#everything
  }

  /** For a path that was requested earlier, whose mount may be gone by now. */
  findByPath(path: string, role: string | undefined): R | undefined {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const rules = this.#routes.get(path.slice(0, slash + 1))
      if (rules) return this.#among(rules, path.slice(slash + 1), role) ?? this.#everything
    }
    return this.#everything
  }

  #among(rules: MountRules<R>, below: string, role: string | undefined): R | undefined {
    const ofRole = role === undefined ? undefined : rules.roles.get(role)
    if (ofRole) return ofRole
    const suffix = below.endsWith('/') ? below.slice(0, -1) : below
    const exact = rules.exact.get(suffix)
    if (exact) return exact
    return rules.globs.find(({ prefix }) => suffix.startsWith(prefix))?.rule ?? rules.whole
  }

  #add(rule: R): void {
    const { mount, uuid, suffix, role } = rule
    let rules = this.#mounts.get(uuid)
    if (!rules) {
      rules = { whole: undefined, exact: new Map(), globs: [], roles: new Map() }
      this.#mounts.set(uuid, rules)
      this.#routes.set(mount, rules)
    }
    if (role !== '') rules.roles.set(role, rule)
    else if (suffix.endsWith('*')) rules.globs.push({ prefix: suffix.slice(0, -1), rule })
    else if (suffix !== '') rules.exact.set(suffix, rule)
    else rules.whole = rule
  }
}

/** Two rules for the very same requests are one too many: nobody could say which counts. */
export function sameScope(a: Scope, b: Scope): boolean {
  return a.mount === b.mount && a.suffix === b.suffix && a.role === b.role
}

/**
 * Paths without rate limits, with all below them. The longest that the path begins with counts, if it ends there at a slash;
 * with a `!` before it there is a limit after all. A `*` at the end says nothing more, as in the Vault API.
 */
export class Exemptions {
  readonly #beginnings: readonly { text: string; exempt: boolean }[]

  constructor(paths: readonly string[]) {
    this.#beginnings = paths
      .map((path) => ({ text: path.replace(/^!?\/*/, '').replace(/\*$/, ''), exempt: !path.startsWith('!') }))
      .toSorted((a, b) => b.text.length - a.text.length)
  }

  has(path: string): boolean {
    const longest = this.#beginnings.find(({ text }) => path.startsWith(text))
    return longest !== undefined && endsAtSlash(longest.text, path) && longest.exempt
  }
}

/** Whether `path`, which begins with `text`, goes on with another segment or ends there. */
function endsAtSlash(text: string, path: string): boolean {
  return text === '' || text.endsWith('/') || path.length === text.length || path[text.length] === '/'
}
