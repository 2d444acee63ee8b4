/** Another server, whose transit engine has the key of the seal: set up word by word as the how-to says. For tests only. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { root, runShell } from '#test/cli/harness.ts'
import { makeAuthority, makeCertificate } from '#test/config/certificates.ts'
import { Program } from '#test/config/program.ts'
import { sendTls } from '#test/config/requests.ts'
import { freePort } from '#test/port.ts'

export type Guard = Awaited<ReturnType<typeof startGuard>>

/** @param folder  gets the authority's certificate and the token, where the example of the how-to has them */
export async function startGuard(folder: string) {
  const own = path.join(folder, 'guard')
  await mkdir(own)
  await makeAuthority(folder)
  await makeCertificate(folder, 'server', 'serverAuth')
  const port = await freePort()
  const tls = `tls_cert_file = "${folder}/server.pem"\n  tls_key_file = "${folder}/server-key.pem"`
  const listener = `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  ${tls}\n}\n`
  await writeFile(path.join(own, 'config.hcl'), `storage "inmem" {}\n${listener}`)
  const program = new Program(['server', '-config=config.hcl'], { cwd: own })
  await program.said(/listening on/)
  const ca = path.join(folder, 'ca.pem')
  let token = ''
  const send = async (method: string, where: string, body?: unknown) =>
    await sendTls(port, method, where, { ca }, { token, ...(body !== undefined && { body }) })
  const made = (await send('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })).body
  token = made.root_token
  const unseal = async () => await send('PUT', 'sys/unseal', { key: made.keys[0] })
  await unseal()
  const cli = async (words: string): Promise<string> => {
    const env = {
      PATH: `${root}/bin:${process.env['PATH']}`,
      HOME: own,
      STRONGROOM_ADDR: `https://127.0.0.1:${port}`,
      STRONGROOM_CACERT: ca,
      STRONGROOM_TOKEN: token,
    }
    const { code, stdout, stderr } = await runShell(`set -e\n${words}`, own, env)
    assert.equal(code, 0, stderr)
    return stdout.trim()
  }
  const [, steps] = /<!-- example: guard -->\n```sh\n(.*?)```/s.exec(readFileSync('docs/auto-unseal.md', 'utf8'))!
  const said = await cli(steps!)
  const unsealToken = said.split('\n').at(-1)!
  await writeFile(path.join(folder, 'unseal-token'), `${unsealToken}\n`, { mode: 0o600 })
  return {
    port,
    address: `https://127.0.0.1:${port}`,
    token: unsealToken,
    send,
    cli,
    unseal,
    seal: async () => await send('PUT', 'sys/seal', {}),
    rotate: async () => await cli('strongroom write -f transit/keys/unseal-app/rotate'),
    [Symbol.asyncDispose]: () => program.kill(),
  }
}
