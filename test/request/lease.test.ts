/** What was made and cannot be handed over is taken back. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { startServer, type TestServer } from '#test/server.ts'
import { hold } from '#test/request/stage.ts'

async function withAppRole(): Promise<{
  server: TestServer
  login: (headers?: Record<string, string>) => Promise<any>
}> {
  const server = await startServer()
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1/32' })
  const { role_id } = (await server.read('auth/approle/role/web/role-id')).body.data
  return {
    server,
    login: (headers = {}) => server.send('POST', 'auth/approle/login', { role_id }, { token: null, headers }),
  }
}

const tokens = async (server: TestServer) => (await server.list('auth/token/accessors')).body.data.keys

test('a log-in whose reply cannot be wrapped leaves no token', async () => {
  const { server, login } = await withAppRole()
  await using _ = server
  const before = await tokens(server)
  server.node.core.wrapping.wrap = () => Promise.reject(new ApiError('storage_failed', 'the disk is full'))
  assert.equal((await login({ 'x-vault-wrap-ttl': '60' })).status, 500)
  assert.deepEqual(await tokens(server), before)
})

test('a log-in, or a new token, whose reply cannot be recorded leaves no token, wrapped or not', async () => {
  const { server, login } = await withAppRole()
  await using _ = server
  const { audit } = server.node.core
  const record = audit.record.bind(audit)
  const before = await tokens(server)
  audit.record = async (event) =>
    event.type === 'response' && /login|create/.test(event.request.path)
      ? Promise.reject(new ApiError('audit_failed', 'the request could not be audited'))
      : record(event)
  for (const headers of [{}, { 'x-vault-wrap-ttl': '60' }]) {
    for (const answer of [await login(headers), await server.send('POST', 'auth/token/create', {}, { headers })]) {
      assert.equal(answer.status, 500)
      assert.doesNotMatch(answer.text, /hvs\./)
    }
  }
  assert.deepEqual(await tokens(server), before)
  assert.deepEqual(await server.node.seal.barrier!.storage('core/wrapping/').keys(''), [])
})

test('a renewal whose reply cannot be recorded ends neither token nor lease', async () => {
  await using server = await startServer({ secret: true })
  const { audit, leases, mounts } = server.node.core
  const mounted = (await mounts.find('secret/'))!
  const token = (await server.node.core.tokens.lookup(server.root))!
  const mount = { accessor: mounted.entry.accessor, settings: mounted.mount.settings() }
  const slot = leases.reserve({ path: 'secret/creds', token, mount })
  const { leaseId } = await slot.fill({ ttlSeconds: 60, maxTtlSeconds: 600, renewable: true, revoke: {} })
  slot.release()
  const renewing = await server.login(['default'])
  const byAnother = await server.login(['default'])
  const record = audit.record.bind(audit)
  audit.record = async (event) =>
    event.type === 'response' && event.request.path.includes('renew')
      ? Promise.reject(new ApiError('audit_failed', 'the request could not be audited'))
      : record(event)
  assert.equal((await server.write('sys/leases/renew', { lease_id: leaseId })).status, 500)
  assert.equal((await server.write('auth/token/renew-self', {}, renewing)).status, 500)
  assert.equal((await server.write('auth/token/renew', { token: byAnother })).status, 500)
  assert.equal((await server.write('sys/leases/lookup', { lease_id: leaseId })).status, 200)
  for (const token of [renewing, byAnother])
    assert.equal((await server.read('auth/token/lookup-self', token)).status, 200)
})

test('a credential for a token that ended meanwhile is not handed over, and one that stays behind is told of', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { v: 1 } })
  const mounted = (await server.node.core.mounts.find('secret/'))!
  const taken: unknown[] = []
  let fails = false
  mounted.engine = {
    ...mounted.engine,
    revokeLease: async ({ revoke }) => {
      if (fails) throw new Error('the database is down')
      taken.push(revoke)
    },
  }
  for (const failing of [false, true]) {
    fails = failing
    const token = await server.login(['root'])
    const { paths } = mounted
    const find = paths.find.bind(paths)
    const held = await hold(server, 'secret/data/app', 'read')
    const withHold = paths.find.bind(paths)
    paths.find = (rest, listing) => {
      const match = withHold(rest, listing)!
      const { read } = match.path.operations
      const handle = async (call: Parameters<NonNullable<typeof read>['handle']>[0]) => ({
        ...(await read!.handle(call)),
        lease: { ttlSeconds: 60, maxTtlSeconds: 60, renewable: false, revoke: { user: 'made-up' } },
      })
      return { ...match, path: { ...match.path, operations: { read: { ...read!, handle } } } }
    }
    const reading = server.read('secret/data/app', token)
    await held.reached
    await server.write('auth/token/revoke', { token })
    held.release()
    const answer = await reading
    assert.equal(answer.status, failing ? 500 : 403)
    assert.equal(answer.body.data, undefined)
    paths.find = find
  }
  assert.deepEqual(taken, [{ user: 'made-up' }])
  const reasons = (await server.trail()).map(({ reason }) => reason ?? '')
  assert.ok(reasons.some((reason: string) => /was made, could not be tracked .* and not be taken back/.test(reason)))
})
