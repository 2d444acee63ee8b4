import assert from 'node:assert/strict'
import test from 'node:test'
import { endpoint, type Path } from '#sdk/engine.ts'
import { PathTable } from './paths.ts'

const handler = endpoint('x', {}, async () => ({}))
const path = (pattern: string, verbs: Path['operations'] = { read: handler }): Path => ({ pattern, operations: verbs })

test('literals win over names, names over the rest, whatever the order they were given in', () => {
  const table = new PathTable([path('keys/*rest'), path('keys/:name/tune'), path('keys/:name'), path('keys/all')])
  assert.equal(table.find('keys/all', false)?.path.pattern, 'keys/all')
  assert.deepEqual(table.find('keys/web', false)?.params, { name: 'web' })
  assert.equal(table.find('keys/web/tune', false)?.path.pattern, 'keys/:name/tune')
  assert.deepEqual(table.find('keys/web/other', false)?.params, { rest: 'web/other' })
  assert.equal(table.find('other', false), undefined)
})

test('a way that leads nowhere is left for the next', () => {
  const table = new PathTable([path('a/b/c'), path('a/:x/d')])
  assert.deepEqual(table.find('a/b/d', false), { path: path('a/:x/d'), params: { x: 'b' } })
})

test('a segment after the rest takes its own paths, and leaves the rest to the other', () => {
  const table = new PathTable([path('mounts/*path'), path('mounts/*path/tune')])
  assert.deepEqual(table.find('mounts/team/kv/tune', false)?.params, { path: 'team/kv' })
  assert.equal(table.find('mounts/team/kv/tune', false)?.path.pattern, 'mounts/*path/tune')
  assert.deepEqual(table.find('mounts/team/kv', false)?.params, { path: 'team/kv' })
  assert.equal(table.find('mounts/tune', false)?.path.pattern, 'mounts/*path')
})

test('listings come with or without a slash at the end, and may ask for the top', () => {
  const table = new PathTable([path('metadata/*path', { list: handler }), path('role', { list: handler })])
  for (const asked of ['metadata', 'metadata/']) assert.deepEqual(table.find(asked, true)?.params, { path: '' })
  assert.deepEqual(table.find('metadata/a/', true)?.params, { path: 'a' })
  assert.equal(table.find('role/', true)?.path.pattern, 'role')
  assert.equal(table.find('metadata', false), undefined)
})

test('two patterns for one place are a mistake that is found when the engine is loaded', () => {
  assert.throws(() => new PathTable([path('a/:x'), path('a/:y/b')]))
  assert.throws(() => new PathTable([path('a'), path('a')]))
  assert.throws(() => new PathTable([path('a/*x'), path('a/*y')]))
})
