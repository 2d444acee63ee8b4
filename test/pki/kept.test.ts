import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { startServer } from '#test/server.ts'
import { issue, makeRole, ok, startPki } from './support.ts'

test('a CA outlives a restart with its key, certificates and list, and no key stands in the data folder', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-test-pki-'))
  try {
    const before = await startPki({ storage: 'sqlite', folder })
    const root = ok(await before.write('pki/root/generate/exported', { common_name: 'root', key_type: 'ec' }))
    await makeRole(before, { ttl: '1h' })
    const one = await issue(before)
    ok(await before.write('pki/revoke', { serial_number: one.serial_number }))
    await before.stop({ keep: true })

    const key = Buffer.from(root.private_key.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    // The number that is the secret: 32 bytes after version and header (RFC 5915 §3).
    const secret = key.subarray(7, 39)
    // Base64 looks otherwise at each of three places.
    const shifted = [0, 1, 2].map((by) =>
      Buffer.concat([Buffer.alloc(by), secret])
        .toString('base64')
        .slice(4, 40),
    )
    const forms = [secret, ...shifted]
    assert.ok(forms.some((form) => root.private_key.replaceAll('\n', '').includes(form)))
    for (const name of await readdir(folder)) {
      const bytes = await readFile(path.join(folder, name)).catch(() => Buffer.alloc(0))
      assert.ok(!forms.some((form) => bytes.includes(form)), name)
    }

    await using after = await startServer({ storage: 'sqlite', folder, rootToken: before.root })
    await after.send('PUT', 'sys/unseal', { key: before.unsealKey })
    const two = await issue(after)
    assert.equal(two.issuing_ca, root.certificate)
    assert.deepEqual(ok(await after.list('pki/certs/revoked')).keys, [one.serial_number])
    const list = (await after.read('pki/crl/pem', null)).text
    ok(await after.write('pki/revoke', { serial_number: two.serial_number }))
    assert.notEqual((await after.read('pki/crl/pem', null)).text, list)
    assert.equal(ok(await after.read(`pki/cert/${one.serial_number}`)).certificate, one.certificate)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
