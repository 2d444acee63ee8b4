/** What the tests of PKI share: a server with the engine at pki/, and OpenSSL as the judge of what it makes. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { type Answer, type Options, startServer, type TestServer } from '#test/server.ts'

const run = promisify(execFile)
/** A list of ten thousand certificates is a megabyte of text. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

export async function startPki(options: Options = {}): Promise<TestServer> {
  const server = await startServer({ at: new Date().toISOString(), ...options })
  await mountPki(server, 'pki')
  return server
}

export async function mountPki(server: TestServer, at: string): Promise<void> {
  assert.equal((await server.write(`sys/mounts/${at}`, { type: 'pki' })).status, 204)
}

/** @returns the data of the answer */
export async function makeRoot(server: TestServer, fields: Record<string, unknown> = {}, at = 'pki'): Promise<any> {
  const common = { common_name: 'root.example.com', key_type: 'ec' }
  return ok(await server.write(`${at}/root/generate/internal`, { ...common, ...fields }))
}

export async function makeRole(server: TestServer, fields: Record<string, unknown> = {}, at = 'pki'): Promise<void> {
  ok(await server.write(`${at}/roles/web`, { allow_any_name: true, key_type: 'ec', ...fields }))
}

export async function issue(server: TestServer, fields: Record<string, unknown> = {}, at = 'pki'): Promise<any> {
  return ok(await server.write(`${at}/issue/web`, { common_name: 'a.example.com', ...fields }))
}

export function ok(answer: Answer): any {
  assert.equal(answer.status, 200, answer.text)
  return answer.body.data
}

export function refused(answer: Answer, text: string | RegExp, status = 400): void {
  assert.equal(answer.status, status, answer.text)
  if (typeof text === 'string') assert.deepEqual(answer.body.errors, [text])
  else assert.match(answer.body.errors.join('\n'), text)
}

export interface Ran {
  code: number
  out: string
}

/** Runs `openssl` in a folder with these files. @returns what it printed, on either stream */
export async function openssl(files: Record<string, string | Buffer>, ...args: string[]): Promise<Ran> {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-openssl-'))
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content)
    const { stdout, stderr } = await run('openssl', args, { cwd: folder, maxBuffer: MAX_OUTPUT_BYTES })
    return { code: 0, out: stdout + stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, out: `${stdout}${stderr}` }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Whether OpenSSL trusts `leaf`, and with `crl` that it is not revoked. */
export async function verifies({
  ca,
  leaf,
  crl,
  between,
}: {
  ca: string
  leaf: string
  crl?: string
  between?: string
}): Promise<Ran> {
  return await openssl(
    {
      'ca.pem': `${ca}\n`,
      'leaf.pem': `${leaf}\n`,
      ...(crl !== undefined && { 'crl.pem': `${crl}\n` }),
      ...(between !== undefined && { 'between.pem': `${between}\n` }),
    },
    'verify',
    '-x509_strict',
    ...(crl === undefined ? [] : ['-crl_check', '-CRLfile', 'crl.pem']),
    ...(between === undefined ? [] : ['-untrusted', 'between.pem']),
    '-CAfile',
    'ca.pem',
    'leaf.pem',
  )
}

export async function certificateText(pem: string): Promise<string> {
  return (await openssl({ 'c.pem': `${pem}\n` }, 'x509', '-in', 'c.pem', '-noout', '-text')).out
}

export async function crlText(pem: string): Promise<string> {
  return (await openssl({ 'c.pem': `${pem}\n` }, 'crl', '-in', 'c.pem', '-noout', '-text')).out
}

/** A request that OpenSSL makes. @param extensions  as its `-addext` takes them */
export async function csr(
  subject: string,
  extensions: readonly string[] = [],
  newKey: readonly string[] = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
): Promise<{ pem: string; key: string }> {
  const added = extensions.flatMap((each) => ['-addext', each])
  const { code, out } = await openssl(
    {},
    'req',
    '-new',
    ...newKey,
    '-nodes',
    '-keyout',
    '-',
    '-subj',
    subject,
    ...added,
  )
  assert.equal(code, 0, out)
  const find = (label: RegExp) => label.exec(out)![0]
  return {
    pem: find(/-----BEGIN CERTIFICATE REQUEST-----[^]*-----END CERTIFICATE REQUEST-----/),
    key: find(/-----BEGIN PRIVATE KEY-----[^]*-----END PRIVATE KEY-----/),
  }
}
