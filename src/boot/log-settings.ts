/** How the server's log is to be kept: by flags, the environment and the configuration, in this order. */
import { parseDuration } from '#lib/duration.ts'
import { type LogLevel, logLevels, parseLogLevel } from '#lib/log-level.ts'
import { ConfigError, type Scalars } from './config.ts'
import type { LogFormat } from './log.ts'
import type { LogFileOptions } from './log-file.ts'

export interface LogSettings {
  level: LogLevel
  format: LogFormat
  file: LogFileOptions | undefined
}

export interface GivenLog {
  /** Of the command line, by their names without the dash. */
  flags: ReadonlyMap<string, readonly string[]>
  environment: Readonly<Record<string, string | undefined>>
  scalars: Scalars
}

const DEFAULT_MAX_AGE = '24h'

/** Flags of the command line, and the keys and variables that mean the same. */
export const logFlags = [
  'log-level',
  'log-format',
  'log-file',
  'log-rotate-bytes',
  'log-rotate-duration',
  'log-rotate-max-files',
] as const

/** @throws ConfigError for what is none of the values that there are */
export function logSettings(given: GivenLog): LogSettings {
  const place = textOf(given, 'log-file')
  return {
    level: logLevelOf(given),
    format: formatOf(given),
    file: place
      ? {
          place: place.text,
          maxBytes: wholeNumber(given, 'log-rotate-bytes', 0),
          maxAgeSeconds: secondsOf(given),
          maxFiles: wholeNumber(given, 'log-rotate-max-files', -1),
        }
      : undefined,
  }
}

export function logLevelOf(given: GivenLog): LogLevel {
  const found = textOf(given, 'log-level')
  if (!found) return 'info'
  const level = parseLogLevel(found.text)
  if (!level) throw new ConfigError(`${found.at}: unknown log level "${found.text}": use ${logLevels.join(', ')}`)
  return level
}

function formatOf(given: GivenLog): LogFormat {
  const found = textOf(given, 'log-format')
  if (!found || found.text === 'standard') return 'standard'
  if (found.text === 'json') return 'json'
  throw new ConfigError(`${found.at}: unknown log format "${found.text}": use standard or json`)
}

function secondsOf(given: GivenLog): number {
  const { text, at } = textOf(given, 'log-rotate-duration') ?? { text: DEFAULT_MAX_AGE, at: '' }
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds < 0) {
    throw new ConfigError(`${at}: log_rotate_duration is a duration such as "24h", not "${text}"`)
  }
  return seconds
}

function wholeNumber(given: GivenLog, name: (typeof logFlags)[number], least: number): number {
  const found = textOf(given, name)
  if (!found) return 0
  const number = /^-?\d{1,15}$/.test(found.text) ? Number(found.text) : Number.NaN
  if (!(number >= least)) {
    throw new ConfigError(`${found.at}: ${keyOf(name)} is a whole number from ${least} up, not "${found.text}"`)
  }
  return number
}

function textOf({ flags, environment, scalars }: GivenLog, name: (typeof logFlags)[number]) {
  const flag = flags.get(name)?.at(-1)
  if (flag) return { text: flag, at: `-${name}` }
  for (const prefix of ['STRONGROOM_', 'VAULT_']) {
    const variable = `${prefix}${keyOf(name).toUpperCase()}`
    const text = environment[variable]
    if (text) return { text, at: variable }
  }
  const written = scalars[keyOf(name)]
  return written && written.text !== '' ? written : undefined
}

const keyOf = (name: string) => name.replaceAll('-', '_')
