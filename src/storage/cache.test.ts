import assert from 'node:assert/strict'
import test from 'node:test'
import { Cache, MAX_CACHED_VALUE_BYTES } from './cache.ts'

const entry = (bytes: number) => ({ version: 1, value: new Uint8Array(bytes) })

test('the cache keeps to its bytes, and keeps what is used over what is only written', async () => {
  const cache = new Cache(100 * 1024)
  await cache.set('used', entry(1000))
  let kept = 0
  for (let index = 0; index < 1000; index += 1) {
    assert.ok(cache.get('used'), `after ${index} others`)
    await cache.set(`other/${index}`, entry(1000))
  }
  for (let index = 0; index < 1000; index += 1) if (cache.get(`other/${index}`)) kept += 1
  assert.ok(kept > 50 && kept <= 100, `${kept} kept`)
  assert.ok(cache.get('other/999'))
})

test('keys that are not there take room as well, so asking for many of them is no leak', async () => {
  const cache = new Cache(100 * 1024)
  for (let index = 0; index < 1000; index += 1) await cache.set(`missing/${index}`, undefined)
  assert.equal(cache.get('missing/0'), undefined)
  assert.equal(await cache.get('missing/999')?.promise, undefined)
  assert.ok(cache.get('missing/999'))
})

test('a value too large to be kept pushes out the old one of its key, and is given all the same', async () => {
  const cache = new Cache(1024 * 1024)
  await cache.set('k', entry(10))
  const large = await cache.set('k', entry(MAX_CACHED_VALUE_BYTES + 1))
  assert.equal(large?.value.byteLength, MAX_CACHED_VALUE_BYTES + 1)
  assert.equal(cache.get('k'), undefined)
})

test('what was dropped or cleared is gone, and its room is free again', async () => {
  const cache = new Cache(3000)
  for (let index = 0; index < 100; index += 1) {
    await cache.set('a', entry(1000))
    cache.drop('a')
  }
  await cache.set('b', entry(1000))
  await cache.set('c', entry(1000))
  assert.ok(cache.get('b') && cache.get('c'))
  cache.clear()
  assert.equal(cache.get('b'), undefined)
})

test('a full cache takes what is read from disk at the second time, and keeps what is used over all that is read once', async () => {
  const cache = new Cache(100 * 1024)
  await cache.offer('first', entry(1000))
  assert.ok(cache.get('first'), 'there is room, so it takes anything')
  for (let index = 0; index < 70; index += 1) await cache.set(`kept/${index}`, entry(1000))
  for (let index = 0; index < 70; index += 1) assert.ok(cache.get(`kept/${index}`))
  for (let index = 0; index < 20_000; index += 1) {
    const given = await cache.offer(`once/${index}`, entry(1000))
    assert.equal(given?.value.byteLength, 1000)
  }
  let kept = 0
  for (let index = 0; index < 70; index += 1) if (cache.get(`kept/${index}`)) kept += 1
  assert.ok(kept > 60, `${kept} kept`)
  await cache.offer('wanted', entry(1000))
  assert.equal(cache.get('wanted'), undefined)
  await cache.offer('wanted', entry(1000))
  assert.ok(cache.get('wanted'))
})
