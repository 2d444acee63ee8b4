/** What a command can end with besides success. Exit codes are those of the Vault CLI. */
import { ClientError, ConnectionError } from '#client/errors.ts'

export const EXIT_OK = 0
/** Something was wrong on this side: flags, arguments, a file. */
export const EXIT_LOCAL = 1
/** The server refused, was not reached, or has nothing there. */
export const EXIT_REMOTE = 2
/** No such command, as shells have it. */
export const EXIT_UNKNOWN_COMMAND = 127

/** Wrong flags or arguments: the message is followed by a hint at the command's help. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Anything else that ends a command, with its exit code. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: number

  constructor(message: string, exitCode: number = EXIT_REMOTE, options: { cause?: unknown } = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/**
 * Say in front of a refusal what was being done. Failures on this side stay as they are.
 *
 * @param doing  e.g. `Error reading secret/app`
 */
export async function attempt<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ClientError) && !(error instanceof ConnectionError)) throw error
    throw new CommandFailure(`${doing}: ${error.message}`, EXIT_REMOTE, { cause: error })
  }
}
