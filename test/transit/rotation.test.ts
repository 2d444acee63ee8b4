import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tidyMounts } from '#boot/housekeeping.ts'
import { startTransit } from './support.ts'

test('a key gets a new version when its period is over, once, and counts from then', async () => {
  await using server = await startTransit({ at: '2026-01-01T00:00:00Z' })
  await server.write('transit/keys/daily', { auto_rotate_period: '24h' })
  await server.write('transit/keys/never', {})
  await server.write('transit/keys/put-away', { auto_rotate_period: '1h' })
  await server.delete('transit/keys/put-away/soft-delete')
  const round = async () => {
    await tidyMounts(server.node.core.mounts)
    const versions = []
    for (const name of ['daily', 'never', 'put-away']) {
      versions.push((await server.read(`transit/keys/${name}`)).body.data.latest_version)
    }
    return versions
  }
  assert.deepEqual(await round(), [1, 1, 1])
  server.tick(24 * 3600 - 1)
  assert.deepEqual(await round(), [1, 1, 1])
  server.tick(1)
  assert.deepEqual(await round(), [2, 1, 1])
  assert.deepEqual(await round(), [2, 1, 1])
  server.tick(12 * 3600)
  await server.write('transit/keys/daily/rotate', {})
  server.tick(13 * 3600)
  // By hand counts too: the latest version is not a day old.
  assert.deepEqual(await round(), [3, 1, 1])
  server.tick(11 * 3600)
  assert.deepEqual(await round(), [4, 1, 1])
  await server.write('transit/keys/daily/config', { auto_rotate_period: 0 })
  await server.write('transit/keys/put-away/soft-delete-restore', {})
  server.tick(48 * 3600)
  assert.deepEqual(await round(), [4, 1, 2])
})

test('two rounds at the same moment, as on two nodes, give one version', async () => {
  await using server = await startTransit({ at: '2026-01-01T00:00:00Z' })
  await server.write('transit/keys/app', { type: 'rsa-2048', auto_rotate_period: '1h' })
  server.tick(3600)
  await Promise.all([tidyMounts(server.node.core.mounts), tidyMounts(server.node.core.mounts)])
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 2)
})

test('a key that cannot be rotated does not keep the others, and is told', async () => {
  await using server = await startTransit({ at: '2026-01-01T00:00:00Z' })
  for (const name of ['a', 'b']) await server.write(`transit/keys/${name}`, { auto_rotate_period: '1h' })
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  const key = (await mount.storage.get<any>('key/a'))!
  await mount.storage.put('key/a', { ...key, created: Array(10_000).fill(key.created[0]) })
  server.tick(3600)
  await assert.rejects(tidyMounts(server.node.core.mounts), /transit\/: keys that could not be rotated: a: /)
  assert.equal((await server.read('transit/keys/b')).body.data.latest_version, 2)
})

test('which keys rotate is known without reading all, whichever way they came and went', async () => {
  await using server = await startTransit()
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  const rotating = () => mount.storage.list('rotating/')
  await server.write('transit/keys/a', { auto_rotate_period: '1h', exportable: true, allow_plaintext_backup: true })
  await server.write('transit/keys/b', { exportable: true, allow_plaintext_backup: true })
  assert.deepEqual(await rotating(), ['a'])
  await server.write('transit/keys/b/config', { auto_rotate_period: '2h' })
  await server.write('transit/keys/a/config', { auto_rotate_period: 0, deletion_allowed: true })
  await server.write('transit/keys/a/rotate', {})
  assert.deepEqual(await rotating(), ['b'])
  const { backup } = (await server.read('transit/backup/b')).body.data
  await server.write('transit/restore/c', { backup })
  await server.write('transit/restore/a', { backup, force: true })
  assert.deepEqual(await rotating(), ['a', 'b', 'c'])
  await server.write('transit/keys/d', { exportable: true, allow_plaintext_backup: true })
  const { backup: still } = (await server.read('transit/backup/d')).body.data
  await server.write('transit/restore/b', { backup: still, force: true })
  await server.write('transit/keys/c/config', { deletion_allowed: true })
  await server.delete('transit/keys/c')
  assert.deepEqual(await rotating(), ['a'])
})
