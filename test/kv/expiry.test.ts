/** Owner and expiry of secrets: kept, shown, warned of, listed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

const DAY = 86_400
const A = 'secret/metadata/a'

async function start(): Promise<TestServer> {
  const server = await startServer({ at: '2026-01-01T00:00:00Z', secret: true })
  await server.write('secret/data/a', { data: { x: 1 } })
  return server
}

const metadata = async (server: TestServer) => (await server.read(A)).body.data
const expiring = async (server: TestServer, query = '', token?: string) =>
  (await server.read(`secret/expiring?list=true${query}`, token)).body?.data

test('owner and expiry are shown where they are set, and only there', async () => {
  await using server = await start()
  const plain = await metadata(server)
  assert.deepEqual(Object.keys(plain).toSorted(), [
    'cas_required',
    'created_time',
    'current_metadata_version',
    'current_version',
    'custom_metadata',
    'delete_version_after',
    'max_versions',
    'metadata_cas_required',
    'oldest_version',
    'updated_time',
    'versions',
  ])
  const written = await server.write(A, { owner: ' team-web@example.org ', expires_at: '2026-06-01T02:00:00+02:00' })
  assert.equal(written.status, 204)
  const { owner, expires_at, custom_metadata } = await metadata(server)
  assert.deepEqual([owner, expires_at, custom_metadata], ['team-web@example.org', '2026-06-01T00:00:00Z', null])
  await server.write(A, { max_versions: 3 })
  assert.equal((await metadata(server)).owner, 'team-web@example.org')
  await server.send('PATCH', A, { owner: null })
  assert.ok(!Object.hasOwn(await metadata(server), 'owner'))
  await server.write(A, { expires_in: '48h' })
  assert.equal((await metadata(server)).expires_at, '2026-01-03T00:00:00Z')
  await server.write(A, { expires_in: 0 })
  assert.ok(!Object.hasOwn(await metadata(server), 'expires_at'))
})

test('what is no owner or no time is refused, and changes nothing', async () => {
  await using server = await start()
  await server.write(A, { owner: 'ann', expires_in: '30d' })
  const before = await metadata(server)
  for (const body of [
    { owner: 'x'.repeat(257) },
    { owner: 'a\nb' },
    { owner: ['ann'] },
    { expires_at: 'tomorrow' },
    { expires_at: '2026-06-01' },
    { expires_at: '2026-13-01T00:00:00Z' },
    { expires_at: '1969-01-01T00:00:00Z' },
    { expires_in: -1 },
    { expires_in: '999999999h' },
    { expires_in: '1h', expires_at: '2026-06-01T00:00:00Z' },
  ]) {
    const { status, text } = await server.write(A, { max_versions: 7, ...body })
    assert.equal(status, 400, `${JSON.stringify(body)} ${text}`)
  }
  assert.deepEqual(await metadata(server), before)
})

test('replies warn from a week ahead, and the secret is read all the same', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { x: 2 } })
  await server.write(A, { expires_at: '2026-01-09T00:00:00Z' })
  const warnings = async () => {
    const replies = await Promise.all(['secret/data/a', 'secret/data/a?version=1', A].map((each) => server.read(each)))
    for (const { status } of replies) assert.equal(status, 200)
    const texts = replies.map(({ body }) => JSON.stringify(body.warnings))
    assert.equal(new Set(texts).size, 1)
    return replies[0]!.body.warnings
  }
  assert.equal(await warnings(), null)
  server.tick(DAY)
  assert.deepEqual(await warnings(), ['This secret expires in 7 days, at 2026-01-09T00:00:00Z.'])
  server.tick(5.5 * DAY)
  assert.deepEqual(await warnings(), ['This secret expires in a day, at 2026-01-09T00:00:00Z.'])
  server.tick(DAY)
  assert.deepEqual(await warnings(), ['This secret expires within a day, at 2026-01-09T00:00:00Z.'])
  server.tick(0.5 * DAY)
  const expired = ['This secret expired at 2026-01-09T00:00:00Z: it should be replaced.']
  assert.deepEqual(await warnings(), expired)
  assert.deepEqual((await server.write('secret/data/a', { data: { x: 3 } })).body.warnings, expired)
  await server.write(A, { expires_in: '8d' })
  assert.equal(await warnings(), null)
})

test('what expires is listed in the order of time, as far ahead as is asked, in pages', async () => {
  await using server = await start()
  assert.equal((await server.read('secret/expiring?list=true')).status, 404)
  const days = { a: 40, 'b/deep': 5, c: 20, d: 10 }
  for (const [name, count] of Object.entries(days)) {
    await server.write(`secret/metadata/${name}`, { owner: `of ${name}`, expires_in: `${count}d` })
  }
  assert.deepEqual(await expiring(server), {
    keys: ['b/deep', 'd', 'c'],
    key_info: {
      'b/deep': { owner: 'of b/deep', expires_at: '2026-01-06T00:00:00Z' },
      d: { owner: 'of d', expires_at: '2026-01-11T00:00:00Z' },
      c: { owner: 'of c', expires_at: '2026-01-21T00:00:00Z' },
    },
  })
  assert.deepEqual((await server.list('secret/expiring?within=240h')).body.data.keys, ['b/deep', 'd'])
  const first = await expiring(server, '&limit=2')
  assert.deepEqual(first.keys, ['b/deep', 'd'])
  assert.deepEqual(await expiring(server, `&limit=2&after=${first.next}`).then(({ keys }) => keys), ['c'])
  assert.equal((await server.read(`secret/expiring?list=true&after=x${first.next}`)).status, 400)
  server.tick(6 * DAY)
  assert.deepEqual((await expiring(server, '&within=0')).keys, ['b/deep'])
  await server.write('secret/metadata/b/deep', { expires_in: '100d' })
  await server.delete('secret/metadata/d')
  assert.deepEqual((await expiring(server)).keys, ['c'])
})

test('of what expires only that is told whose metadata the caller may read', async () => {
  await using server = await start()
  for (const name of ['team/a', 'other/b']) {
    await server.write(`secret/metadata/${name}`, { owner: 'x', expires_in: '1d' })
  }
  const policy =
    'path "secret/expiring" { capabilities = ["list"] }\n' +
    'path "secret/expiring/" { capabilities = ["list"] }\n' +
    'path "secret/metadata/team/*" { capabilities = ["read"] }\n' +
    'path "secret/metadata/other/" { capabilities = ["list"] }'
  await server.write('sys/policies/acl/team', { policy })
  const token = await server.login(['team'])
  assert.deepEqual((await expiring(server, '', token)).keys, ['team/a'])
  assert.equal((await server.list('secret/expiring', await server.login(['default']))).status, 403)
})
