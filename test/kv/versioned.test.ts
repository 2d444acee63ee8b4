import assert from 'node:assert/strict'
import { test } from 'node:test'
import { member, openMount } from './support.ts'

const refusal = (message: string | RegExp, code = 'invalid_request') => ({ name: 'ApiError', code, message })
const open = () => openMount('kv', { version: '2' })

test('of many writes at once that replace the same version one passes', async () => {
  const { call } = await open()
  for (const cas of [0, 1, 2]) {
    const tries = Array.from({ length: 20 }, (_, index) =>
      call('update', 'data/a', { data: { index }, options: { cas } }),
    )
    const done = await Promise.allSettled(tries)
    assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 1, `cas ${cas}`)
    for (const each of done) {
      if (each.status === 'rejected') {
        assert.equal(each.reason.message, 'check-and-set parameter did not match the current version')
      }
    }
  }
  assert.equal(member(await call('read', 'data/a'), 'data', 'metadata', 'version'), 3)
})

test('writes at once without check-and-set each become a version, and no data is lost', async () => {
  const { call } = await open()
  await call('update', 'config', { max_versions: 100 })
  const replies = await Promise.all(
    Array.from({ length: 30 }, (_, index) => call('update', 'data/a', { data: { index } })),
  )
  const numbers = replies.map((reply) => member(reply, 'data', 'version') as number)
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 30 }, (_, index) => index + 1),
  )
  for (const [index, number] of numbers.entries()) {
    const read = await call('read', 'data/a', { version: number })
    assert.deepEqual(read.data?.['data'], { index })
  }
})

test('patches at once all take effect', async () => {
  const { call } = await open()
  await call('update', 'data/a', { data: { keep: true } })
  await Promise.all(
    Array.from({ length: 20 }, (_, index) => call('patch', 'data/a', { data: { [`n${index}`]: index } })),
  )
  const { data } = await call('read', 'data/a')
  assert.equal(Object.keys(data?.['data'] as object).length, 21)
})

test('reading the current version costs one look-up, an older one two', async () => {
  const { call, reads } = await open()
  await call('update', 'data/a/b', { data: { n: 1 } })
  await call('update', 'data/a/b', { data: { n: 2 } })
  reads.length = 0
  await call('read', 'data/a/b')
  assert.deepEqual(reads, ['data/mount/secret/a/b'])
  reads.length = 0
  assert.deepEqual((await call('read', 'data/a/b', { version: 1 })).data?.['data'], { n: 1 })
  assert.equal(reads.length, 2)
})

test('destroyed data is out of the store, deleted data is not', async () => {
  const { call, keys, mount } = await open()
  for (const n of [1, 2, 3]) await call('update', 'data/a', { data: { n } })
  await call('update', 'delete/a', { versions: [1] })
  assert.deepEqual(await keys(), ['format', 'secret/a', 'version/a/1', 'version/a/2'])
  await call('update', 'destroy/a', { versions: [1, 3] })
  assert.deepEqual(await keys(), ['format', 'secret/a', 'version/a/2'])
  assert.equal(Object.hasOwn((await mount.storage.get<object>('secret/a'))!, 'data'), false)
  for (const version of [1, 3]) {
    const reply = await call('read', 'data/a', { version })
    assert.equal(reply.status, 404)
    assert.equal(reply.data?.['data'], null)
    assert.equal(member(reply, 'data', 'metadata', 'destroyed'), true)
  }
})

test('undelete does not bring back what was destroyed', async () => {
  const { call } = await open()
  for (const n of [1, 2]) await call('update', 'data/a', { data: { n } })
  await call('update', 'delete/a', { versions: [1] })
  await call('update', 'destroy/a', { versions: [1, 2] })
  await call('update', 'undelete/a', { versions: [1, 2] })
  for (const version of [1, 2]) assert.equal((await call('read', 'data/a', { version })).status, 404)
  await call('update', 'data/a', { data: { n: 3 } })
  assert.deepEqual((await call('read', 'data/a')).data?.['data'], { n: 3 })
  assert.equal((await call('read', 'data/a', { version: 2 })).status, 404)
})

test('undelete brings back a deleted version, the current one and an older one', async () => {
  const { call, clock } = await open()
  for (const n of [1, 2]) await call('update', 'data/a', { data: { n } })
  await call('update', 'delete/a', { versions: [1] })
  await call('delete', 'data/a')
  clock.passSeconds(1)
  for (const version of [1, 2]) assert.equal((await call('read', 'data/a', { version })).status, 404)
  await call('update', 'undelete/a', { versions: [1, 2, 9] })
  for (const n of [1, 2]) assert.deepEqual((await call('read', 'data/a', { version: n })).data?.['data'], { n })
})

