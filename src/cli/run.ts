/** Runs one command: flags, arguments, and what is told when it fails. */
import { ClientError, ConnectionError } from '#client/errors.ts'
import { allFlags, type Call, type Command, type HttpFlags } from './command.ts'
import { variable } from './environment.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK, EXIT_REMOTE, UsageError } from './failure.ts'
import { parseFlags } from './flags.ts'
import { complain, Output, warn } from './output.ts'
import type { Leaf } from './registry.ts'
import { Session, Told } from './session.ts'

export async function run(path: readonly string[], leaf: Leaf, words: readonly string[]): Promise<number> {
  const command = await leaf.load()
  let session: Session | undefined
  try {
    const parsed = parseFlags(allFlags(command), words)
    if (parsed.help) {
      const { commandHelp } = await import('./help.ts')
      process.stdout.write(`${commandHelp(path, leaf.about, command)}\n`)
      return EXIT_OK
    }
    if (parsed.suspects.length > 0)
      warn(
        `These arguments look like flags, but the command has none of that name: ${parsed.suspects.map((each) => each.split('=')[0]).join(' ')}`,
      )
    checkCount(command, parsed.arguments.length)
    const flags = parsed.flags as Record<string, unknown>
    session = new Session(flags as unknown as HttpFlags, parsed.given)
    const call: Call = {
      flags: parsed.flags,
      given: parsed.given,
      arguments: parsed.arguments,
      session,
      output: new Output({
        format: formatOf(parsed.given, flags['format']),
        field: flags['field'] as string | undefined,
      }),
      interactive: flags['non-interactive'] !== true,
    }
    const code = await command.run(call)
    if (flags['output-curl-string'] || flags['output-policy'])
      throw new CommandFailure('this command sent no request that could be shown', EXIT_LOCAL)
    return code
  } catch (error) {
    return await explain(error, path, session)
  } finally {
    await session?.close()
  }
}

/** The environment may name a format also for commands that have no flag for it. */
function formatOf(given: ReadonlySet<string>, flag: unknown): string {
  return given.has('format') ? String(flag) : (variable('FORMAT') ?? 'table')
}

function checkCount(command: Command, count: number): void {
  const { min, max } = command.arguments
  const expected = min === max ? String(min) : max === Infinity ? `at least ${min}` : `${min} to ${max}`
  if (count < min) throw new UsageError(`Not enough arguments (expected ${expected}, got ${count})`)
  if (count > max) throw new UsageError(`Too many arguments (expected ${expected}, got ${count})`)
}

async function explain(error: unknown, path: readonly string[], session: Session | undefined): Promise<number> {
  if (error instanceof Told) {
    process.stdout.write(`${error.message}\n`)
    return EXIT_OK
  }
  if (error instanceof UsageError) {
    complain(`${error.message}\n\nRun "strongroom ${path.join(' ')} -help" for usage.`)
    return EXIT_LOCAL
  }
  const cause = error instanceof CommandFailure ? error.cause : error
  if (error instanceof Error) complain(error.message)
  if (cause instanceof ConnectionError && session) {
    const { connectionHint } = await import('./hints.ts')
    const hint = connectionHint(cause, session.address, session.addressOrigin)
    if (hint) complain(`\n${hint}`)
  }
  if (cause instanceof ClientError && session) {
    const { refusalHint } = await import('./hints.ts')
    const hint = refusalHint(cause, session.lacksToken)
    if (hint) complain(`\n${hint}`)
  }
  if (error instanceof CommandFailure) return error.exitCode
  return error instanceof ClientError || error instanceof ConnectionError ? EXIT_REMOTE : EXIT_LOCAL
}
