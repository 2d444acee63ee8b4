import assert from 'node:assert/strict'
import test from 'node:test'
import { nearest } from './suggest.ts'

test('slips of the finger find their word, other words find none', () => {
  const words = ['status', 'secrets', 'server', 'kv', 'list', 'login']
  assert.equal(nearest('staus', words), 'status')
  assert.equal(nearest('stauts', words), 'status')
  assert.equal(nearest('lst', words), 'list')
  assert.equal(nearest('vk', words), 'kv')
  assert.equal(nearest('frobnicate', words), undefined)
  assert.equal(nearest('x', words), undefined)
})
