/** `user_lockout "all" { … }` of the configuration, and the variable that turns the lock-out off altogether. */
import { type LockoutConfig, type LockoutRules, isLockoutType } from '#core/lockout.ts'
import { parseDuration } from '#lib/duration.ts'
import { booleanOption, ConfigError, type Stanza } from './config.ts'
import { tellUnknown } from './config-keys.ts'
import { lockoutKeys } from './stanza-keys.ts'

/** @throws ConfigError for a method that has no lock-out, one that is there twice, and values that cannot be read */
export function lockoutConfig(stanzas: readonly Stanza[], notices: string[]): LockoutConfig {
  const config: LockoutConfig = {}
  for (const stanza of stanzas) {
    const { type, at } = stanza
    if (type !== 'all' && !isLockoutType(type)) {
      throw new ConfigError(`${at}: user_lockout "${type}" is not known: use "all", "userpass", "ldap" or "approle"`)
    }
    if (config[type]) throw new ConfigError(`${at}: more than one user_lockout "${type}" is configured`)
    config[type] = rulesOf(stanza, notices)
  }
  return config
}

function rulesOf(stanza: Stanza, notices: string[]): Partial<LockoutRules> {
  const rules: Partial<LockoutRules> = {}
  tellUnknown(lockoutKeys, stanza.options, stanza.at, 'user_lockout', notices)
  for (const [name, text] of Object.entries(stanza.options)) {
    if (name === 'disable_lockout') rules.disabled = booleanOption(stanza, name)
    // An empty text stands for "not said".
    else if (text === '') continue
    else if (name === 'lockout_threshold') rules.threshold = threshold(stanza, text)
    else if (name === 'lockout_duration') rules.durationSeconds = seconds(stanza, name, text)
    else if (name === 'lockout_counter_reset') rules.counterResetSeconds = seconds(stanza, name, text)
  }
  return rules
}

function threshold({ at }: Stanza, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new ConfigError(`${at}: lockout_threshold is a count, not "${text}"`)
  return Number(text)
}

function seconds({ at }: Stanza, name: string, text: string): number {
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed <= 0) {
    throw new ConfigError(`${at}: ${name} is a duration such as "15m", not "${text}"`)
  }
  return parsed
}

/** By the first of the names that is set. @throws ConfigError for anything but a form of truth */
export function lockoutDisabled(environment: NodeJS.ProcessEnv): boolean {
  const name = ['STRONGROOM', 'BAO', 'VAULT']
    .map((each) => `${each}_DISABLE_USER_LOCKOUT`)
    .find((each) => environment[each] !== undefined && environment[each] !== '')
  if (name === undefined) return false
  return booleanOption({ type: '', options: { [name]: environment[name]! }, at: 'the environment' }, name)
}
