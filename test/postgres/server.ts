/**
 * A real PostgreSQL for tests: a cluster of its own in a temporary folder, on 127.0.0.1. The server refuses to run as root,
 * so then it runs as the user of Debian's package.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'

const PASSWORD = 'pg test password'
const START_LIMIT_MS = 60_000

export interface Database {
  /** For `connection_url`. */
  url: string
  port: number
  /** Kills all of it, as a crash does: nothing is written any more. */
  crash(): Promise<void>
  /** Again over the same data, at the same address. */
  start(): Promise<void>
  /** As its administrator. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  dispose(): Promise<void>
}

export const binaries = globSync('/usr/lib/postgresql/*/bin').toSorted().at(-1) ?? '/usr/local/bin'

/** Files that the server must read belong to its user. */
export function giveToDatabase(place: string): void {
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', place])
}

export async function startDatabase(settings: Record<string, string> = {}): Promise<Database> {
  assert.ok(existsSync(path.join(binaries, 'initdb')), 'PostgreSQL is installed (Debian: postgresql)')
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-pg-'))
  writeFileSync(path.join(folder, 'password'), `${PASSWORD}\n`, { mode: 0o600 })
  giveToDatabase(folder)
  const data = path.join(folder, 'data')
  const setUp = asOwner('initdb', [
    '-D',
    data,
    '-U',
    'strongroom',
    '-A',
    'scram-sha-256',
    `--pwfile=${path.join(folder, 'password')}`,
    '-E',
    'UTF8',
    '--no-locale',
  ])
  execFileSync(setUp[0]!, setUp.slice(1), { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
  const port = await freePort()
  const url = `postgres://strongroom:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres?sslmode=disable`
  const options = { port: String(port), listen_addresses: '127.0.0.1', unix_socket_directories: folder, ...settings }
  let server: ChildProcess | undefined
  const database: Database = {
    url,
    port,
    async start() {
      const [command, ...args] = asOwner('postgres', [
        '-D',
        data,
        ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ])
      server = spawn(command!, args, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] })
      let errors = ''
      server.stderr!.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)))
      for (const until = Date.now() + START_LIMIT_MS; ;) {
        try {
          await this.query('SELECT 1')
          return
        } catch (error) {
          assert.ok(server.exitCode === null, `PostgreSQL ended: ${errors}`)
          assert.ok(Date.now() < until, `PostgreSQL does not start: ${String(error)} ${errors}`)
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      }
    },
    async crash() {
      await end(server!, 'SIGQUIT')
    },
    async query(text, values) {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => undefined)
      await client.connect()
      try {
        return (await client.query(text, values)).rows as Record<string, unknown>[]
      } finally {
        await client.end()
      }
    },
    async dispose() {
      if (server && server.exitCode === null && server.signalCode === null) await end(server, 'SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await database.start()
  return database
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(server, 'exit')
  server.kill(signal)
  await ended
}

function asOwner(program: string, args: readonly string[]): string[] {
  const command = [path.join(binaries, program), ...args]
  // It becomes the program itself, so that signals reach it.
  return process.getuid?.() === 0
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...command]
    : command
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
