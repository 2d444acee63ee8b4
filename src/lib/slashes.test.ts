import assert from 'node:assert/strict'
import test from 'node:test'
import { trimLastSlashes, trimSlashes } from './slashes.ts'

test('slashes go at the ends and nowhere else', () => {
  for (const [text, both, last] of [
    ['', '', ''],
    ['/', '', ''],
    ['///', '', ''],
    ['a', 'a', 'a'],
    ['//a//b//', 'a//b', '//a//b'],
    ['a/', 'a', 'a'],
    ['/a', 'a', '/a'],
  ] as const) {
    assert.deepEqual([trimSlashes(text), trimLastSlashes(text)], [both, last], text)
  }
})

test('a million slashes take no time, whatever stands behind them', () => {
  const startedMs = performance.now()
  trimSlashes(`a${'/'.repeat(1_000_000)}a`)
  trimSlashes('/'.repeat(1_000_000))
  assert.ok(performance.now() - startedMs < 1000)
})
