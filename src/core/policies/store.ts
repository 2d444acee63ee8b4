/**
 * Policies by name, and the ACLs that tokens get from them.
 *
 * Stored below the storage handed in: `<name>` → PolicyEntry, names in lower case. `root`, `response-wrapping` and
 * `control-group` are part of the program and never stored.
 *
 * ACLs are cached by the entries they were made from. Each call asks storage for these entries, which costs next to
 * nothing while they are unchanged; so a policy that was written or deleted anywhere counts from the next request on.
 */
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { MAX_PAGE, type Page, type Storage } from '#sdk/storage.ts'
import { Acl } from './acl.ts'
import { BoundedCache } from './bounded-cache.ts'
import { defaultPolicyText, hiddenPolicies } from './builtin.ts'
import { parsePolicy, type Policy } from './policy.ts'
import type { TemplateSubject } from './template.ts'

interface PolicyEntry {
  text: string
  /** Counts the writes since the policy was made. */
  version: number
  /** RFC 3339. */
  modified: string
  /** The next write must name the version it replaces. */
  cas_required: boolean
  /** RFC 3339; the policy is gone from then on. */
  expiration?: string
}

/** Snake case where it goes out as it is. */
export interface StoredPolicy {
  name: string
  text: string
  /** 0 for policies that are part of the program. */
  version: number
  cas_required: boolean
  modified?: string
  expiration?: string
}

export interface PutOptions {
  /** The version that is replaced; -1: there must be none. */
  cas?: number | undefined
  /** Whether this write and the next one must name a version. */
  casRequired?: boolean | undefined
  expiresAt?: Date | undefined
}

/** Characters in one policy. */
export const MAX_POLICY_CHARACTERS = 1024 * 1024

/** Characters in a name, so that the key fits into storage whatever its characters are. */
const MAX_NAME_CHARACTERS = 255

/** Sets of policy names. A token has one, and tokens made alike share it. */
const MAX_SETS = 4096

/** ACLs with templates, one for each subject in use; a few kilobytes each. */
const MAX_SUBJECT_ACLS = 4096

/** The policies behind one list of names, at one moment. */
interface PolicySet {
  id: number
  /** Keys in storage, in order; names that can not exist are left out. */
  keys: readonly string[]
  entries: readonly (Readonly<PolicyEntry> | undefined)[]
  policies: readonly Policy[]
  templated: boolean
  /** Something in it expires then; Infinity: nothing does. */
  validUntilMs: number
  /** Without a subject. */
  plain: Acl | undefined
}

const systemClock: Clock = { now: () => new Date() }

const rootAcl = Acl.compile([{ name: 'root', paths: [], templated: false }])

export class Policies {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #sets = new BoundedCache<string, PolicySet>(MAX_SETS)
  readonly #subjectAcls = new BoundedCache<string, Acl>(MAX_SUBJECT_ACLS)
  readonly #parsed = new WeakMap<object, Policy>()
  readonly #hidden: ReadonlyMap<string, Policy>
  readonly #hasRoot: boolean
  #lastSetId = 0

  /** @param hasRoot  whether there is a `root` policy here: only the root namespace has it */
  constructor(storage: Storage, { clock = systemClock, hasRoot = true }: { clock?: Clock; hasRoot?: boolean } = {}) {
    this.#storage = storage
    this.#clock = clock
    this.#hasRoot = hasRoot
    this.#hidden = new Map([...hiddenPolicies].map(([name, text]) => [name, parsed(name, text)]))
  }

