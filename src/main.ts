/**
 * The server program: `server` and `start`. bin/strongroom sends every other word to the command line, which comes back here
 * for what is done on the server's own machine.
 */
import { flushCompileCache } from 'node:module'
import { ConfigError } from '#boot/config.ts'
import { serverCommand } from '#boot/server.ts'
import { startCommand } from '#boot/start.ts'
import { ApiError } from '#sdk/errors.ts'

const commands: Record<string, (args: readonly string[]) => Promise<number | undefined>> = {
  server: serverCommand,
  start: startCommand,
  'operator-diagnose': async (args) => (await import('#boot/diagnose.ts')).diagnoseCommand(args),
  'operator-backup': async (args) => (await import('#boot/backup-commands.ts')).backupCommand(args),
  'operator-restore': async (args) => (await import('#boot/backup-commands.ts')).restoreCommand(args),
}

try {
  const [name = '', ...args] = process.argv.slice(2)
  const code = await commands[name]!(args)
  if (code !== undefined) process.exit(code)
  // Compiled code is kept now rather than at an orderly end: many servers never see one.
  flushCompileCache()
} catch (error) {
  process.stderr.write(`strongroom: ${explain(error)}\n`)
  process.exit(1)
}

/** What an operator can do something about is told in a line; anything else with where it happened. */
function explain(error: unknown): string {
  if (error instanceof ApiError) return error.reason === undefined ? error.message : `${error.message}: ${error.reason}`
  if (error instanceof ConfigError) return error.message
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
  const where = port !== undefined && port >= 0 ? `${address}:${port}` : address
  if (code === 'EADDRINUSE') return `another program listens on ${where}; choose another address`
  if (code === 'EACCES') return `not allowed: ${(error as Error).message}`
  if (code === 'ENOENT') return `not there: ${(error as Error).message}`
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
