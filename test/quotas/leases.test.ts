/** Lease quotas on a real server: never one too many, never one too few, whatever happens in between. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MAX_WAIT_MS } from '#core/quotas/slots.ts'
import { before, eventually } from '#test/request/stage.ts'
import { startServer, type TestServer } from '#test/server.ts'

const quota = 'sys/quotas/lease-count'
const held = async (server: TestServer, name: string) => (await server.read(`${quota}/${name}`)).body.data.counter
const make = (server: TestServer, given: Record<string, unknown> = {}) =>
  server.write('auth/token/create', { policies: ['default'], ...given })
const tokenIn = (answer: { body: any }) => answer.body.auth.client_token as string
const end = (server: TestServer, token: string) => server.write('auth/token/revoke', { token })

async function withAppRole(server: TestServer, roles = ['web']) {
  await server.write('sys/auth/approle', { type: 'approle' })
  for (const role of roles) {
    await server.write(`auth/approle/role/${role}`, {
      role_id: role,
      bind_secret_id: false,
      secret_id_bound_cidrs: '127.0.0.0/8',
    })
  }
  return (role = 'web') => server.write('auth/approle/login', { role_id: role }, null)
}

/** A lease of a secret, as an engine makes it. */
async function leaseAt(server: TestServer, path: string) {
  const { leases, mounts, tokens } = server.node.core
  const mounted = (await mounts.find(path))!
  const token = (await tokens.lookup(server.root))!
  const slot = leases.reserve({
    path,
    token,
    mount: { accessor: mounted.entry.accessor, settings: mounted.mount.settings() },
  })
  try {
    return await slot.fill({ ttlSeconds: 3600, maxTtlSeconds: 0, renewable: true, revoke: {} })
  } finally {
    slot.release()
  }
}

test('a quota is written, read with its count, listed and deleted', async () => {
  await using server = await startServer({ secret: true })
  assert.equal((await server.list(quota)).status, 404)
  assert.equal((await server.write(`${quota}/all`, { max_leases: 1000 })).status, 204)
  assert.deepEqual((await server.read(`${quota}/all`)).body.data, {
    counter: 0,
    inheritable: true,
    max_leases: 1000,
    name: 'all',
    path: '',
    role: '',
    type: 'lease-count',
  })
  assert.equal((await server.write(`${quota}/kv`, { max_leases: 1, path: 'secret/data/*' })).status, 204)
  assert.deepEqual((await server.list(quota)).body.data.keys, ['all', 'kv'])
  const refused = await server.write(`${quota}/none`, { max_leases: 0, path: 'auth/token' })
  assert.deepEqual([refused.status, refused.body.errors], [400, ["'max_leases' is invalid"]])
  const twice = await server.write(`${quota}/other`, { max_leases: 5 })
  assert.deepEqual(twice.body.errors, ['quota rule with similar properties exists under the name "all"'])
  assert.equal((await server.delete(`${quota}/all`)).status, 204)
  assert.equal((await server.read(`${quota}/all`)).status, 404)
})

test('the next one is refused before it is made, and there is room again when one ends', async () => {
  await using server = await startServer({ secret: true })
  await server.write(`${quota}/all`, { max_leases: 2 })
  const [first, second] = [await make(server), await make(server)]
  const refused = await make(server)
  assert.equal(refused.status, 429)
  assert.deepEqual(refused.body.errors, [
    '1 error occurred:\n\t* request path "auth/token/create": lease count quota exceeded\n\n',
  ])
  assert.equal((await server.list('auth/token/accessors')).body.data.keys.length, 3)
  // What makes no lease goes on.
  assert.equal((await server.read('auth/token/lookup-self', tokenIn(first))).status, 200)
  assert.equal((await server.write('secret/data/app', { data: { v: 1 } })).status, 200)
  assert.equal((await server.read('secret/data/app')).status, 200)
  await end(server, tokenIn(second))
  assert.equal((await make(server)).status, 200)
  assert.equal((await make(server)).status, 429)
  assert.equal((await server.write(`${quota}/all`, { max_leases: 3 })).status, 204)
  assert.equal((await make(server)).status, 200)
  assert.equal(await held(server, 'all'), 3)
})