test('versions beyond the count are removed with their data', async () => {
  const { call, keys } = await open()
  for (let n = 1; n <= 15; n += 1) await call('update', 'data/a', { data: { n } })
  const metadata = (await call('read', 'metadata/a')).data!
  assert.equal(metadata['oldest_version'], 6)
  assert.equal(metadata['current_version'], 15)
  assert.deepEqual(Object.keys(metadata['versions'] as object), [
    '6',
    '7',
    '8',
    '9',
    '10',
    '11',
    '12',
    '13',
    '14',
    '15',
  ])
  assert.equal((await keys()).filter((key) => key.startsWith('version/')).length, 9)
  assert.deepEqual(await call('read', 'data/a', { version: 5 }), {})
  assert.deepEqual((await call('read', 'data/a', { version: 6 })).data?.['data'], { n: 6 })
})

test('oldest_version says 1 as soon as as many versions are there as are kept', async () => {
  const { call } = await open()
  await call('update', 'metadata/a', { max_versions: 3 })
  const oldest: unknown[] = []
  for (let n = 1; n <= 5; n += 1) {
    await call('update', 'data/a', { data: { n } })
    oldest.push((await call('read', 'metadata/a')).data?.['oldest_version'])
  }
  assert.deepEqual(oldest, [0, 0, 1, 2, 3])
})

test('a count that shrinks removes all that is too many with the next write', async () => {
  const { call, keys } = await open()
  await call('update', 'metadata/a', { max_versions: 8 })
  for (let n = 1; n <= 8; n += 1) await call('update', 'data/a', { data: { n } })
  await call('update', 'metadata/a', { max_versions: 1 })
  assert.equal((await keys()).filter((key) => key.startsWith('version/')).length, 7)
  await call('update', 'data/a', { data: { n: 9 } })
  assert.deepEqual(await keys(), ['format', 'secret/a'])
  assert.deepEqual((await call('read', 'data/a')).data?.['data'], { n: 9 })
})

test('a secret keeps a thousand versions, and goes with all of them', async () => {
  const { call, keys } = await open()
  await call('update', 'config', { max_versions: 1000 })
  for (let n = 1; n <= 1001; n += 1) await call('update', 'data/a', { data: { n } })
  assert.equal((await keys()).length, 2 + 1 + 999)
  assert.deepEqual((await call('read', 'data/a', { version: 2 })).data?.['data'], { n: 2 })
  assert.deepEqual(await call('read', 'data/a', { version: 1 }), {})
  await call('delete', 'metadata/a')
  assert.deepEqual(await keys(), ['config', 'format'])
  await assert.rejects(
    call('update', 'config', { max_versions: 5001 }),
    refusal('max_versions must be between 0 and 5000'),
  )
})

test('removing a secret leaves its neighbours, also those whose path goes on where it ends', async () => {
  const { call, keys } = await open()
  for (const path of ['a', 'a/1', 'a/1/1', 'ab']) {
    for (const n of [1, 2]) await call('update', `data/${path}`, { data: { path, n } })
  }
  await call('delete', 'metadata/a/1')
  assert.deepEqual(await call('read', 'data/a/1'), {})
  for (const path of ['a', 'a/1/1', 'ab']) {
    for (const n of [1, 2]) {
      assert.deepEqual((await call('read', `data/${path}`, { version: n })).data?.['data'], { path, n })
    }
  }
  assert.equal((await keys()).filter((key) => key.startsWith('version/')).length, 3)
})

test('a version is deleted when its time has come, and not before', async () => {
  const { call, clock } = await open()
  await call('update', 'config', { delete_version_after: '1h' })
  const written = await call('update', 'data/a', { data: { n: 1 } })
  assert.deepEqual(written.data?.['deletion_time'], '2026-01-01T01:00:00Z')
  clock.passSeconds(3599)
  assert.deepEqual((await call('read', 'data/a')).data?.['data'], { n: 1 })
  clock.passSeconds(1)
  const reply = await call('read', 'data/a')
  assert.equal(reply.status, 404)
  assert.deepEqual(member(reply, 'data', 'metadata', 'deletion_time'), '2026-01-01T01:00:00Z')
  assert.equal((await call('read', 'subkeys/a')).status, 404)
  assert.equal((await call('patch', 'data/a', { data: { n: 2 } })).status, 404)
  await call('update', 'undelete/a', { versions: [1] })
  assert.deepEqual((await call('read', 'data/a')).data?.['data'], { n: 1 })
})

