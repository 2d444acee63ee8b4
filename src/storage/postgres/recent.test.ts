import assert from 'node:assert/strict'
import test from 'node:test'
import { MAX_RECENT_KEYS, Recent } from './recent.ts'

test('what was changed after a commit is known, with its version', () => {
  const recent = new Recent(10)
  recent.add({ sequence: 11, keys: ['a', 'd/x'], versions: [5, 6] })
  recent.add({ sequence: 12, keys: ['a'], versions: [0] })
  assert.equal(recent.changed('a', 10), 0)
  assert.equal(recent.changed('a', 11), 0)
  assert.equal(recent.changed('a', 12), undefined)
  assert.equal(recent.changed('d/x', 10), 6)
  assert.equal(recent.changed('d/x', 11), undefined)
  const below = { from: 'd/', to: 'd0' }
  assert.equal(recent.changedIn(below, 10), true)
  assert.equal(recent.changedIn(below, 11), false)
  assert.equal(recent.changedIn({ from: 'b', to: 'd/' }, 10), false)
  assert.deepEqual([recent.knows(10), recent.knows(9)], [true, false])
})

test('what is forgotten is not taken for unchanged', () => {
  const recent = new Recent(0)
  const many = Array.from({ length: MAX_RECENT_KEYS }, (_, index) => `k${index}`)
  recent.add({ sequence: 1, keys: ['first', 'k0'], versions: [1, 2] })
  recent.add({ sequence: 2, keys: many, versions: many.map((_, index) => index + 3) })
  assert.equal(recent.knows(0), false)
  assert.equal(recent.knows(1), true)
  assert.equal(recent.changed('k0', 1), 3)
  recent.forget(7)
  assert.deepEqual([recent.knows(6), recent.knows(7), recent.changed('k0', 0)], [false, true, undefined])
})
