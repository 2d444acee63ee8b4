/** How much a log tells. Pure. */

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof logLevels)[number]

/** In the spellings that the Vault server takes. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const word = text.trim().toLowerCase()
  if (word === 'err') return 'error'
  if (word === 'warning') return 'warn'
  return logLevels.find((level) => level === word)
}

/** Whether a log that tells from `from` on tells of this. */
export function isTold(level: LogLevel, from: LogLevel): boolean {
  return logLevels.indexOf(level) >= logLevels.indexOf(from)
}