test('names such as __proto__ are data like any other', async () => {
  const { call } = await open()
  const text = '{"data":{"__proto__":{"x":1},"constructor":"c","toString":null}}'
  await call('update', 'data/a', text)
  const read = await call('read', 'data/a')
  assert.equal(JSON.stringify(read.data?.['data']), '{"__proto__":{"x":1},"constructor":"c","toString":null}')
  await call('patch', 'data/a', '{"data":{"__proto__":{"y":2},"toString":"t"}}')
  const patched = await call('read', 'data/a')
  assert.equal(JSON.stringify(patched.data?.['data']), '{"__proto__":{"x":1,"y":2},"constructor":"c","toString":"t"}')
  const subkeys = await call('read', 'subkeys/a')
  assert.equal(
    JSON.stringify(subkeys.data?.['subkeys']),
    '{"__proto__":{"x":null,"y":null},"constructor":null,"toString":null}',
  )
  await call('update', 'metadata/a', '{"custom_metadata":{"__proto__":"p"}}')
  const metadata = await call('read', 'metadata/a')
  assert.equal(JSON.stringify(metadata.data?.['custom_metadata']), '{"__proto__":"p"}')
  assert.equal(({} as Record<string, unknown>)['x'], undefined)
})

test('secrets may be called __proto__ and lie anywhere', async () => {
  const { call } = await open()
  const paths = [
    '__proto__',
    'a b',
    '.hidden',
    '..',
    'ü/ö',
    '日本',
    'a//b',
    'x.y+z%',
    "it's",
    '😀',
    'config',
    'data/data',
    'metadata',
  ]
  for (const path of paths) await call('update', `data/${path}`, { data: { path } })
  for (const path of paths) assert.deepEqual((await call('read', `data/${path}`)).data?.['data'], { path }, path)
  const { data } = await call('scan', 'metadata')
  assert.deepEqual((data!['keys'] as string[]).toSorted(), paths.toSorted())
})

test('a path may have 896 bytes, one more is refused with a reason', async () => {
  const { call } = await open()
  const longest = 'ü'.repeat(448)
  for (const n of [1, 2]) await call('update', `data/${longest}`, { data: { n } })
  assert.deepEqual((await call('read', `data/${longest}`, { version: 1 })).data?.['data'], { n: 1 })
  for (const [operation, path] of [
    ['update', 'data'],
    ['read', 'data'],
    ['delete', 'metadata'],
    ['list', 'metadata'],
  ] as const) {
    const attempt = call(operation, `${path}/${longest}x`, { data: {} })
    await assert.rejects(attempt, refusal('the path is too long: at most 896 bytes'), operation)
  }
  await assert.rejects(call('update', 'data/a\0b', { data: {} }), refusal('the path has a NUL character'))
})

test('listings come in pages that together are the whole', async () => {
  const { call } = await open()
  const names = ['a', 'a-b', 'a/x', 'a/y/z', 'b/c', 'd', 'é', '😀']
  for (const name of names) await call('update', `data/dir/${name}`, { data: {} })
  const whole = ['a', 'a-b', 'a/', 'b/', 'd', 'é', '😀']
  assert.deepEqual((await call('list', 'metadata/dir')).data?.['keys'], whole)
  assert.deepEqual((await call('list', 'metadata/dir/')).data?.['keys'], whole)
  const paged: string[] = []
  for (;;) {
    const { data } = await call('list', 'metadata/dir', { limit: 2, ...(paged.length > 0 && { after: paged.at(-1) }) })
    if (!data) break
    assert.ok((data['keys'] as string[]).length <= 2)
    paged.push(...(data['keys'] as string[]))
  }
  assert.deepEqual(paged, whole)
  assert.deepEqual((await call('scan', 'metadata/dir', { after: 'a-b', limit: 3 })).data?.['keys'], [
    'a/x',
    'a/y/z',
    'b/c',
  ])
  assert.deepEqual(await call('list', 'metadata/dir/a-b'), {})
})

test('a scan goes on behind the first thousand names', async () => {
  const { call } = await open()
  const names = Array.from({ length: 1010 }, (_, index) => `dir${index % 7}/n${index}`).toSorted()
  await Promise.all(names.map((name) => call('update', `data/${name}`, { data: {} })))
  assert.deepEqual((await call('scan', 'metadata')).data?.['keys'], names)
  assert.deepEqual(
    (await call('scan', 'metadata', { after: names[3], limit: 1003 })).data?.['keys'],
    names.slice(4, 1007),
  )
})

test('detailed listings tell the metadata of each secret in them, of folders nothing', async () => {
  const { call } = await open()
  for (const name of ['a', 'b/c']) await call('update', `data/${name}`, { data: { secret: 'value' } })
  const listed = (await call('list', 'detailed-metadata')).data!
  assert.deepEqual(listed['keys'], ['a', 'b/'])
  assert.deepEqual(Object.keys(listed['key_info'] as object), ['a'])
  assert.deepEqual(member(listed, 'key_info', 'a'), (await call('read', 'metadata/a')).data)
  const scanned = (await call('scan', 'detailed-metadata')).data!
  assert.deepEqual(scanned['keys'], ['a', 'b/c'])
  assert.deepEqual(Object.keys(scanned['key_info'] as object), ['a', 'b/c'])
  assert.ok(!JSON.stringify(scanned).includes('value'))
})

