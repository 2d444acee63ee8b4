/**
 * Lock-out of users: who fails to log in too often in a row is not even looked at for a while.
 *
 * Stored below the prefix given: <mount accessor>/<hash of the name> → FailedLogins. Written by failures alone, and by the
 * log-in that ends a row of them. Names that nobody has are counted like all others, else the lock-out would tell them
 * apart; since there is no end of such names, only so many are remembered.
 */
import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '#sdk/engine.ts'
import type { Storage } from '#sdk/storage.ts'

/** Auth methods whose users are locked out. */
export const lockoutTypes = ['userpass', 'ldap', 'approle'] as const
export type LockoutType = (typeof lockoutTypes)[number]

export interface LockoutRules {
  threshold: number
  durationSeconds: number
  counterResetSeconds: number
  disabled: boolean
}

/** What the configuration says: 'all' holds where a type says nothing. */
export type LockoutConfig = Partial<Record<LockoutType | 'all', Partial<LockoutRules>>>

/** What a mount says of it, as `sys/auth` shows it; 0 and absent: nothing. */
export interface MountLockout {
  user_lockout_threshold?: number
  user_lockout_duration?: number
  user_lockout_counter_reset_duration?: number
  user_lockout_disable?: boolean
}

/** Whose log-in: a name at a mount. */
export interface LoginPlace {
  accessor: string
  type: string
  tuned: MountLockout | undefined
  name: string
}

interface FailedLogins {
  /** Absent: nobody has this name. */
  name?: string
  count: number
  last_ms: number
  /** After this it says nothing any more. */
  until_ms: number
}

export interface LockedUsers {
  accessor: string
  names: string[]
}

export const usualRules: LockoutRules = {
  threshold: 5,
  durationSeconds: 900,
  counterResetSeconds: 900,
  disabled: false,
}

/** Unknown names that are remembered, in this process: 10 MB. The oldest makes room. */
const MAX_UNKNOWN = 100_000
const PAGE = 500

export class Lockout {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #config: LockoutConfig
  readonly #disabled: boolean
  readonly #maxUnknown: number
  /** By key: failures that are on their way to the store. */
  readonly #pending = new Map<string, number>()
  /** Keys of unknown names, the oldest first. */
  readonly #unknown = new Set<string>()

  /** @param disabled  for everybody, whatever else is said */
  constructor(options: {
    storage: Storage
    clock: Clock
    config?: LockoutConfig
    disabled?: boolean
    maxUnknown?: number
  }) {
    this.#storage = options.storage
    this.#clock = options.clock
    this.#config = options.config ?? {}
    this.#disabled = options.disabled ?? false
    this.#maxUnknown = options.maxUnknown ?? MAX_UNKNOWN
  }

  /** Undefined where nobody is locked out. The mount's word counts first, then that of its type, then that of all. */
  rulesOf({ type, tuned }: Pick<LoginPlace, 'type' | 'tuned'>): LockoutRules | undefined {
    if (this.#disabled || !isLockoutType(type)) return undefined
    const given = [ofMount(tuned), this.#config[type], this.#config.all, usualRules]
    const first = <K extends keyof LockoutRules>(name: K) =>
      given.find((each) => each?.[name] !== undefined)![name] as LockoutRules[K]
    if (first('disabled')) return undefined
    return {
      threshold: first('threshold'),
      durationSeconds: first('durationSeconds'),
      counterResetSeconds: first('counterResetSeconds'),
      disabled: false,
    }
  }

  /** Counts failures that other requests of this process are about to record, so that many at once are no way around it. */
  async isLocked(place: LoginPlace, rules: LockoutRules): Promise<boolean> {
    const key = keyOf(place)
    const entry = await this.#storage.getShared<FailedLogins>(key)
    const nowMs = this.#clock.now().getTime()
    if (isLocked(entry, rules, nowMs)) return true
    const pending = this.#pending.get(key) ?? 0
    return pending > 0 && rowOf(entry, rules, nowMs) + pending >= rules.threshold
  }

  /** @returns false when the user was locked before this failure came: it then counts no more */
  async failed(place: LoginPlace, rules: LockoutRules, known: boolean): Promise<boolean> {
    if (await this.isLocked(place, rules)) return false
    const key = keyOf(place)
    this.#pending.set(key, (this.#pending.get(key) ?? 0) + 1)
    try {
      const crowdedOut = known ? undefined : this.#remember(key)
      return await this.#storage.transact(async (transaction) => {
        const nowMs = this.#clock.now().getTime()
        const entry = await transaction.get<FailedLogins>(key)
        // Others that failed in the same moment were faster: what comes after the lock must not begin a row of its own.
        if (isLocked(entry, rules, nowMs)) return false
        const keepSeconds = Math.max(rules.durationSeconds, rules.counterResetSeconds)
        transaction.put<FailedLogins>(key, {
          ...(known && { name: place.name }),
          count: rowOf(entry, rules, nowMs) + 1,
          last_ms: nowMs,
          until_ms: nowMs + keepSeconds * 1000,
        })
        if (crowdedOut !== undefined) transaction.delete(crowdedOut)
        return true
      })
    } finally {
      const left = this.#pending.get(key)! - 1
      if (left > 0) this.#pending.set(key, left)
      else this.#pending.delete(key)
    }
  }

