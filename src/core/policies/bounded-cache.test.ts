import assert from 'node:assert/strict'
import test from 'node:test'
import { BoundedCache } from './bounded-cache.ts'

test('it never holds more than its bound, and keeps what is asked for', () => {
  const cache = new BoundedCache<number, string>(100)
  cache.set(-1, 'kept')
  for (let key = 0; key < 1000; key += 1) {
    cache.set(key, String(key))
    assert.equal(cache.get(-1), 'kept')
    assert.ok(cache.size <= 100, String(cache.size))
  }
  assert.equal(cache.get(999), '999')
  assert.equal(cache.get(0), undefined)
})

test('a value that is replaced is replaced wherever it was kept', () => {
  const cache = new BoundedCache<string, number>(4)
  for (const key of ['a', 'b', 'c']) cache.set(key, 1)
  cache.set('a', 2)
  assert.equal(cache.get('a'), 2)
})
