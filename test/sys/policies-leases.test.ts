/** `sys/policies/acl`, `sys/policy` and `sys/leases` over HTTP. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

const rule = 'path "x" { capabilities = ["read"] }'

test('a policy is written, plain or in base64, read in both forms, listed in pages and deleted', async () => {
  await using server = await startServer()
  for (const [where, body] of [
    ['sys/policies/acl/a', { policy: rule }],
    ['sys/policies/acl/B', { policy: Buffer.from(rule).toString('base64') }],
    ['sys/policy/c', { rules: rule }],
  ] as const) {
    assert.equal((await server.write(where, body)).status, 204, where)
  }
  for (const name of ['a', 'b', 'c']) {
    assert.equal((await server.read(`sys/policies/acl/${name}`)).body.data.policy, rule)
    assert.equal((await server.read(`sys/policy/${name.toUpperCase()}`)).body.rules, rule)
  }
  const listed = async (query: string) => (await server.list(`sys/policies/acl?${query}`)).body.data?.keys
  assert.deepEqual(await listed(''), ['a', 'b', 'c', 'default', 'root'])
  assert.deepEqual(await listed('limit=0'), ['a', 'b', 'c', 'default', 'root'])
  assert.deepEqual(await listed('after=b&limit=2'), ['c', 'default'])
  assert.equal(await listed('after=root'), undefined)
  assert.equal((await server.delete('sys/policies/acl/A')).status, 204)
  assert.deepEqual((await server.read('sys/policy')).body.policies, ['b', 'c', 'default', 'root'])
  for (const name of ['root', 'default'])
    assert.equal((await server.delete(`sys/policies/acl/${name}`)).status, 400, name)
  assert.equal((await server.write('sys/policies/acl/x', {})).status, 400)
  assert.equal((await server.write('sys/policies/acl/x', { policy: 'path {' })).status, 400)
  assert.equal((await server.write('sys/policies/acl/x', { policy: rule, expiration: 'soon' })).status, 400)
})

test('a policy that ends grants nothing from that moment on', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z', secret: true })
  await server.write('secret/data/a', { data: { v: 1 } })
  await server.write('sys/policies/acl/brief', {
    policy: 'path "secret/data/a" { capabilities = ["read"] }',
    ttl: '1h',
  })
  const token = await server.login(['brief'])
  server.tick(3599)
  assert.equal((await server.read('secret/data/a', token)).status, 200)
  server.tick(1)
  assert.equal((await server.read('secret/data/a', token)).status, 403)
  assert.equal((await server.read('sys/policies/acl/brief')).status, 404)
})

async function lease(server: TestServer): Promise<string> {
  const { core } = server.node
  const mounted = (await core.mounts.find('secret/'))!
  const token = (await core.tokens.lookup(server.root))!
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  const slot = core.leases.reserve({ path: 'secret/creds/web', token, mount })
  const { leaseId } = await slot.fill({ ttlSeconds: 60, maxTtlSeconds: 100, renewable: true, revoke: {} })
  slot.release()
  return leaseId
}

test('a lease is looked at, listed, renewed as far as it may, and taken back', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z', secret: true })
  const id = await lease(server)
  const { data } = (await server.write('sys/leases/lookup', { lease_id: id })).body
  assert.deepEqual(data, {
    id,
    issue_time: '2026-01-01T00:00:00Z',
    expire_time: '2026-01-01T00:01:00Z',
    last_renewal: null,
    renewable: true,
    ttl: 60,
  })
  for (const query of ['', '?limit=0', '?limit=-1']) {
    const { keys } = (await server.list(`sys/leases/lookup/secret/creds/web${query}`)).body.data
    assert.deepEqual(keys, [id.split('/').at(-1)])
  }
  server.tick(30)
  const renewed = (await server.write('sys/leases/renew', { lease_id: id, increment: '1h' })).body
  assert.deepEqual([renewed.lease_id, renewed.renewable, renewed.lease_duration], [id, true, 70])
  assert.equal((await server.write(`sys/renew/${id}`, {})).body.lease_id, id)
  assert.equal((await server.write('sys/leases/revoke', { lease_id: id })).status, 204)
  assert.equal((await server.write('sys/leases/lookup', { lease_id: id })).status, 400)
  assert.equal((await server.write('sys/leases/renew', { lease_id: id })).status, 400)
  const other = await lease(server)
  assert.equal((await server.write('sys/leases/revoke-prefix/secret/creds', {})).status, 204)
  assert.equal((await server.write('sys/leases/lookup', { lease_id: other })).status, 400)
  for (const where of ['lookup', 'renew', 'revoke']) {
    assert.equal((await server.write(`sys/leases/${where}`, {})).status, 400, where)
  }
})
