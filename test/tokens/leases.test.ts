import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { MAX_ATTEMPTS } from '#core/leases/changes.ts'
import type { Token } from '#core/tokens/token.ts'
import { Barrier } from '#seal/barrier.ts'
import { Seal } from '#seal/seal.ts'
import { meddled, openStore, sqliteDriver } from '#test/seal/support.ts'
import { temporaryFolder } from '#test/storage/folder.ts'
import { openServices, type Services, servicesOver, settings } from './support.ts'

const mount = { accessor: 'db_1', settings }

async function lease(
  { leases }: Pick<Services, 'leases'>,
  token: Token,
  name: string,
  ttlSeconds: number,
  more = {},
): Promise<string> {
  const slot = leases.reserve({ path: `db/creds/${name}`, token, mount })
  const kept = await slot.fill({ ttlSeconds, maxTtlSeconds: 0, renewable: true, revoke: { user: name }, ...more })
  slot.release()
  return kept.leaseId
}

test('a lease is kept, looked at, listed, renewed and taken back', async () => {
  const services = await openServices()
  const { leases, make, clock, takenBack, keys } = services
  const token = await make()
  const before = await keys('lease/')
  const id = await lease(services, token, 'app', 100, { maxTtlSeconds: 250 })
  assert.match(id, /^db\/creds\/app\/[0-9A-Za-z]{24}$/)
  assert.deepEqual(await leases.list('db'), ['creds/'])
  assert.deepEqual(await leases.list('db/creds/app/'), [id.slice('db/creds/app/'.length)])
  assert.equal(await leases.count('db/'), 1)
  assert.deepEqual(await leases.lookup(id), {
    leaseId: id,
    issuedAt: clock.at,
    expiresAt: new Date(clock.at.getTime() + 100_000),
    renewedAt: undefined,
    renewable: true,
    ttlSeconds: 100,
  })
  clock.passSeconds(90)
  assert.deepEqual(await leases.renew(id, 0), { leaseId: id, ttlSeconds: 100, renewable: true, warnings: [] })
  clock.passSeconds(90)
  const cut = await leases.renew(id, 500)
  assert.equal(cut.ttlSeconds, 70)
  assert.deepEqual(cut.warnings, [
    'TTL of "8m20s" exceeded the effective max_ttl of "1m10s"; TTL value is capped accordingly',
  ])
  await leases.revoke(id)
  assert.deepEqual(takenBack, [{ leaseId: id, path: 'db/creds/app', mount: 'db_1', revoke: { user: 'app' } }])
  assert.equal(await leases.lookup(id), undefined)
  assert.deepEqual(await keys('lease/'), before)
  await leases.revoke(id)
  assert.equal(takenBack.length, 1)
})

test('ten thousand leases end in order, a bounded number in memory', async () => {
  let largest = 0
  const services = await openServices(undefined, (driver) =>
    meddled(driver, {
      list: async (prefix, page) => count(await driver.list(prefix, page)),
      scan: async (prefix, page) => count(await driver.scan(prefix, page)),
    }),
  )
  const { leases, make, clock, takenBack, keys } = services
  const token = await make({ ttlSeconds: 1_000_000 })
  const before = await keys('lease/')
  const order = Array.from({ length: 10_000 }, (_, index) => (index * 7919) % 10_000)
  for (let from = 0; from < order.length; from += 500) {
    await Promise.all(order.slice(from, from + 500).map((second) => lease(services, token, String(second), 1 + second)))
  }
  largest = 0
  clock.passSeconds(5000)
  assert.ok((await leases.round())! > clock.at.getTime())
  assert.equal(takenBack.length, 5000)
  clock.passSeconds(10_000)
  await leases.round()
  assert.deepEqual(
    takenBack.map(({ revoke }) => Number(revoke['user'])),
    order.toSorted((a, b) => a - b),
  )
  assert.ok(largest <= 200, `${largest} entries were read at once`)
  assert.deepEqual(await keys('lease/'), before)

  function count<T>(found: T[]): T[] {
    largest = Math.max(largest, found.length)
    return found
  }
})

