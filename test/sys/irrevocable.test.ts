/** Leases that cannot be taken back are told, and no others. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from '#test/server.ts'

test('leases that were given up are listed and counted by mount', async () => {
  await using server = await startServer({ secret: true, at: '2026-01-01T00:00:00Z' })
  const { leases, mounts, tokens } = server.node.core
  const mounted = (await mounts.at('secret', 'secret'))!
  mounted.engine.revokeLease = () => Promise.reject(new Error('the database does not answer'))
  const token = (await tokens.lookup(server.root))!
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  const ids: string[] = []
  for (const ttlSeconds of [60, 60, 3_000_000]) {
    const slot = leases.reserve({ path: 'secret/creds', token, mount })
    ids.push((await slot.fill({ ttlSeconds, maxTtlSeconds: ttlSeconds, renewable: false, revoke: {} })).leaseId)
    slot.release()
  }
  const where = 'sys/leases?type=irrevocable'
  assert.deepEqual((await server.read(where)).body.data, { lease_count: 0, leases: [] })
  for (let round = 0; round < 12; round++) {
    server.tick(100_000)
    await leases.round()
  }
  const all = (await server.read(where)).body
  assert.equal(all.warnings, null)
  assert.equal(all.data.lease_count, 2)
  assert.deepEqual(
    new Set(all.data.leases.map((each: any) => JSON.stringify(each))),
    new Set(
      ids
        .slice(0, 2)
        .map((lease_id) =>
          JSON.stringify({ lease_id, mount_id: mounted.entry.accessor, error: 'the database does not answer' }),
        ),
    ),
  )
  const some = (await server.read(`${where}&limit=1`)).body
  assert.equal(some.data.leases.length, 1)
  assert.equal(some.warnings.length, 1)
  assert.equal((await server.read(`${where}&limit=none`)).body.data.lease_count, 2)
  const counts = (await server.read('sys/leases/count?type=irrevocable')).body.data
  assert.deepEqual(counts, { counts: { [mounted.entry.accessor]: 2 }, lease_count: 2 })
  assert.equal((await server.read(`${where}&limit=0`)).status, 400)
  for (const other of ['sys/leases', 'sys/leases?type=all', 'sys/leases/count']) {
    assert.equal((await server.read(other)).status, 404)
  }
  await server.write('sys/policies/acl/reader', { policy: 'path "sys/leases" { capabilities = ["read"] }' })
  assert.equal((await server.read(where, await server.login(['reader']))).status, 403)
})