  /** Ends the row. Nothing is written where there is none. */
  async succeeded(place: LoginPlace): Promise<void> {
    const key = keyOf(place)
    if (await this.#storage.getShared<FailedLogins>(key)) await this.#storage.delete(key)
  }

  /** One that is not locked stays so. */
  async unlock(accessor: string, name: string): Promise<void> {
    await this.#storage.delete(keyOf({ accessor, name }))
  }

  /** Who is locked at this mount now. Names that nobody has are not told. */
  async lockedAt(mount: Omit<LoginPlace, 'name'>): Promise<string[]> {
    const rules = this.rulesOf(mount)
    if (!rules) return []
    const names: string[] = []
    for await (const { entry } of this.#entries(`${mount.accessor}/`)) {
      if (entry.name !== undefined && isLocked(entry, rules, this.#clock.now().getTime())) names.push(entry.name)
    }
    return names.toSorted()
  }

  /** Removes what says nothing any more. */
  async tidy(): Promise<void> {
    for await (const { key, entry } of this.#entries('')) {
      if (entry.until_ms > this.#clock.now().getTime()) {
        if (entry.name === undefined) this.#unknown.add(key)
        continue
      }
      this.#unknown.delete(key)
      // Unless it was written meanwhile.
      await this.#storage.update<FailedLogins>(key, (now) => (now?.until_ms === entry.until_ms ? undefined : now))
    }
  }

  async *#entries(prefix: string): AsyncGenerator<{ key: string; entry: Readonly<FailedLogins> }> {
    let after: string | undefined
    for (;;) {
      const keys: string[] = await this.#storage.keys(prefix, { after, limit: PAGE })
      for (const key of keys) {
        const entry = await this.#storage.get<FailedLogins>(key)
        if (entry) yield { key, entry }
      }
      if (keys.length < PAGE) return
      after = keys.at(-1)
      await setImmediate()
    }
  }

  /** @returns the key of the one that makes room */
  #remember(key: string): string | undefined {
    this.#unknown.delete(key)
    this.#unknown.add(key)
    if (this.#unknown.size <= this.#maxUnknown) return undefined
    const oldest = this.#unknown.values().next().value!
    this.#unknown.delete(oldest)
    return oldest
  }
}

export function isLockoutType(type: string): type is LockoutType {
  return (lockoutTypes as readonly string[]).includes(type)
}

/** Failures in a row that still count. */
function rowOf(entry: Readonly<FailedLogins> | undefined, rules: LockoutRules, nowMs: number): number {
  if (!entry || nowMs - entry.last_ms >= rules.counterResetSeconds * 1000) return 0
  // A lock that is over leaves nothing behind.
  return entry.count >= rules.threshold ? 0 : entry.count
}

function isLocked(entry: Readonly<FailedLogins> | undefined, rules: LockoutRules, nowMs: number): boolean {
  return entry !== undefined && entry.count >= rules.threshold && nowMs - entry.last_ms < rules.durationSeconds * 1000
}

function ofMount(tuned: MountLockout | undefined): Partial<LockoutRules> {
  if (!tuned) return {}
  return {
    ...(tuned.user_lockout_threshold && { threshold: tuned.user_lockout_threshold }),
    ...(tuned.user_lockout_duration && { durationSeconds: tuned.user_lockout_duration }),
    ...(tuned.user_lockout_counter_reset_duration && {
      counterResetSeconds: tuned.user_lockout_counter_reset_duration,
    }),
    ...(tuned.user_lockout_disable !== undefined && { disabled: tuned.user_lockout_disable }),
  }
}

/** Names come from outside and may hold anything, so keys hold their hash. */
function keyOf({ accessor, name }: Pick<LoginPlace, 'accessor' | 'name'>): string {
  return `${accessor}/${hash('sha256', name, 'hex')}`
}
