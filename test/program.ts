/** The program itself, started as people start it. For tests only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Answer, sendTo } from '#test/server.ts'
import { freePort } from '#test/port.ts'

export interface Program {
  process: ChildProcess
  port: number
  folder: string
  token: string
  send(method: string, where: string, body?: unknown): Promise<Answer>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** @param shell  what the shell does before it becomes the program, e.g. to set a limit */
export async function startProgram({
  folder,
  shell = ':',
}: { folder?: string; shell?: string } = {}): Promise<Program> {
  const data = folder ?? mkdtempSync(path.join(tmpdir(), 'strongroom-program-'))
  const port = await freePort()
  const child = spawn('sh', ['-c', `${shell}; exec bin/strongroom start -data="$0" -address=127.0.0.1:${port}`, data], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.includes('For production')) break
  }
  if (!said.includes('For production')) throw new Error(`the server did not start: ${said}`)
  const token = readFileSync(path.join(data, 'root-token'), 'utf8').trim()
  return {
    process: child,
    port,
    folder: data,
    token,
    send: (method, where, body) => sendTo(port, method, where, body, { 'x-vault-token': token }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        await once(child, 'exit')
      }
      if (folder === undefined) rmSync(data, { recursive: true, force: true })
    },
  }
}
