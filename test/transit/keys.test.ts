import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTransit } from './support.ts'

test('a key is made once; a second request leaves it as it is and says so', async () => {
  await using server = await startTransit({ at: '2026-01-02T03:04:05Z' })
  const made = await server.write('transit/keys/app', { exportable: true })
  assert.equal(made.status, 200)
  assert.deepEqual(made.body.data, {
    allow_plaintext_backup: false,
    auto_rotate_period: 0,
    deletion_allowed: false,
    derived: false,
    exportable: true,
    imported_key: false,
    keys: { 1: Date.parse('2026-01-02T03:04:05Z') / 1000 },
    latest_version: 1,
    min_available_version: 0,
    min_decryption_version: 1,
    min_encryption_version: 0,
    name: 'app',
    soft_deleted: false,
    supports_decryption: true,
    supports_derivation: true,
    supports_encryption: true,
    supports_signing: false,
    type: 'aes256-gcm96',
  })
  assert.equal(made.body.warnings, null)
  const again = await server.write('transit/keys/app', { type: 'ed25519' })
  assert.deepEqual(again.body.data, made.body.data)
  assert.deepEqual(again.body.warnings, ['key app already existed'])
  assert.deepEqual((await server.read('transit/keys/app')).body.data, made.body.data)
  assert.deepEqual((await server.list('transit/keys')).body.data, { keys: ['app'] })
})

test('settings that contradict each other make no key', async () => {
  await using server = await startTransit()
  const refused: [Record<string, unknown>, number, string][] = [
    [{ type: 'des' }, 400, 'unknown key type des'],
    [{ convergent_encryption: true }, 400, 'convergent encryption requires derivation to be enabled'],
    [{ auto_rotate_period: '59m' }, 400, 'auto rotate period must be 0 to disable or at least an hour'],
    [{ key_size: 64 }, 400, 'key_size is not valid for algorithm aes256-gcm96'],
    [{ type: 'hmac', key_size: 31 }, 500, '1 error occurred:\n\t* invalid key size 31 for HMAC key'],
    [{ type: 'hmac', key_size: 513 }, 500, '1 error occurred:\n\t* invalid key size 513 for HMAC key'],
    [{ type: 'rsa-2048', derived: true }, 500, '1 error occurred:\n\t* key derivation'],
    [
      { type: 'ed25519', derived: true, convergent_encryption: true },
      500,
      '1 error occurred:\n\t* convergent encryption not supported',
    ],
  ]
  for (const [body, status, message] of refused) {
    const answer = await server.write('transit/keys/bad', body)
    assert.equal(answer.status, status, answer.text)
    assert.ok(answer.body.errors[0].startsWith(message), answer.text)
  }
  assert.equal((await server.read('transit/keys/bad')).status, 404)
  assert.equal((await server.list('transit/keys')).status, 404)
})

test('names that no path of the API has are not there', async () => {
  await using server = await startTransit()
  for (const name of ['-a', 'a-', 'a b', 'ä', '.a', `${'a'.repeat(513)}`]) {
    assert.equal((await server.write(`transit/keys/${encodeURIComponent(name)}`, {})).status, 404, name)
  }
  for (const name of ['a', 'A.b-c_d', '__proto__', 'constructor']) {
    assert.equal((await server.write(`transit/keys/${name}`, {})).status, 200, name)
    assert.equal((await server.read(`transit/keys/${name}`)).body.data.name, name)
  }
})

test('twenty rotations at once give twenty versions, each of which opens what it sealed', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  const answers = await Promise.all(Array.from({ length: 20 }, () => server.write('transit/keys/app/rotate', {})))
  assert.deepEqual(
    answers.map(({ status }) => status),
    answers.map(() => 200),
  )
  const key = (await server.read('transit/keys/app')).body.data
  assert.equal(key.latest_version, 21)
  assert.equal(Object.keys(key.keys).length, 21)
  const versions = new Set<string>()
  for (let version = 1; version <= 21; version++) {
    const sealed = (await server.write('transit/encrypt/app', { plaintext: 'b25l', key_version: version })).body.data
    assert.equal(sealed.key_version, version)
    assert.ok(sealed.ciphertext.startsWith(`vault:v${version}:`))
    assert.equal(
      (await server.write('transit/decrypt/app', { ciphertext: sealed.ciphertext })).body.data.plaintext,
      'b25l',
    )
    // Under the number of another version it does not open: each has material of its own.
    const other = sealed.ciphertext.replace(/v\d+/, `v${(version % 21) + 1}`)
    assert.equal((await server.write('transit/decrypt/app', { ciphertext: other })).status, 400)
    versions.add(sealed.ciphertext)
  }
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, 'b25l')
})

