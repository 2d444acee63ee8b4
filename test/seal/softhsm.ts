/** A token in software (Debian's softhsm2), of which each test has its own. For tests only. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where Debian has it, and other systems. */
export const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so'
export const PIN = '73915'
const SO_PIN = '12345678'
const PATIENCE_MS = 60_000

/** @returns the variables that lead the library to the token */
export async function makeToken(folder: string, label = 'strongroom'): Promise<Record<string, string>> {
  const tokens = path.join(folder, 'tokens')
  await mkdir(tokens, { recursive: true })
  const config = path.join(folder, 'softhsm2.conf')
  await writeFile(config, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`)
  const env = { SOFTHSM2_CONF: config }
  const args = ['--init-token', '--free', '--label', label, '--so-pin', SO_PIN, '--pin', PIN]
  await run('softhsm2-util', args, { env: { ...process.env, ...env }, timeout: PATIENCE_MS })
  return env
}

/** @returns an AES key that is in the token, and known outside of it as well */
export async function importAes(env: Record<string, string>, folder: string, label: string): Promise<Buffer> {
  // The tool reads the file as a line of text, so no byte of the key may be the end of one.
  const key = Buffer.from(randomBytes(32).map((byte) => byte | 0x10))
  const file = path.join(folder, `${label}.bin`)
  await writeFile(file, key)
  const args = ['--import', file, '--aes', '--token', 'strongroom', '--label', label, '--id', 'a2', '--pin', PIN]
  await run('softhsm2-util', args, { env: { ...process.env, ...env }, timeout: PATIENCE_MS })
  return key
}

/** A pair of RSA keys, made outside and put into the token. */
export async function importRsa(env: Record<string, string>, folder: string, label: string): Promise<void> {
  const file = path.join(folder, `${label}.pem`)
  await run('openssl', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', file])
  const args = ['--import', file, '--token', 'strongroom', '--label', label, '--id', 'a1', '--pin', PIN]
  await run('softhsm2-util', args, { env: { ...process.env, ...env }, timeout: PATIENCE_MS })
}
