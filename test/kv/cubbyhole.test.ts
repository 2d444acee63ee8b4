import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dropCubbyhole } from '#engines/cubbyhole/engine.ts'
import type { Call, Caller } from '#sdk/engine.ts'
import { openMount } from './support.ts'

function as(cubbyhole: string): Partial<Call> {
  const caller: Caller = { accessor: 'a', displayName: 'd', entityId: '', policies: [], metadata: {}, cubbyhole }
  return { caller }
}

test('a token reaches only what it wrote itself', async () => {
  const { call, keys } = await openMount('cubbyhole')
  await call('update', 'a/b', { mine: 'one' }, as('one'))
  await call('update', 'a/b', { mine: 'other' }, as('other'))
  await call('update', '../one/a/b', { mine: 'still other' }, as('other'))
  assert.deepEqual((await call('read', 'a/b', {}, as('one'))).data, { mine: 'one' })
  assert.deepEqual((await call('list', '', {}, as('one'))).data, { keys: ['a/'] })
  assert.deepEqual((await call('list', '', {}, as('other'))).data, { keys: ['../', 'a/'] })
  assert.deepEqual((await call('scan', '', {}, as('other'))).data, { keys: ['../one/a/b', 'a/b'] })
  assert.deepEqual(await call('read', 'a/b', {}, as('oth')), {})
  assert.deepEqual(await keys(), ['one/a/b', 'other/../one/a/b', 'other/a/b'])
  await call('delete', 'a/b', {}, as('other'))
  assert.deepEqual((await call('read', 'a/b', {}, as('one'))).data, { mine: 'one' })
  assert.deepEqual(await call('read', 'a/b', {}, as('other')), {})
})

test('who has no area is refused, never given that of another or of all', async () => {
  const { call } = await openMount('cubbyhole')
  for (const more of [{}, as('')]) {
    for (const operation of ['read', 'list', 'update', 'delete'] as const) {
      await assert.rejects(call(operation, 'one/a', { x: 1 }, more), {
        code: 'invalid_request',
        message: 'cubbyhole operations are only supported by "service" type tokens',
      })
    }
  }
})

test('an area is dropped as a whole, and no other', async () => {
  const { call, keys, mount } = await openMount('cubbyhole')
  const paths = Array.from({ length: 1201 }, (_, index) => `p${index}`)
  await Promise.all(paths.map((path) => call('update', path, { x: 1 }, as('one'))))
  await call('update', 'a', { x: 1 }, as('one-more'))
  await dropCubbyhole(mount.storage, 'one')
  assert.deepEqual(await keys(), ['one-more/a'])
  await dropCubbyhole(mount.storage, 'one')
  for (const name of ['', 'a/b']) await assert.rejects(dropCubbyhole(mount.storage, name))
  assert.deepEqual(await keys(), ['one-more/a'])
})

test('numbers keep their text, and a write without fields is refused', async () => {
  const { call } = await openMount('cubbyhole')
  await call('update', 'a', '{"n":1.50}', as('one'))
  assert.equal(JSON.stringify((await call('read', 'a', {}, as('one'))).data), '{"n":1.50}')
  await assert.rejects(call('update', 'a', {}, as('one')), { code: 'invalid_request', message: 'missing data fields' })
})