test('versions that are too old neither open nor seal, and come back when that is set back', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  for (let count = 0; count < 3; count++) await server.write('transit/keys/app/rotate', {})
  const set = await server.write('transit/keys/app/config', { min_decryption_version: 2, min_encryption_version: 3 })
  assert.deepEqual(Object.keys(set.body.data.keys), ['2', '3', '4'])
  const old = await server.write('transit/decrypt/app', { ciphertext })
  assert.equal(old.status, 400)
  assert.deepEqual(old.body.errors, ['ciphertext or signature version is disallowed by policy (too old)'])
  const low = await server.write('transit/encrypt/app', { plaintext: 'b25l', key_version: 2 })
  assert.deepEqual(low.body.errors, [
    'requested version for encryption is less than the minimum encryption key version',
  ])
  await server.write('transit/keys/app/config', { min_decryption_version: 1 })
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, 'b25l')
})

test('settings that would lock everything out are refused, and those that were given before stay', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', { exportable: true, allow_plaintext_backup: true })
  await server.write('transit/keys/app/rotate', {})
  const refused: [Record<string, unknown>, string][] = [
    [{ min_decryption_version: -1 }, 'min decryption version cannot be negative'],
    [{ min_decryption_version: 3 }, 'cannot set min decryption version of 3, latest key version is 2'],
    [{ min_encryption_version: -1 }, 'min encryption version cannot be negative'],
    [{ min_encryption_version: 3 }, 'cannot set min encryption version of 3, latest key version is 2'],
    [
      { min_decryption_version: 2, min_encryption_version: 1 },
      'cannot set min encryption/decryption values; min encryption version of 1 must be greater than or equal to min decryption version of 2',
    ],
    [{ auto_rotate_period: 1 }, 'auto rotate period must be 0 to disable or at least an hour'],
  ]
  for (const [body, message] of refused) {
    const answer = await server.write('transit/keys/app/config', { deletion_allowed: true, ...body })
    assert.deepEqual([answer.status, answer.body.errors], [400, [message]])
  }
  const kept = await server.write('transit/keys/app/config', {
    exportable: false,
    allow_plaintext_backup: false,
    min_decryption_version: 0,
  })
  assert.equal(kept.body.data.exportable, true)
  assert.equal(kept.body.data.allow_plaintext_backup, true)
  assert.equal(kept.body.data.deletion_allowed, false)
  assert.equal(kept.body.data.min_decryption_version, 1)
  assert.deepEqual(kept.body.warnings, ['since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1'])
  assert.deepEqual((await server.write('transit/keys/none/config', {})).body.errors, [
    'no existing key named none could be found',
  ])
})

test('a key goes only when that is allowed, with all its versions, and one of the same name knows nothing of it', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  for (let count = 0; count < 5; count++) await server.write('transit/keys/app/rotate', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l', key_version: 1 })).body.data
  const refused = await server.delete('transit/keys/app')
  assert.equal(refused.status, 400)
  assert.deepEqual(refused.body.errors, ['error deleting policy app: deletion is not allowed for this policy'])
  await server.write('transit/keys/app/config', { deletion_allowed: true })
  assert.equal((await server.delete('transit/keys/app')).status, 204)
  assert.equal((await server.read('transit/keys/app')).status, 404)
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  assert.deepEqual(await mount.storage.keys(''), [])
  assert.deepEqual((await server.delete('transit/keys/app')).body.errors, [
    'error deleting policy app: could not delete key; not found',
  ])
  await server.write('transit/keys/app', {})
  const stale = await server.write('transit/decrypt/app', { ciphertext })
  assert.deepEqual(stale.body.errors, ['invalid ciphertext: unable to decrypt'])
})

