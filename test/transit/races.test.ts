import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeKey, rotateKey } from '#engines/transit/create.ts'
import { keyNamed } from '#engines/transit/key.ts'
import { CACHE_KEY, kept, materialOf } from '#engines/transit/loaded.ts'
import { openMount } from '#test/kv/support.ts'

const missing = () => new Error('missing') as never

test('of two who make a key at once one makes it, and both get the same', async () => {
  const { mount } = await openMount('transit')
  // All have looked and found nothing before the first one writes: generating takes longer than looking.
  const all = await Promise.all(Array.from({ length: 4 }, () => makeKey(mount, 'app', { type: 'rsa-2048' })))
  assert.equal(all.filter(({ made }) => made).length, 1)
  assert.equal(new Set(all.map(({ key }) => key.id)).size, 1)
  assert.equal((await mount.storage.keys('version/')).length, 1)
})

test('of several rotations at once each gives a version', async () => {
  const { mount } = await openMount('transit')
  await makeKey(mount, 'app', { type: 'rsa-2048' })
  const all = await Promise.all(Array.from({ length: 3 }, () => rotateKey(mount, 'app', missing)))
  assert.deepEqual(new Set(all.map(({ latest_version: latest }) => latest)), new Set([2, 3, 4]))
  assert.equal((await mount.storage.keys('version/')).length, 4)
})

test('a rotation that began on a key which was replaced meanwhile adds to the new one what fits it', async () => {
  const { mount, call } = await openMount('transit')
  await makeKey(mount, 'app', { type: 'rsa-4096' })
  await call('update', 'keys/app/config', { deletion_allowed: true })
  const rotation = rotateKey(mount, 'app', missing)
  await call('delete', 'keys/app')
  const { key } = await makeKey(mount, 'app', { type: 'aes128-gcm96' })
  const rotated = await rotation
  assert.equal(rotated.id, key.id)
  assert.equal(rotated.latest_version, 2)
  const material = await materialOf(mount, (await keyNamed(mount.storage, 'app'))!, 2)
  assert.equal(material.secret?.symmetricKeySize, 16)
})

test('parsed material is kept for as many keys as the settings say, and goes with the change of a key', async () => {
  const { mount } = await openMount('transit')
  await mount.storage.put(CACHE_KEY, { size: 10 })
  const keys = []
  for (let index = 0; index < 30; index++) {
    await makeKey(mount, `k${index}`, { type: 'aes256-gcm96' })
    const key = (await keyNamed(mount.storage, `k${index}`))!
    await materialOf(mount, key, 1)
    keys.push(key)
  }
  assert.deepEqual(
    keys.map((key) => kept(key, 1) !== undefined),
    keys.map((_, index) => index >= 20),
  )
  await rotateKey(mount, 'k29', missing)
  assert.equal(kept((await keyNamed(mount.storage, 'k29'))!, 1), undefined)
})

test('of a key with many versions only so many are kept parsed', async () => {
  const { mount } = await openMount('transit')
  await makeKey(mount, 'app', { type: 'aes256-gcm96' })
  for (let count = 0; count < 99; count++) await rotateKey(mount, 'app', missing)
  const key = (await keyNamed(mount.storage, 'app'))!
  for (let version = 1; version <= 100; version++) await materialOf(mount, key, version)
  const versions = Array.from({ length: 100 }, (_, index) => index + 1).filter((version) => kept(key, version))
  assert.equal(versions.length, 64)
  assert.equal(versions[0], 37)
})
