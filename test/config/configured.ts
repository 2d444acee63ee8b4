/** A server with a configuration file, as a process. For tests only. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { sendTo } from '#test/server.ts'
import { Program } from './program.ts'

export const tcp = (port: number) => `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n}\n`
export const withToken = (token: string) => ({ 'x-vault-token': token })

/** A server with this configuration, in the folder where its file lies; resolves when it listens. */
export async function startConfigured(
  folder: string,
  config: string,
  env: Record<string, string> = {},
): Promise<Program> {
  const program = await run(folder, config, env)
  try {
    await program.said(/listening on/)
    return program
  } catch (error) {
    await program.kill()
    throw error
  }
}

export async function run(folder: string, config: string, env: Record<string, string> = {}): Promise<Program> {
  const name = config.trimStart().startsWith('{') ? 'config.json' : 'config.hcl'
  await writeFile(path.join(folder, name), config)
  return new Program(['server', `-config=${name}`], { cwd: folder, env })
}

/** What a program said that refused to start. */
export async function refusalOf(program: Program): Promise<{ code: number | null; output: string }> {
  await using ending = program
  const { code } = await ending.ended()
  return { code, output: ending.output }
}

export async function initialize(port: number): Promise<{ share: string; root: string }> {
  const { status, body } = await sendTo(port, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }, {})
  if (status !== 200) throw new Error(`init: ${status}`)
  return { share: body.keys_base64[0], root: body.root_token }
}

export const unseal = (port: number, share: string) => sendTo(port, 'PUT', 'sys/unseal', { key: share }, {})