  /** Writes the default policy if there is none, and leaves one that is there as it is. */
  async setup(): Promise<void> {
    if ((await this.#storage.get<PolicyEntry>('default')) !== undefined) return
    const first = this.#entry(undefined, defaultPolicyText, {})
    await this.#storage.update<PolicyEntry>('default', (there) => there ?? first)
  }

  async get(name: string): Promise<StoredPolicy | undefined> {
    const key = name.toLowerCase()
    const text = key === 'root' && this.#hasRoot ? '' : hiddenPolicies.get(key)
    if (text !== undefined) return { name: key, text, version: 0, cas_required: false }
    if (!canExist(key)) return undefined
    const entry = await this.#storage.get<PolicyEntry>(key)
    return entry && !this.#hasExpired(entry) ? { name: key, ...entry } : undefined
  }

  /** @throws ApiError `invalid_request` for a name or text that cannot be, or when `cas` is not the version there is */
  async put(name: string, text: string, options: PutOptions = {}): Promise<void> {
    const key = name.toLowerCase()
    if (key === '') throw new ApiError('invalid_request', 'policy name missing')
    if (isImmutable(key)) throw new ApiError('invalid_request', `cannot update ${JSON.stringify(key)} policy`)
    if (!canExist(key)) throw new ApiError('invalid_request', 'invalid policy name')
    if (text.length > MAX_POLICY_CHARACTERS) throw new ApiError('invalid_request', 'policy is too large')
    const result = parsePolicy(key, text)
    if (!result.ok) throw new ApiError('invalid_request', result.message)
    if (options.expiresAt && options.expiresAt <= this.#clock.now()) {
      throw new ApiError('invalid_request', 'expiration time is in the past')
    }
    await this.#storage.update<PolicyEntry>(key, (there) => {
      const current = there && !this.#hasExpired(there) ? there : undefined
      checkVersion(current, options)
      return this.#entry(current, text, options)
    })
  }

  /** Gone or never there is the same. */
  async delete(name: string): Promise<void> {
    const key = name.toLowerCase()
    if (isImmutable(key)) throw new ApiError('invalid_request', `cannot delete ${JSON.stringify(key)} policy`)
    if (key === 'default') throw new ApiError('invalid_request', 'cannot delete default policy')
    if (canExist(key)) await this.#storage.delete(key)
  }