test('changes of the metadata can be bound to the version they replace', async () => {
  const { call } = await open()
  const required = refusal('metadata check-and-set parameter required for this call')
  const wrong = refusal('metadata check-and-set parameter does not match the current version')
  await assert.rejects(
    call('update', 'metadata/a', { max_versions: 1, metadata_cas: 1 }),
    refusal('metadata_cas must be 0 when creating new metadata'),
  )
  await call('update', 'metadata/a', { metadata_cas_required: true, metadata_cas: 0 })
  await assert.rejects(call('update', 'metadata/a', { max_versions: 1 }), required)
  await assert.rejects(call('patch', 'metadata/a', { max_versions: 1, metadata_cas: 0 }), wrong)
  const tries = Array.from({ length: 10 }, () => call('patch', 'metadata/a', { max_versions: 7, metadata_cas: 1 }))
  const done = await Promise.allSettled(tries)
  assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal((await call('read', 'metadata/a')).data?.['current_metadata_version'], 2)
  await call('update', 'config', { metadata_cas_required: true })
  await assert.rejects(call('update', 'metadata/b', { max_versions: 1 }), required)
  await call('update', 'data/a', { data: {} })
})

test('a setting given as null goes back to what it was at first', async () => {
  const { call } = await open()
  await call('update', 'metadata/a', {
    max_versions: 3,
    cas_required: true,
    delete_version_after: '1h',
    custom_metadata: { owner: 'x', team: 't' },
  })
  await call('patch', 'metadata/a', { custom_metadata: { owner: null } })
  assert.deepEqual((await call('read', 'metadata/a')).data?.['custom_metadata'], { team: 't' })
  await call('patch', 'metadata/a', {
    max_versions: null,
    cas_required: null,
    delete_version_after: null,
    custom_metadata: null,
  })
  const { data } = await call('read', 'metadata/a')
  assert.equal(data?.['max_versions'], 0)
  assert.equal(data?.['cas_required'], false)
  assert.equal(data?.['delete_version_after'], '0s')
  assert.equal(data?.['custom_metadata'], null)
})

test('settings that the mount overrules are warned of', async () => {
  const { call } = await open()
  await call('update', 'config', { cas_required: true, metadata_cas_required: true })
  const { warnings } = await call('update', 'metadata/a', {
    cas_required: false,
    metadata_cas_required: false,
    metadata_cas: 0,
  })
  assert.deepEqual(warnings, [
    '"cas_required" set to false, but is mandated by backend config. This value will be ignored.',
    '"metadata_cas_required" set to false, but is mandated by backend config. This value will be ignored.',
  ])
  await assert.rejects(
    call('update', 'data/a', { data: {} }),
    refusal('check-and-set parameter required for this call'),
  )
})

test('versions must be named to be deleted, restored or destroyed', async () => {
  const { call } = await open()
  for (const path of ['delete/a', 'undelete/a', 'destroy/a']) {
    for (const body of [{}, { versions: [] }]) {
      await assert.rejects(call('update', path, body), refusal('No version number provided'))
    }
  }
})

test('names can be told to a depth', async () => {
  const { call } = await open()
  await call('update', 'data/a', { data: { a: { b: { c: 1 }, e: {} }, l: [1, { x: 2 }], s: 'v' } })
  const depth = async (levels: number) => (await call('read', 'subkeys/a', { depth: levels })).data?.['subkeys']
  assert.deepEqual(await depth(0), { a: { b: { c: null }, e: null }, l: null, s: null })
  assert.deepEqual(await depth(1), { a: null, l: null, s: null })
  assert.deepEqual(await depth(2), { a: { b: null, e: null }, l: null, s: null })
})

test('policies can tell a new secret from one that is there, by its data and its metadata', async () => {
  const { call, mount } = await open()
  const { engine } = await import('#engines/kv/engine.ts')
  const exists = async (pattern: string, path: string) => {
    const found = engine.paths(mount.settings()).find((each) => each.pattern === pattern)!
    return await found.exists!({ mount, data: { path } } as never)
  }
  for (const pattern of ['data/*path', 'metadata/*path']) assert.equal(await exists(pattern, 'a'), false)
  await call('update', 'metadata/a', { max_versions: 2 })
  for (const pattern of ['data/*path', 'metadata/*path']) assert.equal(await exists(pattern, 'a'), true)
})