test('a failed revocation is tried again, ever later, and at last shown instead', async () => {
  const services = await openServices()
  const { leases, make, clock, takenBack, fault } = services
  const token = await make({ ttlSeconds: 1_000_000 })
  const id = await lease(services, token, 'app', 60)
  fault.error = new Error('the database does not answer')
  clock.passSeconds(60)
  const pauses: number[] = []
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
    const next = (await leases.round())!
    const last = await leases.round()
    assert.equal(last, next, 'nothing happens before its time')
    pauses.push(next - clock.at.getTime())
    clock.at = new Date(next)
  }
  assert.deepEqual(pauses, [10_000, 20_000, 40_000, 80_000, 160_000])
  assert.deepEqual(await leases.irrevocable(), [])
  await leases.round()
  clock.passSeconds(100_000)
  await leases.round()
  assert.deepEqual(await leases.irrevocable(), [{ leaseId: id, error: 'the database does not answer' }])
  await assert.rejects(leases.revoke(id), { message: 'the database does not answer' })
  fault.error = undefined
  await leases.revoke(id)
  assert.equal(takenBack.length, 1)
  assert.deepEqual(await leases.irrevocable(), [])
})

test('force forgets what cannot be taken back', async () => {
  const services = await openServices()
  const { leases, make, fault, keys } = services
  const token = await make()
  const before = await keys('lease/')
  const names = ['a', 'b', 'c']
  const ids = await Promise.all(names.map((name) => lease(services, token, name, 60)))
  fault.error = new Error('gone')
  await assert.rejects(leases.revokePrefix('db/creds'), {
    code: 'upstream_failed',
    message: 'failed to revoke 3 leases below "db/creds/"',
  })
  for (const id of ids) await assert.rejects(leases.renew(id, 10), { message: 'lease expired' })
  await leases.revokePrefix('db', { force: true })
  assert.deepEqual(await keys('lease/'), before)
})

test('a prefix takes just what lies below it, log-in tokens too', async () => {
  const services = await openServices()
  const { leases, tokens, make, takenBack } = services
  const token = await make()
  const near = await make({ path: 'auth/approle/login' })
  const far = await make({ path: 'auth/approle2/login' })
  const [one, other] = [await lease(services, token, 'app', 60), await lease(services, token, 'app2', 60)]
  assert.deepEqual(await leases.list(''), ['auth/', 'db/'])
  assert.deepEqual(await leases.list('auth'), ['approle/', 'approle2/', 'token/'])
  assert.deepEqual(await leases.list('auth', { after: 'approle/', limit: 1 }), ['approle2/'])
  assert.deepEqual(await leases.list('auth/approle/login/'), [`h${near.id}`])
  assert.deepEqual(await leases.list('auth/app'), [])
  assert.deepEqual([await leases.count(), await leases.count('auth/'), await leases.count('db/')], [5, 3, 2])
  await leases.revokePrefix('db/creds/app')
  await leases.revokePrefix('auth/approle/')
  assert.deepEqual(
    takenBack.map(({ leaseId }) => leaseId),
    [one],
  )
  await leases.revokePrefix(other)
  assert.equal(takenBack.length, 2)
  assert.deepEqual([await tokens.lookup(near.text), (await tokens.lookup(far.text))?.id], [undefined, far.id])
})