  /**
   * Names in order, `root` last, as the Vault API tells them.
   *
   * @param prefix  only those below it, told without it; ends in a slash
   */
  async list({ after, limit = MAX_PAGE }: Page = {}, prefix = ''): Promise<string[]> {
    const names: string[] = []
    // Nothing comes after `root`, wherever it would stand in the alphabet.
    if (prefix === '' && after === 'root') return names
    for (const key of await this.#storage.keys(prefix, { after: after && prefix + after })) {
      if (names.length >= limit) return names
      const entry = await this.#storage.getShared<PolicyEntry>(key)
      if (entry && !this.#hasExpired(entry)) names.push(key.slice(prefix.length))
    }
    if (prefix === '' && this.#hasRoot && names.length < limit) names.push('root')
    return names
  }

  /** Removes policies that have expired; they count for nothing before that already. */
  async tidy(): Promise<void> {
    for (const key of await this.#storage.keys('')) {
      const entry = await this.#storage.getShared<PolicyEntry>(key)
      if (!entry || !this.#hasExpired(entry)) continue
      await this.#storage.update<PolicyEntry>(key, (there) => (there && this.#hasExpired(there) ? undefined : there))
    }
  }

  /**
   * What a token with these policies may do. Policies that do not exist grant nothing.
   *
   * @param subject  whom templates are about; without one, paths with templates grant nothing
   * @throws ApiError `internal` if a stored policy cannot be read: leaving it out could leave out a refusal
   */
  async acl(names: readonly string[], subject?: TemplateSubject): Promise<Acl> {
    if (this.#hasRoot && names.includes('root')) return rootAcl
    const cacheKey = names.join('\0')
    let set = this.#sets.get(cacheKey)
    const keys = set ? set.keys : storageKeys(names)
    const entries: (Readonly<PolicyEntry> | undefined)[] = []
    let fresh = set !== undefined && (set.validUntilMs === Infinity || this.#clock.now().getTime() < set.validUntilMs)
    for (let index = 0; index < keys.length; index += 1) {
      const entry = await this.#storage.getShared<PolicyEntry>(keys[index]!)
      entries.push(entry)
      if (set && entry !== set.entries[index]) fresh = false
    }
    if (!set || !fresh) {
      set = this.#makeSet(names, keys, entries)
      this.#sets.set(cacheKey, set)
    }
    return this.#aclOf(set, subject)
  }

  /** Of the store that policies lie in: see Storage.moment. */
  moment(): number {
    return this.#storage.moment()
  }

  /** Whether an ACL still holds as far as time goes: policies and stanzas may end by themselves. */
  stillHolds(acl: Acl): boolean {
    return acl.validUntilMs === Infinity || this.#clock.now().getTime() < acl.validUntilMs
  }

  #aclOf(set: PolicySet, subject: TemplateSubject | undefined): Acl {
    if (!set.templated || !subject) return (set.plain ??= this.#compile(set, undefined))
    const cacheKey = `${set.id}\0${subject.key}`
    let acl = this.#subjectAcls.get(cacheKey)
    if (!acl) {
      acl = this.#compile(set, subject)
      this.#subjectAcls.set(cacheKey, acl)
    }
    return acl
  }

  #compile(set: PolicySet, subject: TemplateSubject | undefined): Acl {
    const { policies, validUntilMs } = set
    return Acl.compile(policies, { expand: subject?.expand, now: this.#clock.now(), validUntilMs })
  }

  #makeSet(
    names: readonly string[],
    keys: readonly string[],
    entries: readonly (Readonly<PolicyEntry> | undefined)[],
  ): PolicySet {
    const nowMs = this.#clock.now().getTime()
    const policies: Policy[] = []
    const ends: number[] = []
    for (const [index, entry] of entries.entries()) {
      if (!entry || this.#hasExpired(entry)) continue
      const policy = this.#parse(keys[index]!, entry)
      policies.push(policy)
      if (entry.expiration !== undefined) ends.push(Date.parse(entry.expiration))
      ends.push(...policy.paths.flatMap(({ expiresAt }) => (expiresAt ? [expiresAt.getTime()] : [])))
    }
    for (const name of new Set(names.map((each) => each.toLowerCase()))) {
      const hidden = this.#hidden.get(name)
      if (hidden) policies.push(hidden)
    }
    this.#lastSetId += 1
    return {
      id: this.#lastSetId,
      keys,
      entries,
      policies,
      templated: policies.some((policy) => policy.templated),
      validUntilMs: ends.filter((endMs) => endMs > nowMs).reduce((a, b) => Math.min(a, b), Infinity),
      plain: undefined,
    }
  }

  #parse(name: string, entry: Readonly<PolicyEntry>): Policy {
    let policy = this.#parsed.get(entry)
    if (!policy) {
      policy = parsed(name, entry.text)
      this.#parsed.set(entry, policy)
    }
    return policy
  }

  #entry(current: PolicyEntry | undefined, text: string, { casRequired, expiresAt }: PutOptions): PolicyEntry {
    return {
      text,
      version: (current?.version ?? 0) + 1,
      modified: this.#clock.now().toISOString(),
      cas_required: casRequired ?? false,
      ...(expiresAt && { expiration: expiresAt.toISOString() }),
    }
  }

  #hasExpired({ expiration }: Readonly<PolicyEntry>): boolean {
    return expiration !== undefined && Date.parse(expiration) <= this.#clock.now().getTime()
  }
}

function checkVersion(current: PolicyEntry | undefined, { cas, casRequired }: PutOptions): void {
  if (cas === undefined) {
    if (!casRequired && !current?.cas_required) return
    throw new ApiError('invalid_request', 'check-and-set parameter required for this call')
  }
  if (cas !== (current?.version ?? -1)) {
    throw new ApiError('invalid_request', 'check-and-set parameter did not match the current version')
  }
}

/** In one order whatever order a token has them in, so that merging gives the same each time. */
function storageKeys(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.toLowerCase()))]
    .filter((key) => canExist(key) && !isImmutable(key))
    .toSorted()
}

function isImmutable(key: string): boolean {
  return key === 'root' || hiddenPolicies.has(key)
}

/** A key of storage: no empty levels, since listings could not tell such names from levels. */
function canExist(key: string): boolean {
  return key.length <= MAX_NAME_CHARACTERS && !key.includes('\0') && key.split('/').every((level) => level !== '')
}

function parsed(name: string, text: string): Policy {
  const result = parsePolicy(name, text)
  if (!result.ok) {
    throw new ApiError('internal', 'internal error', {
      reason: `stored policy ${JSON.stringify(name)}: ${result.message}`,
    })
  }
  return result.policy
}
