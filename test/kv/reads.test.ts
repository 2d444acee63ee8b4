/** Who read a secret last, when and how often: counted in memory, written down in the background. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countRead, describeReads, flushReads, MAX_COUNTED } from '#engines/kv/reads.ts'
import type { Caller, Mount } from '#sdk/engine.ts'
import { Barrier } from '#seal/barrier.ts'
import { meddled, openStore } from '#test/seal/support.ts'
import { startServer, type TestServer } from '#test/server.ts'
import { openMount } from './support.ts'

const READS = 'secret/metadata/a?reads=true'
const caller = (displayName: string): Caller => ({ displayName }) as Caller

async function told(server: TestServer, where = READS): Promise<unknown[]> {
  const { read_count, last_read_time, last_read_by } = (await server.read(where)).body.data
  return [read_count, last_read_time, last_read_by?.display_name]
}

test('reads are told with their number, time and reader, when they are asked for', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z', secret: true })
  await server.write('secret/data/a', { data: { x: 1 } })
  assert.deepEqual((await server.read(READS)).body.data.last_read_by, null)
  assert.deepEqual(await told(server), [0, '', undefined])
  await server.write('sys/policies/acl/r', { policy: 'path "secret/data/a" { capabilities = ["read"] }' })
  const token = await server.login(['r'], { display_name: 'mara' })
  for (let time = 0; time < 3; time++) await server.read('secret/data/a')
  server.tick(10)
  await server.read('secret/data/a?version=1', token)
  assert.deepEqual(await told(server), [4, '2026-01-01T00:00:10Z', 'token-mara'])
  assert.ok(!Object.hasOwn((await server.read('secret/metadata/a')).body.data, 'read_count'))
  const { mount } = (await server.node.core.mounts.at('secret', 'secret'))!
  await flushReads(mount)
  assert.deepEqual(await told(server), [4, '2026-01-01T00:00:10Z', 'token-mara'])
  await server.read('secret/data/a')
  assert.deepEqual(await told(server), [5, '2026-01-01T00:00:10Z', 'root'])
})

test('what is refused, not there, deleted, or no read of the data does not count', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/a', { data: { x: 1 } })
  await server.read('secret/data/a', await server.login(['default']))
  await server.read('secret/data/a?version=7')
  await server.read('secret/subkeys/a')
  await server.list('secret/metadata')
  await server.delete('secret/data/a')
  assert.equal((await server.read('secret/data/a')).status, 404)
  assert.equal((await told(server))[0], 0)
})

test('a server that is stopped in good order keeps all counts', async () => {
  const first = await startServer({ storage: 'sqlite', secret: true })
  await first.write('secret/data/a', { data: { x: 1 } })
  for (let time = 0; time < 3; time++) await first.read('secret/data/a')
  await first.stop({ keep: true })
  await using server = await startServer({ folder: first.folder! })
  await server.node.unsealWith([Buffer.from(first.unsealKey, 'base64')])
  assert.equal((await told(server))[0], 3)
})

test('a read writes nothing by itself, and a flush without reads neither', async () => {
  const { driver, barrier, clock } = await openStore()
  let changes = 0
  const counting = meddled(driver, {
    transact: (change) => {
      changes += 1
      return driver.transact(change)
    },
  })
  const storage = new Barrier(counting, barrier.ring()).storage('m/')
  const mount = { storage, clock } as unknown as Mount
  for (let number = 0; number < 1000; number++) countRead(mount, `p${number % 300}`, 1, caller('bob'), 5)
  assert.equal(changes, 0)
  await flushReads(mount)
  // Hundreds of secrets in one commit.
  assert.equal(changes, 2)
  await flushReads(mount)
  assert.equal(changes, 2)
  assert.equal((await storage.keys('reads/')).length, 300)
})

test('counts of two processes add up, and the later read is the last', async () => {
  const { barrier, clock } = await openStore()
  const [one, two] = [0, 1].map(() => ({ storage: barrier.storage('m/'), clock }) as unknown as Mount)
  for (let time = 0; time < 3; time++) countRead(one!, 'a', 1, caller('late'), 2000)
  for (let time = 0; time < 4; time++) countRead(two!, 'a', 1, caller('early'), 1000)
  await Promise.all([flushReads(one!), flushReads(two!)])
  assert.deepEqual(await describeReads(one!, 'a', { created_ms: 1 }), {
    read_count: 7,
    last_read_time: '1970-01-01T00:00:02Z',
    last_read_by: { display_name: 'late', entity_id: '' },
  })
})

test('a new secret at the path of one that was removed begins anew', async () => {
  const { call, mount, clock } = await openMount('kv', { version: '2' })
  const asked = async () => (await call('read', 'metadata/a', { reads: true })).data?.['read_count']
  await call('update', 'data/a', { data: { x: 1 } })
  await call('read', 'data/a')
  await flushReads(mount)
  await call('read', 'data/a')
  await call('delete', 'metadata/a')
  await flushReads(mount)
  assert.ok(!(await mount.storage.keys('')).includes('reads/a'))
  clock.passSeconds(1)
  // Counted by another process, which had not heard of the removal.
  const other = { ...mount }
  countRead(other, 'a', clock.now().getTime() - 1000, undefined, clock.now().getTime())
  await flushReads(other)
  await call('update', 'data/a', { data: { x: 2 } })
  assert.equal(await asked(), 0)
  await call('read', 'data/a')
  assert.equal(await asked(), 1)
  await flushReads(mount)
  assert.equal(await asked(), 1)
})

test('only so many secrets are counted between two flushes; those that are go on', async () => {
  const { barrier, clock } = await openStore()
  const mount = { storage: barrier.storage('m/'), clock } as unknown as Mount
  for (let number = 0; number <= MAX_COUNTED; number++) countRead(mount, `p${number}`, 1, undefined, 5)
  countRead(mount, 'p0', 1, undefined, 6)
  const count = async (path: string) => (await describeReads(mount, path, { created_ms: 1 }))['read_count']
  assert.deepEqual([await count('p0'), await count(`p${MAX_COUNTED}`)], [2, 0])
  await flushReads(mount)
  assert.equal((await mount.storage.keys('reads/')).length, MAX_COUNTED)
  countRead(mount, `p${MAX_COUNTED}`, 1, undefined, 7)
  assert.equal(await count(`p${MAX_COUNTED}`), 1)
})

test('what cannot be written stays counted', async () => {
  const { driver, barrier, clock } = await openStore()
  let broken = true
  const failing = meddled(driver, {
    transact: async (change) => {
      if (broken) throw new Error('the disk is full')
      return await driver.transact(change)
    },
  })
  const mount = { storage: new Barrier(failing, barrier.ring()).storage('m/'), clock } as unknown as Mount
  countRead(mount, 'a', 1, caller('bob'), 5)
  const flushing = flushReads(mount)
  countRead(mount, 'a', 1, caller('eve'), 6)
  await assert.rejects(flushing, /the disk is full/)
  broken = false
  await flushReads(mount)
  const { read_count, last_read_by } = await describeReads(mount, 'a', { created_ms: 1 })
  assert.deepEqual([read_count, last_read_by], [2, { display_name: 'eve', entity_id: '' }])
})
