/** Searches: by words in names and notes, never in values; only what the caller may see; in pages with an end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

const MANY = 21_000

async function start(): Promise<TestServer> {
  const server = await startServer({ secret: true })
  const secrets: Record<string, object | undefined> = {
    'app/Database': { owner: 'team-web', custom_metadata: { contact: 'ann@example.org', stage: 'production' } },
    'app/queue': { custom_metadata: { stage: 'test' } },
    'other/database': undefined,
    'other/plain': { owner: 'team-db', expires_at: '2099-01-01T00:00:00Z' },
    top: undefined,
  }
  for (const [name, notes] of Object.entries(secrets)) {
    await server.write(`secret/data/${name}`, { data: { hunter: 'needle' } })
    if (notes) await server.write(`secret/metadata/${name}`, notes)
  }
  return server
}

async function search(
  server: TestServer,
  words: string,
  options: { folder?: string; token?: string; more?: string } = {},
) {
  const { folder = '', token, more = '' } = options
  const where = `secret/search${folder}?list=true&query=${encodeURIComponent(words)}${more}`
  return await server.read(where, token)
}

const keys = async (...given: Parameters<typeof search>) => (await search(...given)).body?.data?.keys ?? []

test('words are found in names, owners and custom metadata, whatever their case, all of them or nothing', async () => {
  await using server = await start()
  assert.deepEqual(await keys(server, 'DATABASE'), ['app/Database', 'other/database'])
  assert.deepEqual(await keys(server, 'team'), ['app/Database', 'other/plain'])
  assert.deepEqual(await keys(server, 'Stage'), ['app/Database', 'app/queue'])
  assert.deepEqual(await keys(server, 'ann@example'), ['app/Database'])
  assert.deepEqual(await keys(server, '  app   production '), ['app/Database'])
  assert.deepEqual(await keys(server, 'app nothing'), [])
  assert.deepEqual(await keys(server, 'p/d'), ['app/Database'])
  assert.deepEqual(await keys(server, '', { more: '&owner=team-db' }), ['other/plain'])
  assert.deepEqual(await keys(server, 'plain', { more: '&owner=team-web' }), [])
  assert.equal((await search(server, 'nowhere')).status, 404)
  assert.equal((await search(server, ' ')).status, 400)
  assert.equal((await search(server, 'x'.repeat(513))).status, 400)
})

test('values and the names in them are not searched', async () => {
  await using server = await start()
  for (const word of ['needle', 'hunter']) assert.deepEqual(await keys(server, word), [])
})

test('what is found is told with its notes, below the folder that is asked, by LIST too', async () => {
  await using server = await start()
  assert.deepEqual((await search(server, 'a', { folder: '/other' })).body.data, {
    keys: ['other/database', 'other/plain'],
    key_info: { 'other/plain': { owner: 'team-db', expires_at: '2099-01-01T00:00:00Z' } },
  })
  assert.deepEqual(await keys(server, 'plain', { folder: '/app' }), [])
  assert.deepEqual(await keys(server, 'top', { folder: '/to' }), [])
  const listed = await server.list('secret/search/app/?query=stage')
  assert.deepEqual(listed.body.data.keys, ['app/Database', 'app/queue'])
  assert.deepEqual(listed.body.data.key_info['app/queue'], { custom_metadata: { stage: 'test' } })
})

test('a search follows what changes', async () => {
  await using server = await start()
  await server.write('secret/metadata/top', { owner: 'team-new' })
  assert.deepEqual(await keys(server, 'team-new'), ['top'])
  await server.write('secret/undo/top', {})
  assert.deepEqual(await keys(server, 'team-new'), [])
  await server.delete('secret/metadata/app/Database')
  assert.deepEqual(await keys(server, 'database'), ['other/database'])
  assert.deepEqual(await keys(server, 'team-web'), [])
})

test('notes are found in the order of the store too, which is not that of JavaScript', async () => {
  await using server = await startServer({ secret: true })
  // By their bytes in this order, by their UTF-16 units in the other.
  const names = ['\u{ff5e}', '\u{1f600}']
  for (const name of names) {
    await server.write(`secret/metadata/${encodeURIComponent(name)}`, { owner: 'team-signs' })
  }
  assert.deepEqual(await keys(server, 'signs'), names)
})

test('a caller finds what it may list or read, and by notes only what it may read', async () => {
  await using server = await start()
  const search_ = 'path "secret/search/*" { capabilities = ["list"] }\n'
  const policies = {
    none: search_,
    lists: `${search_}path "secret/metadata/app/" { capabilities = ["list"] }`,
    reads: `${search_}path "secret/metadata/app/*" { capabilities = ["read"] }`,
    filtered: `${search_}path "secret/metadata/app/" {
      capabilities = ["list"]
      list_scan_response_keys_filter_path = "secret/data/app/{{ .key }}"
    }
    path "secret/data/app/queue" { capabilities = ["read"] }`,
    data: `${search_}path "secret/data/*" { capabilities = ["read"] }`,
    // Whoever would need somebody's approval, a wrapping or a parameter to read it does not get it without by a search.
    approved: `${search_}path "secret/metadata/app/*" {
      capabilities = ["read", "list"]
      control_group = { factor "ops" { identity { group_names = ["ops"] approvals = 1 } } }
    }`,
    wrapped: `${search_}path "secret/metadata/app/*" { capabilities = ["read", "list"] min_wrapping_ttl = "1s" }`,
    ticket: `${search_}path "secret/metadata/app/*" {
      capabilities = ["read", "list"]
      required_parameters = ["ticket"]
    }`,
  }
  const found: Record<string, unknown> = {}
  for (const [name, policy] of Object.entries(policies)) {
    await server.write(`sys/policies/acl/${name}`, { policy })
    const token = await server.login([name])
    found[name] = [
      await keys(server, 'database', { token }),
      await keys(server, 'stage', { token }),
      (await search(server, 'app', { token })).body.data,
    ]
  }
  const info = {
    'app/Database': { owner: 'team-web', custom_metadata: { contact: 'ann@example.org', stage: 'production' } },
    'app/queue': { custom_metadata: { stage: 'test' } },
  }
  assert.deepEqual(found, {
    none: [[], [], undefined],
    lists: [['app/Database'], [], { keys: ['app/Database', 'app/queue'], key_info: {} }],
    reads: [['app/Database'], ['app/Database', 'app/queue'], { keys: ['app/Database', 'app/queue'], key_info: info }],
    filtered: [[], [], { keys: ['app/queue'], key_info: {} }],
    data: [[], [], undefined],
    approved: [[], [], undefined],
    wrapped: [[], [], undefined],
    // Parameters are asked for by reads, not by listings.
    ticket: [['app/Database'], [], { keys: ['app/Database', 'app/queue'], key_info: {} }],
  })
  assert.equal((await search(server, 'app', { token: await server.login(['default']) })).status, 403)
})

test('pages give each match once, and a cursor is good for its own search only', async () => {
  await using server = await start()
  const pages: string[][] = []
  let next = ''
  do {
    const answer = await search(server, 'a', { more: `&limit=2${next && `&after=${next}`}` })
    pages.push(answer.body.data?.keys ?? [])
    next = answer.body.data?.next ?? ''
  } while (next !== '')
  assert.deepEqual(pages.flat(), ['app/Database', 'app/queue', 'other/database', 'other/plain'])
  assert.ok(pages.length >= 2)
  const { next: cursor } = (await search(server, 'a', { more: '&limit=1' })).body.data
  assert.doesNotMatch(Buffer.from(cursor, 'base64url').toString('latin1'), /app/)
  const bent = `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`
  for (const [words, after] of [
    ['other', cursor],
    ['a', bent],
    ['a', 'app/Database'],
    ['a', cursor.slice(0, 20)],
  ]) {
    assert.equal((await search(server, words!, { more: `&after=${after}` })).status, 400, after)
  }
  assert.equal((await search(server, 'a', { more: '&limit=-1' })).body.data.keys.length, 4)
})

test('one request looks at so many names; an empty page says where to go on, though the caller sees none of them', async () => {
  await using server = await start()
  const { mount } = (await server.node.core.mounts.at('secret', 'secret'))!
  for (let from = 0; from < MANY; from += 1000) {
    await mount.storage.transact(async (transaction) => {
      for (let number = from; number < from + 1000; number++) {
        const name = `m/${String(number).padStart(6, '0')}`
        transaction.put(`secret/${name}`, { created_ms: 1, current_version: 1, versions: [[1, 0, 0]], data: {} })
      }
    })
  }
  assert.equal((await keys(server, 'm/', { more: '&limit=5000' })).length, 1000)
  const first = await search(server, 'plain')
  assert.deepEqual([first.status, first.body.data.keys], [200, []])
  const second = await search(server, 'plain', { more: `&after=${first.body.data.next}` })
  assert.deepEqual([second.body.data.keys, second.body.data.next], [['other/plain'], undefined])
  await server.write('sys/policies/acl/none', { policy: 'path "secret/search/*" { capabilities = ["list"] }' })
  const blind = await search(server, 'plain', { token: await server.login(['none']) })
  assert.deepEqual([blind.status, blind.body.data.keys], [200, []])
  assert.doesNotMatch(blind.text, /m\/\d/)
})

test('a limit that a policy sets holds for searches', async () => {
  await using server = await start()
  const policy = `path "secret/search/*" {
      capabilities = ["list"]
      pagination_limit = 1
    }
    path "secret/metadata/*" { capabilities = ["read"] }`
  await server.write('sys/policies/acl/few', { policy })
  const { keys: found, next } = (await search(server, 'a', { token: await server.login(['few']) })).body.data
  assert.deepEqual(found, ['app/Database'])
  assert.equal(typeof next, 'string')
})
