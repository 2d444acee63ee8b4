import assert from 'node:assert/strict'
import { test } from 'node:test'
import { member, openMount } from './support.ts'

test('after an upgrade each value is the first version of a secret', async () => {
  const { call, setOptions, clock } = await openMount('kv', { version: '1' })
  await call('update', 'a', { x: 1, ttl: '30s' })
  await call('update', 'dir/b', '{"n":12345678901234567890}')
  clock.passSeconds(60)
  await setOptions({ version: '2' })
  assert.deepEqual((await call('list', 'metadata')).data?.['keys'], ['a', 'dir/'])
  const read = await call('read', 'data/a')
  assert.deepEqual(read.data, {
    data: { x: 1, ttl: '30s' },
    metadata: {
      created_time: '2026-01-01T00:00:00Z',
      custom_metadata: null,
      deletion_time: '',
      destroyed: false,
      version: 1,
    },
  })
  assert.equal(JSON.stringify((await call('read', 'data/dir/b')).data?.['data']), '{"n":12345678901234567000}')
  assert.equal((await call('read', 'metadata/a')).data?.['current_version'], 1)
})

test('a value of before can be replaced, patched, deleted, restored, destroyed and removed', async () => {
  const { call, setOptions, keys } = await openMount('kv')
  const names = ['replaced', 'patched', 'deleted', 'destroyed', 'removed', 'described']
  for (const name of names) await call('update', name, `{"n":1.50,"name":"${name}"}`)
  await setOptions({ version: '2' })

  await assert.rejects(call('update', 'data/replaced', { data: {}, options: { cas: 0 } }), /did not match/)
  assert.equal((await call('update', 'data/replaced', { data: { n: 2 }, options: { cas: 1 } })).data?.['version'], 2)
  assert.deepEqual((await call('read', 'data/replaced', { version: 1 })).data?.['data'], { n: 1.5, name: 'replaced' })

  await call('patch', 'data/patched', { data: { more: true } })
  assert.deepEqual((await call('read', 'data/patched')).data?.['data'], { n: 1.5, name: 'patched', more: true })

  await call('delete', 'data/deleted')
  assert.equal((await call('read', 'data/deleted')).status, 404)
  await call('update', 'undelete/deleted', { versions: [1] })
  assert.deepEqual((await call('read', 'data/deleted')).data?.['data'], { n: 1.5, name: 'deleted' })

  await call('update', 'destroy/destroyed', { versions: [1] })
  assert.equal(member(await call('read', 'data/destroyed'), 'data', 'metadata', 'destroyed'), true)

  await call('delete', 'metadata/removed')
  assert.deepEqual(await call('read', 'data/removed'), {})

  await call('update', 'metadata/described', { custom_metadata: { a: 'b' } })
  assert.deepEqual((await call('read', 'data/described')).data?.['data'], { n: 1.5, name: 'described' })
  assert.ok(!(await keys()).includes('secret/removed'))
})

test('there is no way back to version 1, nor to a version that does not exist', async () => {
  const { call, setOptions } = await openMount('kv', { version: '2' })
  await call('update', 'data/a', { data: { x: 1 } })
  for (const options of [{ version: '1' }, {}]) {
    await assert.rejects(setOptions(options), { code: 'invalid_request', message: /downgrade/ })
  }
  await assert.rejects(setOptions({ version: '3' }), { code: 'invalid_request' })
  assert.deepEqual((await call('read', 'data/a')).data?.['data'], { x: 1 })
})
