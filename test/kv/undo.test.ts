/** Undo of the last change of a secret: what each kind of change leaves, and what cannot be taken back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '#test/server.ts'
import { member, openMount, type TestMount } from './support.ts'

const refusal = (message: string | RegExp) => ({ name: 'ApiError', code: 'invalid_request', message })
const ALREADY = refusal('the last change was undone already')

async function open(writes = 0): Promise<TestMount> {
  const mount = await openMount('kv', { version: '2' })
  for (let n = 1; n <= writes; n++) await mount.call('update', 'data/a', { data: { n } })
  return mount
}

const undo = ({ call }: TestMount, body: unknown = {}) => call('update', 'undo/a', body)
const read = async ({ call }: TestMount, version = 0) => (await call('read', 'data/a', { version })).data?.['data']
const state = async ({ call }: TestMount) => (await call('read', 'metadata/a')).data

test('a write is undone by the version before it as a new one, once', async () => {
  const mount = await open(2)
  const reply = await undo(mount)
  assert.deepEqual([member(reply, 'data', 'version'), member(reply, 'data', 'undone')], [3, 'write'])
  assert.deepEqual(await read(mount), { n: 1 })
  assert.deepEqual(await read(mount, 2), { n: 2 })
  await assert.rejects(undo(mount), ALREADY)
  assert.equal(member(await state(mount), 'current_version'), 3)
  await mount.call('patch', 'data/a', { data: { more: true } })
  assert.equal(member(await undo(mount), 'data', 'version'), 5)
  assert.deepEqual(await read(mount), { n: 1 })
})

test('the first write is undone by deleting it, and can be had back', async () => {
  const mount = await open(1)
  assert.equal(member(await undo(mount), 'data', 'undone'), 'write')
  assert.equal(await read(mount), null)
  await mount.call('update', 'undelete/a', { versions: [1] })
  assert.deepEqual(await read(mount), { n: 1 })
})

test('a write over a version that was deleted or destroyed is undone by deleting what was written', async () => {
  for (const end of ['delete', 'destroy']) {
    const mount = await open(1)
    await mount.call('update', `${end}/a`, { versions: [1] })
    await mount.call('update', 'data/a', { data: { n: 2 } })
    assert.equal(member(await undo(mount), 'data', 'version'), 2)
    assert.equal(await read(mount), null, end)
    assert.equal(await read(mount, 1), null, end)
  }
})

test('a deletion and a restoration are undone as they were, scheduled ends included', async () => {
  const mount = await open()
  await mount.call('update', 'config', { delete_version_after: '1h' })
  for (const n of [1, 2, 3]) await mount.call('update', 'data/a', { data: { n } })
  await mount.call('update', 'delete/a', { versions: [1] })
  const before = member(await state(mount), 'versions')
  await mount.call('update', 'delete/a', { versions: [1, 2, 3, 9] })
  assert.equal(member(await undo(mount), 'data', 'undone'), 'delete')
  assert.deepEqual(member(await state(mount), 'versions'), before)
  await mount.call('update', 'undelete/a', { versions: [1, 2] })
  assert.equal(member(await undo(mount), 'data', 'undone'), 'undelete')
  assert.deepEqual(member(await state(mount), 'versions'), before)
  await mount.call('delete', 'data/a')
  assert.equal(await read(mount), null)
  await undo(mount)
  assert.deepEqual(member(await state(mount), 'versions'), before)
  await assert.rejects(undo(mount), ALREADY)
})

test('what changes nothing is not the last change', async () => {
  const mount = await open(2)
  await mount.call('update', 'undelete/a', { versions: [1, 2] })
  await mount.call('update', 'delete/a', { versions: [9] })
  await mount.call('update', 'metadata/a', {})
  await undo(mount)
  assert.deepEqual(await read(mount), { n: 1 })
})

test('what was destroyed, is no longer kept, or never was there is not brought back, and nothing changes', async () => {
  const destroyed = await open(2)
  await destroyed.call('update', 'destroy/a', { versions: [1] })
  const before = await state(destroyed)
  await assert.rejects(undo(destroyed), refusal(/destroyed versions, which cannot be undone/))
  assert.deepEqual(await state(destroyed), before)

  const dropped = await open()
  await dropped.call('update', 'metadata/a', { max_versions: 1 })
  for (const n of [1, 2]) await dropped.call('update', 'data/a', { data: { n } })
  await assert.rejects(undo(dropped), refusal('the version before the last is no longer kept'))
  assert.deepEqual(await read(dropped), { n: 2 })

  await assert.rejects(undo(await open()), { name: 'ApiError', code: 'not_found', message: '' })
})

test('a change of metadata is undone as a whole, with what searches know of it', async () => {
  const mount = await open(1)
  const first = { max_versions: 3, custom_metadata: { team: 'web' }, owner: 'ann', expires_at: '2026-03-01T00:00:00Z' }
  await mount.call('update', 'metadata/a', first)
  const keys = await mount.keys()
  const { current_metadata_version: _, updated_time: __, ...before } = (await state(mount))!
  await mount.call('update', 'metadata/a', { max_versions: 0, custom_metadata: {}, owner: '', expires_at: '' })
  assert.ok(!(await mount.keys()).some((key) => /^(about|expires)\//.test(key)))
  assert.equal(member(await undo(mount), 'data', 'undone'), 'metadata')
  const { current_metadata_version: version, updated_time: ___, ...after } = (await state(mount))!
  assert.deepEqual(after, before)
  assert.equal(version, 3)
  assert.deepEqual(await mount.keys(), keys)
})

test('a secret that a change of metadata made is undone without a trace', async () => {
  const mount = await open()
  await mount.call('update', 'metadata/a', { owner: 'ann', expires_in: '1h' })
  await undo(mount)
  assert.deepEqual(await mount.keys(), ['format'])
})

test('check-and-set holds for undo as it does for writes', async () => {
  const mount = await open(2)
  const mismatch = refusal('check-and-set parameter did not match the current version')
  for (const cas of [0, 1, 3]) await assert.rejects(undo(mount, { options: { cas } }), mismatch)
  await mount.call('update', 'config', { cas_required: true })
  await assert.rejects(undo(mount), refusal('check-and-set parameter required for this call'))
  assert.deepEqual(await read(mount), { n: 2 })
  await undo(mount, { options: { cas: 2 } })
  assert.deepEqual(await read(mount), { n: 1 })
})

test('where metadata asks for check-and-set, undoing its change asks too; undoing a write does not', async () => {
  const mount = await open(2)
  await mount.call('update', 'config', { metadata_cas_required: true })
  await undo(mount)
  for (const [n, owner] of ['ann', 'ben'].entries()) {
    await mount.call('update', 'metadata/a', { owner, metadata_cas: n })
  }
  await assert.rejects(undo(mount), refusal('metadata check-and-set parameter required for this call'))
  const mismatch = refusal('metadata check-and-set parameter does not match the current version')
  for (const metadata_cas of [0, 1, 3]) await assert.rejects(undo(mount, { options: { metadata_cas } }), mismatch)
  await undo(mount, { options: { metadata_cas: 2 } })
  assert.equal(member(await state(mount), 'owner'), 'ann')
})

test('of many undos at once one passes, and none undoes a write that came between', async () => {
  const mount = await open(3)
  const all = await Promise.allSettled([
    ...Array.from({ length: 10 }, () => undo(mount, { options: { cas: 3 } })),
    mount.call('update', 'data/a', { data: { n: 4 }, options: { cas: 3 } }),
    ...Array.from({ length: 10 }, () => undo(mount, { options: { cas: 3 } })),
  ])
  assert.equal(all.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal(member(await state(mount), 'current_version'), 4)
})

test('undo needs a right of its own', async () => {
  await using server = await startServer({ secret: true })
  for (const n of [1, 2]) await server.write('secret/data/a', { data: { n } })
  await server.write('sys/policies/acl/w', { policy: 'path "secret/data/*" { capabilities = ["create", "update"] }' })
  const token = await server.login(['w'])
  assert.equal((await server.write('secret/undo/a', {}, token)).status, 403)
  assert.equal((await server.write('secret/undo/a', {}, null)).status, 403)
  assert.equal((await server.write('secret/undo/none', {})).status, 404)
  const { status, body } = await server.write('secret/undo/a', {})
  assert.deepEqual([status, body.data.version, body.data.undone], [200, 3, 'write'])
})

test('undo changes nothing that its caller may not change by the other paths, whatever a broad policy grants', async () => {
  await using server = await startServer({ secret: true })
  const changes: Record<string, () => Promise<unknown>> = {
    write: () => server.write('secret/data/a', { data: { n: 2 } }),
    first: () => server.write('secret/data/b', { data: { n: 1 } }),
    delete: () => server.delete('secret/data/a'),
    undelete: () => server.write('secret/undelete/a', { versions: [4] }),
    metadata: () => server.write('secret/metadata/a', { owner: 'team' }),
  }
  await server.write('secret/data/a', { data: { n: 1 } })
  for (const [change, denied] of [
    ['write', ['data/*']],
    ['first', ['data/*', 'delete/*']],
    ['delete', ['undelete/*']],
    ['undelete', ['delete/*', 'data/*']],
    ['metadata', ['metadata/*']],
  ] as const) {
    await changes[change]!()
    const where = change === 'first' ? 'secret/undo/b' : 'secret/undo/a'
    const everything = 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }\n'
    const without = denied.map((path) => `path "secret/${path}" { capabilities = ["deny"] }\n`)
    await server.write(`sys/policies/acl/not-${change}`, { policy: everything + without.join('') })
    const refused = await server.write(where, {}, await server.login([`not-${change}`]))
    assert.deepEqual(
      [refused.status, refused.body.errors],
      [403, ['1 error occurred:\n\t* permission denied\n\n']],
      change,
    )
    await server.write('sys/policies/acl/all', { policy: everything })
    assert.equal((await server.write(where, {}, await server.login(['all']))).status, 200, change)
    await changes[change]!()
  }
})