test('trimmed versions are gone for good, and none that may still be used is trimmed', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  for (let count = 0; count < 4; count++) await server.write('transit/keys/app/rotate', {})
  const trim = (version: number) => server.write('transit/keys/app/trim', { min_available_version: version })
  const cannot = 'minimum available version cannot be set'
  assert.deepEqual((await trim(2)).body.errors, [`${cannot} when minimum encryption version is not set`])
  await server.write('transit/keys/app/config', { min_decryption_version: 3, min_encryption_version: 4 })
  assert.deepEqual((await trim(5)).body.errors, [`${cannot} higher than minimum encryption version`])
  assert.deepEqual((await trim(4)).body.errors, [`${cannot} higher than minimum decryption version`])
  assert.deepEqual((await trim(0)).body.errors, ['minimum available version should be positive'])
  assert.deepEqual((await trim(-1)).body.errors, ['minimum available version cannot be decremented'])
  assert.equal((await trim(3)).body.data.min_available_version, 3)
  assert.deepEqual((await trim(2)).body.errors, ['minimum available version cannot be decremented'])
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  assert.equal((await mount.storage.keys('version/')).length, 3)
  const back = await server.write('transit/keys/app/config', { min_decryption_version: 2 })
  assert.equal(back.status, 400)
  assert.deepEqual(Object.keys((await server.read('transit/keys/app')).body.data.keys), ['3', '4', '5'])
  const sealed = await server.write('transit/encrypt/app', { plaintext: 'b25l', key_version: 4 })
  assert.equal(sealed.body.data.key_version, 4)
})

test('a key that was put away does nothing until it is brought back', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  assert.equal((await server.delete('transit/keys/app/soft-delete')).status, 204)
  assert.equal((await server.read('transit/keys/app')).body.data.soft_deleted, true)
  assert.equal((await server.write('transit/encrypt/app', { plaintext: 'b25l' })).status, 400)
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).status, 400)
  assert.equal((await server.write('transit/rewrap/app', { ciphertext })).status, 400)
  assert.ok((await server.write('transit/keys/app/rotate', {})).status >= 400)
  assert.equal((await server.write('transit/keys/app/soft-delete-restore', {})).status, 204)
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, 'b25l')
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 1)
  const none = 'no existing key named none could be found'
  assert.deepEqual((await server.delete('transit/keys/none/soft-delete')).body.errors, [none])
  assert.deepEqual((await server.write('transit/keys/none/rotate', {})).body.errors, ['key not found'])
})

test('settings of the mount: no key is made by encrypting, and the sizes that a cache may have', async () => {
  await using server = await startTransit()
  assert.deepEqual((await server.read('transit/config/keys')).body.data, { disable_upsert: false })
  assert.equal((await server.write('transit/encrypt/one', { plaintext: 'b25l' })).status, 200)
  await server.write('transit/config/keys', { disable_upsert: true })
  assert.deepEqual((await server.read('transit/config/keys')).body.data, { disable_upsert: true })
  assert.deepEqual((await server.write('transit/encrypt/two', { plaintext: 'b25l' })).body.errors, [
    'encryption key not found',
  ])
  assert.equal((await server.read('transit/keys/two')).status, 404)
  assert.deepEqual((await server.read('transit/cache-config')).body.data, { size: 0 })
  assert.equal((await server.write('transit/cache-config', { size: 9 })).status, 400)
  assert.equal((await server.write('transit/cache-config', { size: -1 })).status, 400)
  await server.write('transit/cache-config', { size: 10 })
  assert.deepEqual((await server.read('transit/cache-config')).body.data, { size: 10 })
  await server.write('transit/config/keys', { disable_upsert: false })
  // Three times as many keys as the cache has room for: each still opens its own.
  const texts: [string, string][] = []
  for (let index = 0; index < 30; index++) {
    const answer = await server.write(`transit/encrypt/k${index}`, { plaintext: 'b25l' })
    texts.push([`k${index}`, answer.body.data.ciphertext])
  }
  for (const [name, ciphertext] of [...texts, ...texts.toReversed()]) {
    assert.equal((await server.write(`transit/decrypt/${name}`, { ciphertext })).body.data.plaintext, 'b25l')
  }
})
