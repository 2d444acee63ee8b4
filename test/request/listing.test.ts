import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from '#test/server.ts'

test('a policy shows only those names of a listing that its token may read or list', async () => {
  await using server = await startServer({ secret: true })
  for (const name of ['a', 'b', 'c/x', 'd/y']) await server.write(`secret/data/team/${name}`, { data: { v: 1 } })
  await server.send('PUT', 'sys/policies/acl/some', {
    policy: `
      path "secret/metadata/team/*" {
        capabilities = ["list"]
        list_scan_response_keys_filter_path = "{{ .path | replace \\"secret/metadata/\\" \\"secret/data/\\" }}{{ .key }}"
      }
      path "secret/data/team/a" { capabilities = ["read"] }
      path "secret/data/team/c/*" { capabilities = ["list"] }`,
  })
  const token = await server.login(['some'])
  assert.deepEqual((await server.list('secret/metadata/team', token)).body.data, { keys: ['a', 'c/'] })
})

test('a filter that is not understood shows nothing at all', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/a', { data: { v: 1 } })
  await server.send('PUT', 'sys/policies/acl/odd', {
    policy: `path "secret/metadata/*" {
      capabilities = ["list"]
      list_scan_response_keys_filter_path = "{{ if .key }}x{{ end }}"
    }`,
  })
  assert.equal((await server.list('secret/metadata/', await server.login(['odd']))).status, 403)
})

test('a listing without a limit gets the one of the policy', async () => {
  await using server = await startServer({ secret: true })
  for (let n = 0; n < 5; n += 1) await server.write(`secret/data/k${n}`, { data: { v: 1 } })
  await server.send('PUT', 'sys/policies/acl/few', {
    policy: 'path "secret/metadata/*" { capabilities = ["list"] pagination_limit = 2 }',
  })
  const token = await server.login(['few'])
  assert.deepEqual((await server.list('secret/metadata/', token)).body.data.keys, ['k0', 'k1'])
  assert.deepEqual((await server.list('secret/metadata/?after=k1&limit=1', token)).body.data.keys, ['k2'])
  assert.equal((await server.list('secret/metadata/?limit=3', token)).status, 403)
})
