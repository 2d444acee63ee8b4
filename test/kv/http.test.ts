import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '#test/server.ts'

async function withMount(version: string, options: Parameters<typeof startServer>[0] = {}) {
  const server = await startServer(options)
  assert.equal((await server.write('sys/mounts/kv', { type: 'kv', options: { version } })).status, 204)
  return server
}

test('of writes at once over HTTP to a durable store that replace the same version one passes', async () => {
  await using server = await withMount('2', { storage: 'sqlite' })
  for (const cas of [0, 1]) {
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) => server.write('kv/data/a', { data: { index }, options: { cas } })),
    )
    assert.equal(
      answers.filter(({ status }) => status === 200).length,
      1,
      JSON.stringify(answers.map(({ text }) => text)),
    )
    assert.equal(answers.filter(({ status }) => status === 400).length, 15)
  }
})

test('a token with create but not update writes a secret once', async () => {
  await using server = await withMount('2')
  await server.write('sys/policies/acl/creator', { policy: 'path "kv/data/*" { capabilities = ["create", "read"] }' })
  const token = await server.login(['creator'])
  assert.equal((await server.write('kv/data/a', { data: { n: 1 } }, token)).status, 200)
  assert.equal((await server.write('kv/data/a', { data: { n: 2 } }, token)).status, 403)
  assert.equal((await server.send('PATCH', 'kv/data/a', { data: { n: 2 } }, { token })).status, 403)
  assert.deepEqual((await server.read('kv/data/a', token)).body.data.data, { n: 1 })
  assert.equal((await server.read('kv/metadata/a', token)).status, 403)
})

test('listings and scans answer to their own methods and to list=true, with pages', async () => {
  await using server = await withMount('2')
  for (const name of ['a', 'b/c', 'b/d']) await server.write(`kv/data/${name}`, { data: { x: 1 } })
  assert.deepEqual((await server.list('kv/metadata')).body.data, { keys: ['a', 'b/'] })
  assert.deepEqual((await server.read('kv/metadata/b?list=true&limit=1')).body.data, { keys: ['c'] })
  assert.deepEqual((await server.send('SCAN', 'kv/metadata/')).body.data, { keys: ['a', 'b/c', 'b/d'] })
  const detailed = (await server.send('SCAN', 'kv/detailed-metadata?after=a')).body.data
  assert.deepEqual(detailed.keys, ['b/c', 'b/d'])
  assert.equal(detailed.key_info['b/c'].current_version, 1)
})

test('paths with spaces, dots, unicode and percent signs reach the same secret again', async () => {
  await using server = await withMount('1')
  const names = ['a b', '.hidden', 'ü', '50%', 'a+b', 'q?x', '#h', 'x&y=z']
  for (const name of names) {
    assert.equal((await server.write(`kv/${encodeURIComponent(name)}`, { name })).status, 204, name)
  }
  for (const name of names) {
    assert.deepEqual((await server.read(`kv/${encodeURIComponent(name)}`)).body.data, { name })
  }
  assert.deepEqual((await server.list('kv')).body.data.keys.toSorted(), names.toSorted())
})

test('too long a path is refused in clear words, too deep and too big bodies without a crash', async () => {
  await using server = await withMount('2')
  const long = await server.write(`kv/data/${'x'.repeat(897)}`, { data: {} })
  assert.equal(long.status, 400)
  assert.deepEqual(long.body, { errors: ['the path is too long: at most 896 bytes'] })
  const deep = await server.write('kv/data/a', `{"data":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`)
  assert.ok(deep.status >= 400 && deep.status < 500, `${deep.status} ${deep.text}`)
  const big = await server.write('kv/data/a', { data: { x: 'x'.repeat(5 * 1024 * 1024) } })
  assert.ok(big.status >= 400 && big.status < 500, `${big.status} ${big.text}`)
  assert.equal((await server.write('kv/data/a', { data: { n: 1 } })).body.data.version, 1)
})

test('unknown fields are warned of, fields of the path are not taken from the body', async () => {
  await using server = await withMount('2')
  const { body } = await server.write('kv/data/a', { data: { n: 1 }, zebra: 1, extra: 2, path: 'elsewhere' })
  assert.deepEqual(body.warnings, [
    'Endpoint ignored these unrecognized parameters: [extra zebra]',
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [path]",
  ])
  assert.equal((await server.read('kv/data/elsewhere')).status, 404)
  assert.deepEqual((await server.read('kv/data/a')).body.data.data, { n: 1 })
})

test('a mount is upgraded in place and cannot go back', async () => {
  await using server = await withMount('1')
  await server.write('kv/a', '{"n":1.50}')
  assert.equal((await server.write('sys/mounts/kv/tune', { options: { version: '2' } })).status < 300, true)
  assert.deepEqual((await server.read('kv/data/a')).body.data.data, { n: 1.5 })
  assert.equal((await server.read('kv/a')).status, 404)
  const back = await server.write('sys/mounts/kv/tune', { options: { version: '1' } })
  assert.equal(back.status, 400)
  assert.deepEqual((await server.read('kv/data/a')).body.data.data, { n: 1.5 })
})

test('what a token keeps in its cubbyhole nobody else reads, and it ends with the token', async () => {
  await using server = await withMount('1')
  const [one, other] = [await server.login(['default']), await server.login(['default'])]
  assert.equal((await server.write('cubbyhole/a', { mine: 1 }, one)).status, 204)
  assert.deepEqual((await server.read('cubbyhole/a', one)).body.data, { mine: 1 })
  for (const token of [other, server.root]) assert.equal((await server.read('cubbyhole/a', token)).status, 404)
  assert.equal((await server.list('cubbyhole', other)).status, 404)
  assert.equal((await server.send('POST', 'auth/token/revoke', { token: one })).status, 204)
  assert.equal((await server.read('cubbyhole/a', one)).status, 403)
})
