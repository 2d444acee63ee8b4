/** The API told as an OpenAPI document, held against the list of the system's operations, and kinds of engines. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { openApiDocument } from '#sys/openapi/document.ts'
import { startServer } from '#test/server.ts'

const where = 'sys/internal/specs/openapi'

/** Beginnings of paths whose operations are not claimed; decision 0016 says why. What is there in spite of it does no harm. */
const left = ['internal/inspect', 'mfa', 'namespaces', 'policies/detailed', 'pprof', 'raw']

/** A listing of all leases is that of a prefix which is empty. */
const other = ['GET /sys/leases/lookup/']

const isLeft = (path: string) => left.some((each) => path === `/sys/${each}` || path.startsWith(`/sys/${each}/`))

test('every operation of the system that is claimed is told', async () => {
  await using server = await startServer()
  const { paths } = (await server.read(where)).body
  const plain = (path: string) => path.replaceAll(/\{\w+\}/g, '{}')
  const told = new Set(
    Object.entries<any>(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${plain(path)}`),
    ),
  )
  const wanted = readFileSync('test/data/system-operations.txt', 'utf8').trim().split('\n')
  const claimed = wanted.filter((each) => !isLeft(each.split(' ')[1]!) && !other.includes(each))
  assert.ok(claimed.length > 100)
  assert.deepEqual(
    claimed.filter((each) => !told.has(plain(each))),
    [],
  )
})

test('the document holds together: names, parameters and references', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/old', { type: 'kv', options: { version: '1' } })
  await server.write('sys/auth/approle', { type: 'approle' })
  const { status, body, headers } = await server.read(where)
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json')
  assert.match(body.openapi, /^3\.0\./)
  const ids: string[] = []
  for (const [path, item] of Object.entries<any>(body.paths)) {
    const inPath = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name)
    assert.deepEqual(
      (item.parameters ?? []).map((each: any) => each.name),
      inPath,
      path,
    )
    for (const each of item.parameters ?? []) assert.deepEqual([each.in, each.required], ['path', true])
    for (const method of ['get', 'post', 'patch', 'delete']) {
      if (!item[method]) continue
      ids.push(item[method].operationId)
      assert.ok(item[method].summary && item[method].tags.length === 1 && item[method].responses, path)
      for (const content of Object.values<any>(item[method].requestBody?.content ?? {})) {
        const name = content.schema.$ref.replace('#/components/schemas/', '')
        assert.equal(body.components.schemas[name].type, 'object', name)
      }
    }
  }
  assert.equal(new Set(ids).size, ids.length)
  const { post } = body.paths['/auth/approle/login']
  assert.equal(body.paths['/auth/approle/login']['x-vault-unauthenticated'], true)
  const login = body.components.schemas[post.requestBody.content['application/json'].schema.$ref.split('/').at(-1)]
  assert.equal(login.properties.role_id.type, 'string')
  assert.equal(body.paths['/sys/audit']['x-vault-sudo'], true)
  assert.equal(body.paths['/secret/data/{path}']['x-vault-createSupported'], true)
  const [version] = body.paths['/secret/data/{path}'].get.parameters
  assert.deepEqual([version.name, version.in, version.schema.type], ['version', 'query', 'integer'])
  const lists = body.paths['/sys/policies/acl'].get.parameters.find((each: any) => each.name === 'list')
  assert.deepEqual([lists.required, lists.schema.enum], [true, ['true']])
})

test('a caller is told of the mounts that policies let be seen, and of nothing else', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/hidden', { type: 'kv' })
  await server.write('sys/policies/acl/app', { policy: 'path "secret/data/app" { capabilities = ["read"] }' })
  const token = await server.login(['app'])
  const mountsOf = (body: any) => Object.keys(body.paths).filter((path) => /^\/(secret|hidden)\//.test(path))
  assert.ok(mountsOf((await server.read(where)).body).some((path) => path.startsWith('/hidden/')))
  const seen = mountsOf((await server.read(where, token)).body)
  assert.ok(seen.length > 0 && seen.every((path) => path.startsWith('/secret/')))
  for (const nobody of [null, 'wrong']) {
    const { status, body } = await server.read(where, nobody)
    assert.equal(status, 200)
    assert.deepEqual(
      Object.keys(body.paths).filter((path) => !path.startsWith('/sys/')),
      [],
    )
    assert.equal(body.paths['/sys/mounts'], undefined)
    assert.ok(body.paths['/sys/health'])
  }
})

test('with generic paths each kind of engine is told once, at a path that is a parameter', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/other', { type: 'kv', options: { version: '2' } })
  await server.write('sys/mounts/old', { type: 'kv', options: { version: '1' } })
  await server.write('sys/auth/mine', { type: 'approle' })
  const { body } = await server.write(where, { generic_mount_paths: true })
  const paths = Object.keys(body.paths)
  assert.equal(paths.filter((path) => path.endsWith('/data/{path}')).length, 1)
  const [parameter] = body.paths['/{kv_v2_mount_path}/data/{path}'].parameters
  assert.equal(parameter.schema.default, 'kv')
  assert.ok(paths.includes('/{kv_v1_mount_path}/{path}'))
  assert.ok(paths.includes('/auth/{approle_mount_path}/login'))
  assert.ok(
    paths.includes('/auth/token/create') && paths.includes('/sys/mounts') && paths.includes('/cubbyhole/{path}'),
  )
  assert.ok(!paths.some((path) => /^\/(secret|other|old|auth\/mine)\//.test(path)))
})

test('a document that would be too long is refused, and making one lets others have their turn', async () => {
  await using server = await startServer({ secret: true })
  const one = (await server.node.core.mounts.at('secret', 'secret'))!
  const many = Array.from({ length: 6000 }, (_, at) => ({ ...one, route: `mount-${at}/` }))
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await assert.rejects(openApiDocument({ mounts: many, bare: [], generic: false, version: '' }), { code: 'too_large' })
  clearInterval(timer)
  assert.ok(turns > 10, `${turns} turns`)
  await openApiDocument({ mounts: many, bare: [], generic: true, version: '' })
})

test('the kinds of engines are told, all of them or one by one; none can be added', async () => {
  await using server = await startServer()
  const { data } = (await server.read('sys/plugins/catalog')).body
  assert.ok(data.auth.includes('approle') && data.secret.includes('kv'))
  const detail = data.detailed.find((each: any) => each.name === 'kv')
  assert.deepEqual(
    { ...detail, version: '' },
    {
      builtin: true,
      deprecation_status: 'supported',
      name: 'kv',
      type: 'secret',
      version: '',
    },
  )
  assert.deepEqual((await server.list('sys/plugins/catalog/secret')).body.data.keys, data.secret)
  const { body } = await server.read('sys/plugins/catalog/auth/approle')
  assert.deepEqual([body.data.builtin, body.data.name, body.data.sha256], [true, 'approle', ''])
  assert.equal((await server.read('sys/plugins/catalog/auth/kv')).status, 404)
  assert.equal((await server.list('sys/plugins/catalog/none')).status, 400)
  const added = await server.write('sys/plugins/catalog/secret/mine', { sha256: 'ab', command: 'mine' })
  assert.deepEqual([added.status, added.body.errors[0].startsWith('plugins cannot be registered')], [400, true])
  assert.equal((await server.delete('sys/plugins/catalog/secret/mine')).status, 204)
})

test('mounts are opened anew by plugin or by path, and go on with what they hold', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/a', { data: { v: 1 } })
  const at = () => server.node.core.mounts.at('secret', 'secret')
  const before = await at()
  const reload = (body: object) => server.write('sys/plugins/reload/backend', body)
  assert.match((await reload({ plugin: 'kv' })).body.data.reload_id, /^[0-9a-f-]{36}$/)
  assert.notEqual(await at(), before)
  const again = await at()
  assert.equal((await reload({ mounts: 'secret/', scope: 'global' })).status, 202)
  assert.notEqual(await at(), again)
  assert.equal((await server.read('secret/data/a')).body.data.data.v, 1)
  for (const [body, text] of [
    [{}, 'plugin or mounts must be provided'],
    [{ plugin: 'kv', mounts: 'secret' }, 'plugin and mounts cannot be set at the same time'],
    [{ plugin: 'kv', scope: 'x' }, "reload scope must be omitted or 'global'"],
    [{ mounts: 'none' }, 'cannot fetch mount entry on "none/"'],
  ] as const) {
    const answer = await reload(body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [text]])
  }
})

test('what the web interface asks first is answered', async () => {
  await using server = await startServer()
  assert.deepEqual((await server.read('sys/internal/ui/feature-flags', null)).body, { feature_flags: [] })
  assert.deepEqual((await server.read('sys/internal/ui/namespaces')).body.data, { keys: [''] })
  assert.equal((await server.read('sys/internal/ui/namespaces', null)).status, 404)
  assert.match((await server.read('sys/internal/ui/version')).body.data.version, /^\d+\.\d+/)
  assert.equal((await server.read('sys/internal/ui/version', null)).status, 403)
  assert.deepEqual((await server.read('sys/experiments')).body.data, { available: [], enabled: [] })
  assert.equal((await server.write('sys/step-down', {})).status, 204)
})