test('what was made for a token ends with it, and goes when the worker comes', async () => {
  const services = await openServices()
  const { leases, tokens, make, takenBack, keys } = services
  const parent = await make()
  const child = await make({ parent })
  const ids = await Promise.all(Array.from({ length: 450 }, (_, index) => lease(services, child, `u${index}`, 3600)))
  const batch = await make({ type: 'batch', parent })
  ids.push(await lease(services, batch, 'batch', 3000))
  await tokens.revoke(parent)
  assert.equal(takenBack.length, 0)
  for (const id of ids.slice(0, 3)) await assert.rejects(leases.renew(id, 10), { message: 'lease expired' })
  await leases.round()
  assert.deepEqual(takenBack.map(({ leaseId }) => leaseId).toSorted(), ids.toSorted())
  assert.deepEqual(await keys('lease/'), [])
})

test('no lease is kept for a token that ended meanwhile, nor for one at its last use', async () => {
  const services = await openServices()
  const { leases, tokens, make } = services
  const token = await make()
  const slot = leases.reserve({ path: 'db/creds/app', token, mount })
  await tokens.revoke(token)
  await assert.rejects(slot.fill({ ttlSeconds: 60, maxTtlSeconds: 0, renewable: true, revoke: {} }), {
    code: 'permission_denied',
  })
  const once = await make({ numUses: 1 })
  const spent = (await tokens.use(once))!
  await assert.rejects(lease(services, spent, 'app', 60), { code: 'invalid_request', message: /one use left/ })
  assert.equal(await leases.count('db/'), 0)
})

test('a lease of a batch token ends with it, also when renewed', async () => {
  const services = await openServices()
  const { leases, make, clock, takenBack } = services
  const batch = await make({ type: 'batch', ttlSeconds: 100 })
  const id = await lease(services, batch, 'app', 500)
  assert.equal((await leases.lookup(id))!.ttlSeconds, 100)
  clock.passSeconds(40)
  assert.equal((await leases.renew(id, 500)).ttlSeconds, 60)
  clock.passSeconds(60)
  await leases.round()
  assert.equal(takenBack.length, 1)
})

test('slots are limited, and a slot given back is free again', async () => {
  const { leases, make } = await openServices()
  const token = await make()
  const slots = Array.from({ length: 10_000 }, () => leases.reserve({ path: 'a/b', token, mount }))
  assert.throws(() => leases.reserve({ path: 'a/b', token, mount }), { code: 'too_many_requests' })
  slots[0]!.release()
  slots[0]!.release()
  leases.reserve({ path: 'a/b', token, mount })
  assert.throws(() => leases.reserve({ path: 'a/b', token, mount }), { code: 'too_many_requests' })
})

test('tokens are renewed by their own paths; unknown and unrenewable leases are refused', async () => {
  const services = await openServices()
  const { leases, make } = services
  const token = await make()
  await assert.rejects(leases.renew(`auth/token/create/h${token.id}`, 10), {
    message: 'tokens cannot be renewed through this endpoint',
  })
  await assert.rejects(leases.renew('a/b', 10), { code: 'invalid_request', message: 'lease not found' })
  const fixed = await lease(services, token, 'app', 60, { renewable: false })
  await assert.rejects(leases.renew(fixed, 10), { message: 'lease is not renewable' })
  assert.equal(await leases.lookup('a/b'), undefined)
  for (const elsewhere of [`auth/x/login/h${token.id}`, `auth/token/create/${token.id}`, `h${token.id}`]) {
    assert.equal(await leases.lookup(elsewhere), undefined)
    await leases.revoke(elsewhere)
  }
  assert.ok(await services.tokens.lookup(token.text), 'only its own lease id ends a token')
  const found = await leases.lookup(`auth/token/create/h${token.id}`)
  assert.deepEqual([found?.ttlSeconds, found?.renewable], [3600, true])
})

test('a renewal and the worker at the same moment: the token lives, or is gone, but not half', async () => {
  const services = await openServices()
  const { leases, tokens, make, clock, keys } = services
  for (let round = 0; round < 20; round++) {
    const token = await make({ ttlSeconds: 10 })
    clock.passSeconds(9.999)
    const renewing = tokens.renew(token, { incrementSeconds: 0, defaultSeconds: 10, maxSeconds: 1000 })
    clock.passSeconds(0.001)
    const [renewed] = await Promise.allSettled([renewing, leases.round()])
    const found = await tokens.lookup(token.text)
    assert.equal(found !== undefined, renewed.status === 'fulfilled')
    if (found) await tokens.revoke(found)
    assert.deepEqual(await keys('lease/'), [])
  }
})

