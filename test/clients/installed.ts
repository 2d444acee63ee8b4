/** The client libraries that install.sh installs; it is run here too, so that the tests need no step before them. For tests only. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { plainEnvironment } from '#test/config/program.ts'

const execute = promisify(execFile)
const cache = path.resolve(import.meta.dirname, '../../node_modules/.cache/strongroom-clients')
const INSTALL_PATIENCE_MS = 900_000
const CLIENT_PATIENCE_MS = 120_000

/** Takes no time when all is there. @throws Error with what the script said */
export async function install(): Promise<void> {
  await installParts('hvac', 'go')
}

/** The program of a stand-in for AWS. */
export async function installMoto(): Promise<string> {
  await installParts('moto')
  return path.join(cache, 'moto/bin/moto_server')
}

async function installParts(...parts: string[]): Promise<void> {
  const script = path.join(import.meta.dirname, 'install.sh')
  await execute('bash', [script, ...parts], { timeout: INSTALL_PATIENCE_MS })
}

/** Runs a script of the folder python/ with hvac at hand. @returns what it printed, as JSON */
export async function runPython(script: string, args: readonly string[], cwd?: string): Promise<any> {
  const file = path.join(import.meta.dirname, 'python', script)
  return runClient(path.join(cache, 'python/bin/python'), ['-B', file, ...args], cwd)
}

/** Runs the Go program. @returns what it printed, as JSON */
export async function runGo(args: readonly string[]): Promise<any> {
  return runClient(path.join(cache, 'go/client'), args)
}

async function runClient(program: string, args: readonly string[], cwd?: string): Promise<any> {
  const { stdout } = await execute(program, args, {
    timeout: CLIENT_PATIENCE_MS,
    env: plainEnvironment(),
    ...(cwd !== undefined && { cwd }),
  })
  return JSON.parse(stdout)
}