/** So many log-ins are on record, which is the step before a place is asked for. */
const arrived = (server: TestServer, count: number) =>
  eventually(async () => {
    const lines = (await server.trail()).filter(
      ({ type, request }) => type === 'request' && /login$/.test(request.path),
    )
    return lines.length >= count
  })

/** Long enough for a request that is on record to reach the handler, if nothing holds it. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 100))

test('of twenty log-ins at once with room for five, five pass, and no other even begins', async () => {
  await using server = await startServer({ workers: 1 })
  const login = await withAppRole(server)
  await server.write(`${quota}/logins`, { max_leases: 5, path: 'auth/approle' })
  const go = Promise.withResolvers<void>()
  let reached = 0
  await before(server, 'auth/approle/login', 'update', async () => {
    reached += 1
    await go.promise
  })
  const all = Promise.all(Array.from({ length: 20 }, () => login()))
  await arrived(server, 20)
  await aMoment()
  assert.equal(reached, 5)
  go.resolve()
  const answers = await all
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
  assert.equal(answers.filter(({ status }) => status === 429).length, 15)
  assert.equal(reached, 5)
  assert.equal(await held(server, 'logins'), 5)
})

test('a place held by one that fails goes at once to one that waits for it', async () => {
  await using server = await startServer({ workers: 1 })
  const login = await withAppRole(server)
  await server.write(`${quota}/logins`, { max_leases: 1, path: 'auth/approle' })
  const inside = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  let come = 0
  await before(server, 'auth/approle/login', 'update', async () => {
    come += 1
    if (come === 1) {
      inside.resolve()
      await go.promise
    }
  })
  const failing = server.write('auth/approle/login', { role_id: 'unknown' }, null)
  await inside.promise
  const waiting = login()
  await arrived(server, 2)
  await aMoment()
  assert.equal(come, 1)
  const freedAtMs = performance.now()
  go.resolve()
  assert.deepEqual([(await failing).status, (await waiting).status], [400, 200])
  assert.ok(performance.now() - freedAtMs < MAX_WAIT_MS / 2)
})

test('other threads cannot pass either: the count is judged in the transaction that makes the lease', async () => {
  await using server = await startServer()
  await server.write(`${quota}/all`, { max_leases: 10 })
  const { tokens } = server.node.core
  const spec = { policies: ['default'], path: 'auth/token/create', displayName: 'x', ttlSeconds: 3600 }
  const results = await Promise.allSettled(Array.from({ length: 50 }, () => tokens.create(spec)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 10)
  assert.equal(await held(server, 'all'), 10)
})

test('leases of secrets count, and what could not be counted in is taken back', async () => {
  await using server = await startServer({ secret: true })
  await server.write(`${quota}/creds`, { max_leases: 2, path: 'secret/creds/*' })
  const { leaseId } = await leaseAt(server, 'secret/creds/db')
  await leaseAt(server, 'secret/creds/web')
  await leaseAt(server, 'secret/data/x')
  await assert.rejects(leaseAt(server, 'secret/creds/db'), /lease count quota exceeded/)
  assert.equal(await held(server, 'creds'), 2)
  await server.write('sys/leases/revoke', { lease_id: leaseId })
  assert.equal(await held(server, 'creds'), 1)
  await server.write('sys/leases/revoke-force/secret/creds', {})
  assert.equal(await held(server, 'creds'), 0)
})

test('what is there already is counted when a quota is made, more than it allows, and while others come and go', async () => {
  await using server = await startServer({ secret: true })
  const login = await withAppRole(server)
  for (let n = 0; n < 450; n += 50) await Promise.all(Array.from({ length: 50 }, () => make(server)))
  for (let n = 0; n < 230; n += 1) await leaseAt(server, `secret/data/${n}`)
  const several = await Promise.all(Array.from({ length: 10 }, () => make(server)))
  await Promise.all([
    server.write(`${quota}/all`, { max_leases: 300 }),
    ...several.map((answer) => end(server, tokenIn(answer))),
    ...Array.from({ length: 20 }, (_, n) => leaseAt(server, `secret/more/${n}`).catch(() => {})),
    ...Array.from({ length: 20 }, () => login()),
  ])
  const real = await server.node.core.leases.count()
  assert.equal(await held(server, 'all'), real)
  assert.ok(real >= 680)
  assert.equal((await make(server)).status, 429)
  await server.write(`${quota}/kv`, { max_leases: 1000, path: 'secret/data' })
  assert.equal(await held(server, 'kv'), 0)
  await server.write(`${quota}/kv`, { max_leases: 1000, path: 'secret' })
  assert.equal(await held(server, 'kv'), await server.node.core.leases.count('secret/'))
  assert.equal((await held(server, 'all')) + (await held(server, 'kv')), await server.node.core.leases.count())
  await server.delete(`${quota}/all`)
  assert.equal((await make(server)).status, 200)
})

test('log-ins of a role count for the quota of that role, also those of before', async () => {
  await using server = await startServer()
  const login = await withAppRole(server, ['web', 'db'])
  await login('web')
  await login('db')
  await server.write(`${quota}/web`, { max_leases: 2, path: 'auth/approle', role: 'web' })
  assert.equal(await held(server, 'web'), 1)
  assert.deepEqual([(await login('web')).status, (await login('web')).status], [200, 429])
  assert.deepEqual([(await login('db')).status, (await login('db')).status], [200, 200])
})

test('batch tokens have no lease; a wrapping token counts but never keeps a secret from being wrapped', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { v: 1 } })
  await server.write(`${quota}/all`, { max_leases: 1 })
  assert.equal((await make(server, { type: 'batch' })).status, 200)
  assert.equal(await held(server, 'all'), 0)
  const wrapped = await server.send('GET', 'secret/data/app', undefined, { headers: { 'x-vault-wrap-ttl': '60' } })
  assert.equal(wrapped.status, 200)
  assert.equal(await held(server, 'all'), 1)
  assert.equal(
    (await server.send('GET', 'secret/data/app', undefined, { headers: { 'x-vault-wrap-ttl': '60' } })).status,
    200,
  )
  assert.equal((await make(server)).status, 429)
})

test('leases that expire, and trees that end with their root, leave the count', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z' })
  await server.write(`${quota}/all`, { max_leases: 5 })
  const parent = tokenIn(await server.write('auth/token/create', { policies: ['root'], ttl: '1h' }))
  for (let n = 0; n < 4; n += 1) await server.write('auth/token/create', { policies: ['default'], ttl: '1m' }, parent)
  assert.equal((await make(server)).status, 429)
  server.tick(61)
  await server.node.core.leases.round()
  assert.equal(await held(server, 'all'), 1)
  await server.write('auth/token/create', { policies: ['default'] }, parent)
  await end(server, parent)
  assert.equal(await held(server, 'all'), 0)
})

test('counts outlive the server, and a count that was cut off is finished by the next one', async () => {
  const first = await startServer({ storage: 'sqlite' })
  await Promise.all(Array.from({ length: 250 }, () => make(first)))
  await first.write(`${quota}/all`, { max_leases: 250 })
  assert.equal(await held(first, 'all'), 250)
  // As if it had been killed after the first page.
  const storage = first.node.seal.barrier!.storage('core/quota/')
  const { census } = first.node.core.quotas
  census.run = async () => {}
  await first.write(`${quota}/token`, { max_leases: 400, path: 'auth/token' })
  assert.equal(await held(first, 'token'), 0)
  assert.deepEqual(await storage.get('census'), { generation: 2, source: 0, after: '' })
  await first.stop({ keep: true })
  await using second = await startServer({ folder: first.folder! })
  await second.node.unsealWith([Buffer.from(first.unsealKey, 'base64')])
  await eventually(async () => (await held(second, 'token')) === 250)
  assert.equal(await held(second, 'all'), 0)
  const counts = await second.node.seal.barrier!.storage('core/quota/').keys('count/')
  assert.deepEqual(counts, ['count/2/all', 'count/2/token'])
})
