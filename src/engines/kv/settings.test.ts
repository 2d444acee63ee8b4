import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deletionMs, versionsToKeep } from './settings.ts'

test('of two times after which a version is deleted the shorter counts, and never wins over both', () => {
  assert.equal(deletionMs(1000, 0, 0), 0)
  assert.equal(deletionMs(1000, 5, 0), 6000)
  assert.equal(deletionMs(1000, 0, 5), 6000)
  assert.equal(deletionMs(1000, 5, 3), 4000)
  assert.equal(deletionMs(1000, 3, 5), 4000)
  assert.equal(deletionMs(1000, -1, 5), 0)
  assert.equal(deletionMs(1000, 5, -1), 0)
})

test('of two counts of versions the greater counts, and ten are kept where neither is set', () => {
  assert.equal(versionsToKeep(0, 0), 10)
  assert.equal(versionsToKeep(0, 2), 2)
  assert.equal(versionsToKeep(8, 0), 8)
  assert.equal(versionsToKeep(3, 5), 5)
  assert.equal(versionsToKeep(9, 2), 9)
})
