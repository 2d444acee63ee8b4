/** What operators set about the server: pages of other origins, headers of pages, headers in audit lines, versions. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import test from 'node:test'
import { apiVersion } from '#lib/version.ts'
import { startServer } from '#test/server.ts'

const cors = 'sys/config/cors'
const ui = 'sys/config/ui/headers'
const audited = 'sys/config/auditing/request-headers'

test('pages of other origins: off, on, changed, off', async () => {
  await using server = await startServer()
  assert.deepEqual((await server.read(cors)).body.data, { enabled: false })
  assert.equal((await server.write(cors, { allowed_origins: '*', allowed_headers: 'X-Custom' })).status, 204)
  const { body } = await server.read(cors)
  assert.equal(body.enabled, true)
  assert.deepEqual(body.data.allowed_origins, ['*'])
  assert.ok(body.data.allowed_headers.includes('X-Vault-Token'))
  assert.equal(body.data.allowed_headers.at(-1), 'X-Custom')
  await server.write(cors, { allowed_origins: ['https://a.example', 'https://b.example'] })
  const changed = (await server.read(cors)).body.data
  assert.deepEqual(changed.allowed_origins, ['https://a.example', 'https://b.example'])
  assert.ok(!changed.allowed_headers.includes('X-Custom'))
  assert.equal((await server.delete(cors)).status, 204)
  assert.deepEqual((await server.read(cors)).body.data, { enabled: false })
})

test('rules that cannot be held are refused', async () => {
  await using server = await startServer()
  for (const [body, text] of [
    [{}, 'at least one origin or the wildcard must be provided'],
    [{ allowed_origins: '*,https://a' }, "to allow all origins the '*' must be the only value for allowed_origins"],
    [{ allowed_origins: '*', allowed_headers: ['a\r\nb'] }, '"a\\r\\nb" is not the name of a header'],
  ] as const) {
    const answer = await server.write(cors, body)
    assert.deepEqual([answer.status, answer.body], [400, { errors: [text] }])
  }
  assert.deepEqual((await server.read(cors)).body.data, { enabled: false })
})

test('headers of pages are set, told in their usual form, replaced and removed', async () => {
  await using server = await startServer()
  assert.equal((await server.list(ui)).status, 404)
  const set = await server.send('PUT', `${ui}/x-custom-header`, { values: ['one', 'two'] })
  assert.deepEqual([set.status, set.body.data, set.body.warnings], [200, null, null])
  assert.deepEqual((await server.read(`${ui}/X-CUSTOM-header`)).body.data, { value: 'one' })
  assert.deepEqual((await server.read(`${ui}/x-custom-header?multivalue=true`)).body.data, { values: ['one', 'two'] })
  const policy = await server.write(`${ui}/Content-Security-Policy`, { values: "default-src 'self'" })
  assert.deepEqual(policy.body.warnings, [
    'overriding default Content-Security-Policy which is secure by default, proceed with caution',
  ])
  assert.deepEqual((await server.list(ui)).body.data.keys, ['Content-Security-Policy', 'X-Custom-Header'])
  assert.equal((await server.delete(`${ui}/X-Custom-Header`)).status, 204)
  assert.equal((await server.read(`${ui}/X-Custom-Header`)).status, 404)
  for (const [name, values, text] of [
    ['X-Vault-Thing', 'a', 'X-Vault headers cannot be set'],
    // A wrong length would let a proxy take the rest of a page for the next answer.
    ['Content-Length', '0', "Content-Length is the server's own"],
    ['transfer-encoding', 'chunked', "transfer-encoding is the server's own"],
    ['X-A', [], 'header and values must be specified'],
    ['X-A', ['a\r\nSet-Cookie: b'], 'a value has characters that no header may have'],
  ] as const) {
    const answer = await server.write(`${ui}/${name}`, { values })
    assert.deepEqual([answer.status, answer.body.errors], [400, [text]])
  }
})

test('audit lines tell the headers that are asked for, hashed or as they are, but never a token', async () => {
  await using server = await startServer({ secret: true })
  const headers = { 'x-clear': 'seen', 'x-hashed': 'hidden', 'x-other': 'untold' }
  assert.deepEqual((await server.read(audited)).body.data, { headers: {} })
  await server.write(`${audited}/X-Clear`, {})
  await server.write(`${audited}/X-Hashed`, { hmac: true })
  await server.write(`${audited}/X-Vault-Token`, { hmac: false })
  await server.send('GET', 'secret/data/none', undefined, { headers })
  const { hash } = (await server.write('sys/audit-hash/ledger', { input: 'hidden' })).body.data
  const lines = (await server.trail()).filter((line) => line.request.path === 'secret/data/none')
  assert.equal(lines.length, 2)
  for (const line of lines) {
    assert.deepEqual(line.request.headers['x-clear'], ['seen'])
    assert.deepEqual(line.request.headers['x-hashed'], [hash])
    assert.match(line.request.headers['x-vault-token'][0], /^hmac-sha256:/)
    assert.deepEqual(Object.keys(line.request.headers).toSorted(), ['x-clear', 'x-hashed', 'x-vault-token'])
  }
})

test('a refused request tells its headers too, and a removed one is told no longer', async () => {
  await using server = await startServer()
  await server.write(`${audited}/x-trace`, {})
  const ask = (token: string) => server.send('GET', 'secret/none', undefined, { token, headers: { 'x-trace': 'abc' } })
  await ask('wrong')
  assert.equal((await server.delete(`${audited}/X-Trace`)).status, 204)
  await ask('wrong')
  const told = (await server.trail())
    .filter((line) => line.request.path === 'secret/none')
    .map((line) => line.request.headers)
  assert.deepEqual(told, [{ 'x-trace': ['abc'] }, { 'x-trace': ['abc'] }, undefined, undefined])
})

test('audited headers are read one by one and all together', async () => {
  await using server = await startServer()
  await server.write(`${audited}/X-Forwarded-For`, { hmac: true })
  assert.deepEqual((await server.read(audited)).body.headers, { 'x-forwarded-for': { hmac: true } })
  assert.deepEqual((await server.read(`${audited}/X-Forwarded-For`)).body.data, { 'X-Forwarded-For': { hmac: true } })
  const missing = await server.read(`${audited}/X-None`)
  assert.deepEqual([missing.status, missing.body.errors], [400, ['Could not find header in config']])
  assert.equal((await server.write(`${audited}/a%20b`, {})).status, 400)
})

test('settings need sudo', async () => {
  await using server = await startServer()
  const rights = [cors, `${ui}/*`, ui, `${audited}/*`, audited]
  const rules = rights.map(
    (path) => `path "sys/${path.slice(4)}" { capabilities = ["create", "update", "read", "list"] }`,
  )
  await server.write('sys/policies/acl/most', { policy: rules.join('\n') })
  const token = await server.login(['most'])
  assert.equal((await server.read(cors, token)).status, 403)
  assert.equal((await server.write(cors, { allowed_origins: '*' }, token)).status, 403)
  assert.equal((await server.write(`${ui}/X-A`, { values: 'a' }, token)).status, 403)
  assert.equal((await server.write(`${audited}/x-a`, {}, token)).status, 403)
})

test('settings and versions outlive the server', async () => {
  const first = await startServer({ storage: 'sqlite' })
  await first.write(cors, { allowed_origins: 'https://a.example' })
  await first.stop({ keep: true })
  await using second = await startServer({ folder: first.folder! })
  await second.write('sys/unseal', { key: first.unsealKey })
  assert.equal((await second.read(cors)).body.data.enabled, true)
  const history = (await second.list('sys/version-history')).body.data
  assert.deepEqual(history.keys, [apiVersion])
  const { timestamp_installed, ...rest } = history.key_info[apiVersion]
  assert.ok(!Number.isNaN(Date.parse(timestamp_installed)))
  assert.deepEqual(Object.keys(rest).toSorted(), ['build_date', 'previous_version'])
  assert.equal(rest.previous_version, null)
  await rm(first.folder!, { recursive: true, force: true })
})
