import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openMount } from './support.ts'

const refusal = (message: string, code = 'invalid_request') => ({ name: 'ApiError', code, message })

test('numbers keep their text, and only secrets that need it are kept as text', async () => {
  const { call, mount } = await openMount('kv')
  const odd = '{"price":1.50,"id":12345678901234567890,"list":[1,2.00],"name":"x"}'
  await call('update', 'odd', odd)
  assert.equal(JSON.stringify((await call('read', 'odd')).data), odd)
  assert.ok('text' in (await mount.storage.get<object>('secret/odd'))!)
  await call('update', 'even', '{"n":1.5,"a":"1.50"}')
  assert.deepEqual((await call('read', 'even')).data, { n: 1.5, a: '1.50' })
  assert.ok('data' in (await mount.storage.get<object>('secret/even'))!)
})

test('how soon to read again is told by ttl, then by lease, then by the mount', async () => {
  const { call } = await openMount('kv')
  const cases: [body: string, seconds: number][] = [
    ['{"a":1}', 2_764_800],
    ['{"ttl":"30s"}', 30],
    ['{"ttl":45}', 45],
    ['{"ttl":"90"}', 90],
    ['{"lease":"1h"}', 3600],
    ['{"ttl":"2m","lease":"1h"}', 120],
    ['{"ttl":"bad","lease":"1h"}', 2_764_800],
    ['{"ttl":1.50}', 2_764_800],
    ['{"ttl":1.5}', 2_764_800],
    ['{"ttl":0}', 2_764_800],
    ['{"ttl":-5}', 2_764_800],
    ['{"ttl":true}', 2_764_800],
    ['{"ttl":{}}', 2_764_800],
    ['{"ttl":"60s","id":1.50}', 60],
  ]
  for (const [body, seconds] of cases) {
    await call('update', 'a', body)
    const { refreshSeconds, warnings } = await call('read', 'a')
    assert.equal(refreshSeconds, seconds, body)
    assert.equal(warnings, undefined, body)
  }
})

test('a ttl beyond the longest lease is cut, with a warning', async () => {
  const { call } = await openMount('kv')
  await call('update', 'a', { ttl: '1000h' })
  const { refreshSeconds, warnings } = await call('read', 'a')
  assert.equal(refreshSeconds, 2_764_800)
  assert.deepEqual(warnings, [
    'TTL of "1000h" exceeded the effective max_ttl of "768h"; TTL value is capped accordingly',
  ])
})

test('a write without fields is refused and changes nothing', async () => {
  const { call } = await openMount('kv')
  await call('update', 'a', { x: 1 })
  await assert.rejects(call('update', 'a', {}), refusal('missing data fields'))
  assert.deepEqual((await call('read', 'a')).data, { x: 1 })
})

test('fields called as those of the path are data', async () => {
  const { call } = await openMount('kv')
  const text = '{"path":"p","__proto__":{"x":1},"after":"z"}'
  await call('update', 'a', text)
  assert.equal(JSON.stringify((await call('read', 'a')).data), text)
})

test('secrets are listed by folder, in pages, and gone when deleted', async () => {
  const { call, keys } = await openMount('kv')
  for (const path of ['a', 'a/b', 'c', 'd/e/f']) await call('update', path, { x: 1 })
  assert.deepEqual((await call('list', '')).data?.['keys'], ['a', 'a/', 'c', 'd/'])
  assert.deepEqual((await call('list', '', { after: 'a/', limit: 1 })).data?.['keys'], ['c'])
  assert.deepEqual((await call('scan', '')).data?.['keys'], ['a', 'a/b', 'c', 'd/e/f'])
  assert.deepEqual((await call('scan', 'd')).data?.['keys'], ['e/f'])
  assert.deepEqual(await call('list', 'c'), {})
  for (const path of ['a', 'a/b', 'c', 'd/e/f', 'none']) assert.deepEqual(await call('delete', path), {})
  assert.deepEqual(await keys(), [])
  assert.deepEqual(await call('list', ''), {})
})

test('a patch is not an operation of version 1', async () => {
  const { call } = await openMount('kv')
  await assert.rejects(call('patch', 'a', { x: 1 }), { code: 'unsupported_operation' })
})
