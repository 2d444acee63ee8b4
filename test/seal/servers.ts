/** Programs with a seal of the how-to, and a way to whoever has the key that can be cut. For tests only. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import path from 'node:path'
import { Program, until } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'
import { type Answer, sendTo } from '#test/server.ts'

/** A configuration of docs/auto-unseal.md, word by word, but for the folder where its files lie. */
export function example(name: string, folder: string): string {
  const docs = readFileSync('docs/auto-unseal.md', 'utf8')
  const found = new RegExp(`<!-- example: ${name} -->\n\`\`\`hcl\n(.*?)\`\`\``, 's').exec(docs)
  assert.ok(found, `docs/auto-unseal.md has no example ${name}`)
  return found[1]!.replaceAll('/etc/strongroom', folder)
}

export interface Served extends AsyncDisposable {
  program: Program
  port: number
  send(method: string, where: string, body?: unknown, token?: string): Promise<Answer>
  status(): Promise<any>
  /** Resolves when the server is unsealed. */
  unsealed(): Promise<void>
  stop(): Promise<void>
}

/** The server program in `folder`, listening. Its data stay there for the next one. */
export async function serve(folder: string, seal: string, env: Record<string, string> = {}): Promise<Served> {
  const port = await freePort()
  const listener = `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n}\n`
  await writeFile(path.join(folder, 'config.hcl'), `storage "sqlite" { path = "data" }\n${listener}${seal}`)
  const program = new Program(['server', '-config=config.hcl'], { cwd: folder, env })
  try {
    await program.said(/listening on/)
  } catch (error) {
    await program.kill()
    throw error
  }
  const send = (method: string, where: string, body?: unknown, token?: string) =>
    sendTo(port, method, where, body, token === undefined ? {} : { 'x-vault-token': token })
  const status = async () => (await send('GET', 'sys/seal-status')).body
  return {
    program,
    port,
    send,
    status,
    unsealed: async () => {
      await until('the server to be unsealed', async () => ((await status()).sealed === false ? true : undefined))
    },
    async stop() {
      program.signal('SIGTERM')
      assert.deepEqual(await program.ended(), { code: 0, signal: null })
      await program.kill()
    },
    [Symbol.asyncDispose]: () => program.kill(),
  }
}

/** None of these texts was said, nor stands in the arguments of the process. */
export async function assertUnspoken({ program }: Pick<Served, 'program'>, secrets: readonly string[]): Promise<void> {
  const args = program.running ? await readFile(`/proc/${program.pid}/cmdline`, 'utf8') : ''
  for (const secret of secrets) {
    assert.equal(program.output.includes(secret), false, 'a secret was logged')
    assert.equal(args.includes(secret), false, 'a secret is an argument')
  }
}

/** A port in front of another one: open, refusing, or taking connections and saying nothing. */
export async function startGate(target: number) {
  const sockets = new Set<Socket>()
  let silent = false
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    if (silent) return
    const onward = connect(target, '127.0.0.1')
    sockets.add(onward)
    onward.on('error', () => socket.destroy()).on('close', () => sockets.delete(onward))
    socket.pipe(onward).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const hangUp = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    /** Connections are refused from here on, and those that are open are cut. */
    async shut() {
      const closed = once(server, 'close')
      server.close()
      hangUp()
      await closed
    },
    async open() {
      silent = false
      if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening')
    },
    silence() {
      silent = true
      hangUp()
    },
    async [Symbol.asyncDispose]() {
      hangUp()
      server.close()
    },
  }
}
