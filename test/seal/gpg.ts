/** GnuPG as the holders of shares have it: real keys, real decryption. For tests only. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Gpg extends Disposable {
  home: string
  /** Base64 of the public key in binary, as the API takes it. */
  publicKey(name: string): string
  armored(name: string): string
  secretKey(name: string): string
  fingerprint(name: string): string
  /** The text in a message , if this home has the key for it. */
  decrypt(message: Buffer): string
  run(args: readonly string[], input?: Buffer): Buffer
}

/** @param keys  name → algorithm, as gpg calls it: `future-default` (Curve25519), `rsa3072`, `nistp256/cert …` */
export function startGpg(keys: Readonly<Record<string, string>>): Gpg {
  // In a short folder of its own: sockets of its agent lie there, and their names may not be long.
  const home = mkdtempSync(path.join(tmpdir(), 'gpg-'))
  const run = (args: readonly string[], input?: Buffer) =>
    execFileSync(
      'gpg',
      ['--homedir', home, '--batch', '--quiet', '--passphrase', '', '--pinentry-mode', 'loopback', ...args],
      {
        input: input ?? Buffer.alloc(0),
        stdio: ['pipe', 'pipe', 'pipe'],
        timeout: 60_000,
      },
    )
  for (const [name, algorithm] of Object.entries(keys)) {
    run(['--quick-generate-key', `${name} <${name}@example.com>`, algorithm, 'default', 'never'])
    if (algorithm.startsWith('rsa')) run(['--quick-add-key', fingerprintOf(name), algorithm, 'encr', 'never'])
  }
  function fingerprintOf(name: string): string {
    const listing = run(['--with-colons', '--list-keys', name]).toString()
    return /^fpr:+([0-9A-F]+):/m.exec(listing)![1]!
  }
  return {
    home,
    run,
    publicKey: (name) => run(['--export', name]).toString('base64'),
    armored: (name) => run(['--armor', '--export', name]).toString(),
    secretKey: (name) => run(['--export-secret-keys', name]).toString('base64'),
    fingerprint: (name) => fingerprintOf(name).toLowerCase(),
    decrypt: (message) => run(['--decrypt'], message).toString(),
    [Symbol.dispose]: () => {
      execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'], { stdio: 'ignore' })
      rmSync(home, { recursive: true, force: true })
    },
  }
}
