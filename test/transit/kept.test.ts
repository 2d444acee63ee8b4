import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startServer } from '#test/server.ts'
import { base64, startTransit } from './support.ts'

test('keys and all they sealed outlive a restart, and no key stands in the data folder', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-test-transit-'))
  let running: { stop(options: { keep: true }): Promise<void> } | undefined
  try {
    const before = await startTransit({ storage: 'sqlite', folder })
    running = before
    await before.write('transit/keys/app', { exportable: true, derived: true })
    await before.write('transit/keys/sig', { type: 'ecdsa-p256', exportable: true })
    await before.write('transit/keys/app/rotate', {})
    const [plaintext, context] = [base64('message'), base64('context')]
    const { ciphertext } = (await before.write('transit/encrypt/app', { plaintext, context })).body.data
    const { signature } = (await before.write('transit/sign/sig', { input: plaintext })).body.data
    const secrets = [
      ...Object.values<string>((await before.read('transit/export/encryption-key/app')).body.data.keys),
      ...Object.values<string>((await before.read('transit/export/hmac-key/sig')).body.data.keys),
      (await before.read('transit/export/signing-key/sig?format=der')).body.data.keys['1'] as string,
    ]
    const { unsealKey, root } = before
    running = undefined
    await before.stop({ keep: true })

    for (const name of await readdir(folder)) {
      const bytes = await readFile(path.join(folder, name)).catch(() => Buffer.alloc(0))
      for (const secret of secrets) {
        assert.ok(!bytes.includes(secret) && !bytes.includes(Buffer.from(secret, 'base64')), name)
      }
    }

    await using after = await startServer({ storage: 'sqlite', folder, rootToken: root })
    await after.send('PUT', 'sys/unseal', { key: unsealKey })
    assert.equal((await after.write('transit/decrypt/app', { ciphertext, context })).body.data.plaintext, plaintext)
    const verified = await after.write('transit/verify/sig', { input: plaintext, signature })
    assert.deepEqual(verified.body.data, { valid: true })
    assert.equal((await after.read('transit/keys/app')).body.data.latest_version, 2)
  } finally {
    await running?.stop({ keep: true })
    await rm(folder, { recursive: true, force: true })
  }
})
