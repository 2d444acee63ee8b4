/**
 * Runs the command line as people do: `bin/strongroom` in a shell, against a real server in development mode, with a home
 * directory of its own. Scripts are text files of commands and what they print:
 *
 *     # A comment; the next line is a command, given to sh in an empty directory.
 *     $ strongroom kv get -field=user secret/app
 *     > continued on this line
 *       what it prints on standard output, two spaces in
 *     ! what it prints on standard error
 *     [2]                                  the exit code, unless it is 0
 *
 * `<any>` stands for anything within a line, `<time>` for an RFC 3339 time, `<token>`, `<uuid>` and `<accessor>` for theirs,
 * and a line `...` for any number of lines of the stream above it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '#test/port.ts'

export const root = new URL('../..', import.meta.url).pathname
const START_LIMIT_MS = 30_000
const COMMAND_LIMIT_MS = 60_000

export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

export interface Workplace extends AsyncDisposable {
  address: string
  /** An empty directory; home is below it. */
  directory: string
  home: string
  sh(command: string, options?: { input?: string; env?: Record<string, string | undefined> }): Promise<Outcome>
}

/**
 * @param kind  `dev`: unsealed, with root token `root`, which the shell beside it has in its environment; `fresh`: a server
 *              from a configuration file that was never initialized
 */
export async function startWorkplace(kind: 'dev' | 'fresh' = 'dev'): Promise<Workplace> {
  const directory = await mkdtemp(join(tmpdir(), 'strongroom-cli-'))
  const port = await freePort()
  const config = {
    storage: { inmem: {} },
    listener: { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } },
    disable_mlock: true,
  }
  await writeFile(join(directory, 'config.json'), JSON.stringify(config))
  const dev = ['-dev', '-dev-root-token-id=root', `-dev-listen-address=127.0.0.1:${port}`]
  const server = spawn(join(root, 'bin/strongroom'), ['server', ...(kind === 'dev' ? dev : ['-config=config.json'])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(join(directory, 'server-home'), {}),
    cwd: directory,
  })
  let log = ''
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (chunk) => (log = (log + String(chunk)).slice(-8192)))
  const address = `http://127.0.0.1:${port}`
  await answers(
    address,
    () => server.exitCode,
    () => log,
  )
  const home = join(directory, 'home')
  await Promise.all([mkdir(home), mkdir(join(directory, 'work'))])
  return {
    address,
    directory: join(directory, 'work'),
    home,
    sh: async (command, { input, env } = {}) =>
      await runShell(
        command,
        join(directory, 'work'),
        environment(home, { STRONGROOM_ADDR: address, STRONGROOM_TOKEN: 'root', ...env }),
        input,
      ),
    async [Symbol.asyncDispose]() {
      if (server.exitCode === null) {
        server.kill('SIGKILL')
        await once(server, 'exit')
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Nothing of the machine's own settings must be seen. */
function environment(home: string, extra: Record<string, string | undefined>): NodeJS.ProcessEnv {
  return {
    PATH: `${join(root, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    LANG: 'C.UTF-8',
    // Compiled once for all commands of a script: halves the time they take.
    NODE_COMPILE_CACHE: join(home, '..', 'compiled'),
    ...extra,
  }
}

async function answers(address: string, exitCode: () => number | null, log: () => string): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS
  while (Date.now() < limit) {
    if (exitCode() !== null) throw new Error(`the server ended with ${exitCode()}:\n${log()}`)
    const answer = await fetch(`${address}/v1/sys/health`).catch(() => undefined)
    // 501: there, but not initialized.
    if (answer?.status === 200 || answer?.status === 501) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`the server did not start:\n${log()}`)
}

export async function runShell(command: string, cwd: string, env: NodeJS.ProcessEnv, input?: string): Promise<Outcome> {
  const child = spawn('sh', ['-c', command], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  const outcome = { code: -1, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (outcome.stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (outcome.stderr += chunk))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input ?? '')
  // The whole group: killing the shell alone would leave the command, and its pipes, behind.
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), COMMAND_LIMIT_MS)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(timer)
  outcome.code = code ?? -1
  return outcome
}

export interface Step {
  line: number
  command: string
  stdout: string[]
  stderr: string[]
  code: number
}

export async function readScript(path: string): Promise<Step[]> {
  const steps: Step[] = []
  let last: 'stdout' | 'stderr' = 'stdout'
  for (const [at, line] of (await readFile(path, 'utf8')).split('\n').entries()) {
    const step = steps.at(-1)
    const code = /^\[(\d+)\]$/.exec(line)?.[1]
    if (line.startsWith('$ ')) steps.push({ line: at + 1, command: line.slice(2), stdout: [], stderr: [], code: 0 })
    else if (line.startsWith('#') || line === '') continue
    else if (!step) throw new Error(`${path}:${at + 1}: output before a command`)
    else if (line.startsWith('> ')) step.command += `\n${line.slice(2)}`
    else if (line === '...') step[last].push(line)
    else if (line.startsWith('  ')) step[(last = 'stdout')].push(line.slice(2))
    else if (line.startsWith('! ') || line === '!') step[(last = 'stderr')].push(line.slice(2))
    else if (code) step.code = Number(code)
    else throw new Error(`${path}:${at + 1}: not understood`)
  }
  return steps
}

const placeholders: Record<string, string> = {
  any: '.*',
  time: String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`,
  token: String.raw`hv[sbr]\.[A-Za-z0-9_.-]+`,
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  accessor: '[A-Za-z0-9_.-]+',
  number: String.raw`\d+`,
}

/** Whether text is what these lines describe, but for spaces at the ends of lines. */
export function matches(expected: readonly string[], text: string): boolean {
  const parts = expected.map((line) => {
    if (line === '...') return String.raw`(?:.*\n)*`
    const literal = line.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    return `${literal.replace(/<(any|time|token|uuid|accessor|number)>/g, (_whole, name: string) => placeholders[name]!)} *\n`
  })
  const whole = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return new RegExp(`^${parts.join('')}$`).test(whole)
}