test('a lease renewed after the worker found it due, and before it came to it, is left alone', async () => {
  let meanwhile: (() => Promise<void>) | undefined
  const services = await openServices(undefined, (driver) =>
    meddled(driver, {
      get: async (key) => {
        const found = await driver.get(key)
        const act = key.startsWith('core/lease/due/') ? meanwhile : undefined
        if (act) meanwhile = undefined
        await act?.()
        return found
      },
    }),
  )
  const { leases, make, clock, takenBack } = services
  const id = await lease(services, await make(), 'app', 60)
  clock.passSeconds(60)
  meanwhile = async () => {
    clock.passSeconds(-1)
    await leases.renew(id, 60)
    clock.passSeconds(1)
  }
  await leases.round()
  assert.equal(meanwhile, undefined, 'the renewal did happen within the round')
  assert.deepEqual(takenBack, [])
  assert.ok(await leases.lookup(id))
})

test('the worker wakes by itself when something is due', async () => {
  const store = await openStore()
  const clock = { now: () => new Date() }
  const services = await servicesOver(store.driver, store.barrier, clock)
  const { leases, make, takenBack } = services
  leases.run()
  const token = await make()
  await lease(services, token, 'app', 1)
  for (let waited = 0; takenBack.length === 0 && waited < 6000; waited += 50) await setTimeout(50)
  await leases.stop()
  assert.equal(takenBack.length, 1)
})

test('a worker that cannot read the store says so, and goes on when it can', async () => {
  let broken = false
  const store = await openStore()
  const driver = meddled(store.driver, {
    list: async (prefix, page) => {
      if (broken) throw new Error('the disk is gone')
      return await store.driver.list(prefix, page)
    },
  })
  const services = await servicesOver(driver, new Barrier(driver, store.barrier.ring()), { now: () => new Date() })
  const { leases } = services
  const until = async (done: () => boolean) => {
    for (let waited = 0; !done() && waited < 8000; waited += 50) await setTimeout(50)
    assert.ok(done())
  }
  broken = true
  leases.run()
  await until(() => leases.trouble() === 'the expiry of leases failed: the disk is gone')
  broken = false
  leases.wake()
  await until(() => leases.trouble() === undefined)
  await leases.stop()
})

test('leases and tokens outlive a restart; nothing is read of what is not due', async () => {
  const folder = temporaryFolder()
  try {
    const store = await openStore(await sqliteDriver(folder.path))
    const services = await servicesOver(store.driver, store.barrier, store.clock)
    const token = await services.make({ ttlSeconds: 5000 })
    const due = await lease(services, token, 'due', 60)
    await Promise.all(Array.from({ length: 1000 }, (_, index) => lease(services, token, `later${index}`, 1000 + index)))
    await store.driver.close()

    const reads: string[] = []
    const driver = await sqliteDriver(folder.path)
    const counting = meddled(driver, {
      get: (key) => {
        reads.push(key)
        return driver.get(key)
      },
    })
    const seal = await Seal.open(counting, { type: 'shamir' }, store.clock)
    for (const share of store.shares) await seal.submitShare(share)
    const after = await servicesOver(counting, seal.barrier!, store.clock)
    store.clock.passSeconds(100)
    reads.length = 0
    await after.leases.round()
    assert.deepEqual(
      after.takenBack.map(({ leaseId }) => leaseId),
      [due],
    )
    assert.ok(reads.length < 10, reads.join('\n'))
    assert.ok(await after.tokens.lookup(token.text))
    await driver.close()
  } finally {
    folder.remove()
  }
})
