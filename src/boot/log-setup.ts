/** Makes the log of this process what flags, environment and configuration ask for. */
import { readConfig, type Scalars } from './config.ts'
import { serverLog } from './log.ts'
import { LogFile } from './log-file.ts'
import { logLevelOf, logSettings } from './log-settings.ts'

export type FlagValues = ReadonlyMap<string, readonly string[]>

/** @throws ConfigError for what is none of the values that there are, Error when the file cannot be opened */
export function setUpLog(flags: FlagValues, scalars: Scalars): void {
  const { level, format, file } = logSettings({ flags, environment: process.env, scalars })
  const complain = (text: string) => void process.stderr.write(`${text}\n`)
  serverLog.configure({ level, format, ...(file && { file: new LogFile(file, complain) }) })
}

/** At SIGHUP: as for Vault, a level that the files say by then wins over flags and the environment. */
export function readLevelAgain(places: readonly string[]): void {
  try {
    const { scalars } = readConfig(places)
    if (scalars['log_level']) serverLog.configure({ level: logLevelOf({ flags: new Map(), environment: {}, scalars }) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    serverLog.named('config', 'error')(`SIGHUP: the level of the log stays as it is: ${reason}`)
  }
}
