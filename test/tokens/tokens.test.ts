import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authBlock } from '#core/tokens/auth.ts'
import { allowedFrom } from '#core/tokens/token.ts'
import type { Driver } from '#sdk/storage.ts'
import { meddled } from '#test/seal/support.ts'
import { openServices, settings } from './support.ts'

test('a service token is found by itself and by its accessor, and is nowhere in the store', async () => {
  const { tokens, keys, make, barrier } = await openServices()
  const made = await make({ metadata: { who: 'me' } })
  assert.match(made.text, /^hvs\.[0-9A-Za-z]{24}$/)
  assert.match(made.accessor, /^[0-9A-Za-z]{24}$/)
  const found = await tokens.lookup(made.text)
  assert.deepEqual(found?.entry, made.entry)
  assert.equal(await tokens.lookup(made.text), found, 'the same object while nothing changed')
  const byAccessor = await tokens.lookupByAccessor(made.accessor)
  assert.equal(byAccessor?.id, made.id)
  assert.equal(byAccessor?.text, '')
  for (const key of await keys('')) {
    const value = JSON.stringify(await barrier.storage('core/').get(key))
    assert.ok(!`${key}${value}`.includes(made.text.slice(4)), key)
  }
})

test('what is no token of this server is none', async () => {
  const { tokens, make } = await openServices()
  const { tokens: strangers, make: makeThere } = await openServices()
  const mine = await make()
  const theirs = await makeThere()
  const theirBatch = await makeThere({ type: 'batch' })
  assert.ok(await strangers.lookup(theirBatch.text))
  const changed = `${mine.text.slice(0, -1)}${mine.text.endsWith('a') ? 'b' : 'a'}`
  for (const text of [
    '',
    'x',
    'hvs.',
    'hvb.',
    'hvb.AAAA',
    theirs.text,
    theirBatch.text,
    changed,
    mine.accessor,
    'h'.repeat(9000),
  ]) {
    assert.equal(await tokens.lookup(text), undefined, text.slice(0, 40))
  }
  for (const accessor of ['', theirs.accessor, `${mine.id}x`, '../id/x', 'a'.repeat(24), 'a'.repeat(100)]) {
    assert.equal(await tokens.lookupByAccessor(accessor), undefined)
  }
})

test('a token is refused from the very millisecond it ends, though the worker has not been there', async () => {
  const { tokens, clock, make } = await openServices()
  const service = await make({ ttlSeconds: 60 })
  const batch = await make({ ttlSeconds: 60, type: 'batch' })
  clock.passSeconds(59.999)
  for (const token of [service, batch]) assert.ok(await tokens.lookup(token.text))
  clock.passSeconds(0.001)
  for (const token of [service, batch]) assert.equal(await tokens.lookup(token.text), undefined)
  assert.equal(await tokens.lookupByAccessor(service.accessor), undefined)
})

test('a batch token is nothing in the store, and ends with its parent', async () => {
  const { tokens, make, keys } = await openServices()
  const parent = await make()
  await make({ type: 'batch' })
  const before = (await keys('')).length
  const batch = await make({ type: 'batch', parent, metadata: { a: 'b' }, boundCidrs: ['10.0.0.0/8'], entityId: 'e' })
  const orphan = await make({ type: 'batch' })
  assert.equal((await keys('')).length, before)
  assert.ok(batch.text.startsWith('hvb.'))
  const found = await tokens.lookup(batch.text)
  assert.deepEqual(found?.entry, batch.entry)
  assert.equal(found?.cubbyhole, '')
  assert.equal(await tokens.lookup(batch.text), found)
  assert.equal(authBlock(found!).accessor, '')
  assert.equal(authBlock(found!).renewable, false)
  await assert.rejects(tokens.renew(found!, { incrementSeconds: 0, defaultSeconds: 60, maxSeconds: 60 }), {
    message: 'batch tokens cannot be renewed',
  })
  await assert.rejects(tokens.revoke(found!), { message: 'batch tokens cannot be revoked' })
  await tokens.revoke(parent)
  assert.equal(await tokens.lookup(batch.text), undefined)
  assert.ok(await tokens.lookup(orphan.text))
})

test('a batch token with one bit turned is refused', async () => {
  const { tokens, make } = await openServices()
  const { text } = await make({ type: 'batch' })
  const bytes = Buffer.from(text.slice(4), 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const turned = Buffer.from(bytes)
    turned[at]! ^= 1
    assert.equal(await tokens.lookup(`hvb.${turned.toString('base64url')}`), undefined, `byte ${at}`)
  }
  assert.ok(await tokens.lookup(text))
})

test('a batch token has one text: others that would be read as the same bytes are refused', async () => {
  const { tokens, make } = await openServices()
  const spare = (text: string) => (text.length - 'hvb.'.length) % 4
  // One whose last letter has bits to spare, which are zero.
  let text = ''
  for (let length = 0; text === '' || spare(text) === 0; length++) {
    text = (await make({ type: 'batch', metadata: { pad: 'x'.repeat(length) } })).text
  }
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const next = letters[letters.indexOf(text.at(-1)!) + 1]!
  const middle = text.length / 2
  for (const other of [
    `${text}=`,
    `${text}!`,
    `${text.slice(0, middle)} ${text.slice(middle)}`,
    text.slice(0, -1) + next,
  ]) {
    assert.equal(await tokens.lookup(other), undefined, other.slice(-4))
  }
  assert.ok(await tokens.lookup(text))
})

test('batch tokens of yesterday still open after the key changed', async () => {
  const { tokens, make, clock, keys } = await openServices()
  const old = await make({ type: 'batch', ttlSeconds: 300_000 })
  clock.passSeconds(90_000)
  const fresh = await make({ type: 'batch', ttlSeconds: 300_000 })
  assert.equal((await keys('token/batch/')).length, 2)
  tokens.forget()
  await tokens.prepare()
  for (const { text } of [old, fresh]) assert.ok(await tokens.lookup(text))
})

test('of twenty requests with a token good for one, one passes', async () => {
  const meeting = meetingDriver(20)
  const { tokens, make } = await openServices(undefined, meeting.wrap)
  const made = await make({ numUses: 1 })
  const found = (await tokens.lookup(made.text))!
  assert.equal(found.numUses, 1)
  meeting.begin()
  const used = await Promise.all(Array.from({ length: 20 }, () => tokens.use(found)))
  const passed = used.filter((token) => token !== undefined)
  assert.equal(passed.length, 1)
  assert.equal(passed[0]!.spent, true)
  assert.equal(passed[0]!.auditAuth, found.auditAuth)
  assert.equal(passed[0]!.auditAuth.remaining_uses, 1)
  assert.equal(await tokens.lookup(made.text), undefined)
  assert.ok(await tokens.lookup(made.text, { spent: true }), 'the request that took it can still see its token')
  await tokens.finish(passed[0]!)
  assert.equal(await tokens.lookup(made.text, { spent: true }), undefined)
})

test('of twenty requests with a token good for seven, seven pass', async () => {
  const meeting = meetingDriver(20)
  const { tokens, make } = await openServices(undefined, meeting.wrap)
  const made = await make({ numUses: 7 })
  const found = (await tokens.lookup(made.text))!
  meeting.begin()
  const used = await Promise.all(Array.from({ length: 20 }, () => tokens.use(found)))
  assert.equal(used.filter((token) => token !== undefined).length, 7)
  assert.equal(used.filter((token) => token?.spent).length, 1)
})

test('a token whose last use was taken goes away by itself if nobody finishes it', async () => {
  const { tokens, leases, clock, make, keys } = await openServices()
  const made = await make({ numUses: 1 })
  await tokens.use(made)
  clock.passSeconds(61)
  await leases.round()
  assert.equal(await tokens.lookup(made.text, { spent: true }), undefined)
  assert.deepEqual(await keys('lease/'), [])
  assert.deepEqual(await keys('token/'), ['token/salt'])
})

test('a renewal counts from now, ends with the max, and tells when it is cut', async () => {
  const { tokens, clock, make } = await openServices()
  const limits = { incrementSeconds: 0, defaultSeconds: 100, maxSeconds: 1000 }
  let token = await make({ ttlSeconds: 400 })
  clock.passSeconds(300)
  const renewed = await tokens.renew(token, limits)
  assert.deepEqual([renewed.seconds, renewed.warnings], [400, []])
  clock.passSeconds(399)
  token = (await tokens.lookup(token.text))!
  assert.ok(token)
  const cut = await tokens.renew(token, { ...limits, incrementSeconds: 900 })
  assert.deepEqual(cut.warnings, [
    'TTL of "15m" exceeded the effective max_ttl of "5m1s"; TTL value is capped accordingly',
  ])
  assert.equal(cut.seconds, 301)
  clock.passSeconds(301)
  assert.equal(await tokens.lookup(token.text), undefined)
  await assert.rejects(tokens.renew(token, limits), { code: 'invalid_request', message: 'lease expired' })
  await tokens.revokeByIds([token.id])
  await assert.rejects(tokens.renew(token, limits), { code: 'invalid_request', message: 'token not found' })
})

test('a periodic token lives on past every max, but not past its explicit one', async () => {
  const { tokens, clock, make } = await openServices()
  const limits = { incrementSeconds: 5000, defaultSeconds: 100, maxSeconds: 1000 }
  const endless = await make({ ttlSeconds: 600, periodSeconds: 600 })
  const ending = await make({ ttlSeconds: 600, periodSeconds: 600, explicitMaxTtlSeconds: 900 })
  for (let round = 0; round < 10; round++) {
    clock.passSeconds(500)
    assert.equal((await tokens.renew(endless, limits)).seconds, 600)
    if (round === 0) assert.equal((await tokens.renew(ending, limits)).seconds, 400)
  }
  assert.ok(await tokens.lookup(endless.text))
  assert.equal(await tokens.lookup(ending.text), undefined)
})

test('tokens that are not renewable or never end are not renewed', async () => {
  const { tokens, make } = await openServices()
  const limits = { incrementSeconds: 5, defaultSeconds: 100, maxSeconds: 1000 }
  for (const spec of [{ renewable: false }, { policies: ['root'], ttlSeconds: 0 }]) {
    await assert.rejects(tokens.renew(await make(spec), limits), { message: 'lease is not renewable' })
  }
})

test('only a root token may be made without an end', async () => {
  const { make } = await openServices()
  await assert.rejects(make({ ttlSeconds: 0 }), { code: 'internal' })
})

test('an explicit id is taken once, and after its end once more, with nothing left of the first', async () => {
  const { tokens, make } = await openServices()
  const first = await make({ id: 'my-id' })
  const child = await make({ parent: first })
  await assert.rejects(make({ id: 'my-id' }), { code: 'invalid_request' })
  await tokens.revoke(first)
  const second = await make({ id: 'my-id' })
  assert.ok(await tokens.lookup('my-id'))
  assert.notEqual(second.cubbyhole, first.cubbyhole)
  assert.equal(await tokens.lookup(child.text), undefined)
  for (const id of ['hvs.mine', 's.mine', 'a.b', 'x'.repeat(300)])
    await assert.rejects(make({ id }), { code: 'invalid_request' })
})

test('an explicit id waits until nothing hangs on the token that had it before', async () => {
  const { tokens, make, keys, ended } = await openServices()
  let broken = true
  tokens.onRevoke(async () => {
    if (broken) throw new Error('the cubbyhole cannot be reached')
  })
  const first = await make({ id: 'my-id' })
  const child = await make({ parent: first })
  await assert.rejects(tokens.revoke(first), { message: 'the cubbyhole cannot be reached' })
  for (const { text } of [first, child]) assert.equal(await tokens.lookup(text), undefined)
  await assert.rejects(make({ id: 'my-id' }), { message: 'the cubbyhole cannot be reached' })
  broken = false
  const second = await make({ id: 'my-id' })
  await tokens.resume()
  assert.ok(await tokens.lookup('my-id'))
  assert.deepEqual(await keys('token/'), [`token/id/${second.id}`, 'token/salt'])
  assert.ok(ended.includes(first.cubbyhole) && ended.includes(child.cubbyhole))
})

test('a log-in makes what the grant says, within what the mount allows', async () => {
  const { tokens } = await openServices()
  const grant = {
    displayName: 'mara',
    policies: ['Web', 'web ', ''],
    metadata: { username: 'mara' },
    ttlSeconds: 3600,
    maxTtlSeconds: 1800,
    periodSeconds: 0,
    explicitMaxTtlSeconds: 0,
    numUses: 0,
    renewable: true,
    tokenType: 'default' as const,
    boundCidrs: ['10.0.0.0/8'],
    internal: { role: 'x' },
  }
  const mount = { path: 'auth/userpass/', accessor: 'auth_userpass_1', settings }
  const { token, text, warnings } = await tokens.login({
    grant,
    path: 'auth/userpass/login/mara',
    mount,
    entityId: 'e1',
  })
  assert.deepEqual(warnings, ['TTL of "1h" exceeded the effective max_ttl of "30m"; TTL value is capped accordingly'])
  assert.deepEqual(authBlock(token, { text }), {
    client_token: text,
    accessor: token.accessor,
    policies: ['default', 'web'],
    token_policies: ['default', 'web'],
    metadata: { username: 'mara' },
    lease_duration: 1800,
    renewable: true,
    entity_id: 'e1',
    token_type: 'service',
    orphan: true,
    mfa_requirement: null,
    num_uses: 0,
  })
  assert.equal(token.displayName, 'userpass-mara')
  assert.deepEqual([allowedFrom(token, '10.1.2.3'), allowedFrom(token, '11.1.2.3')], [true, false])
  const nameless = await tokens.login({
    grant: { ...grant, displayName: '', noDefaultPolicy: true, policies: [] },
    path: 'auth/a/b/login',
    mount: { ...mount, path: 'auth/a/b/' },
  })
  assert.equal(nameless.token.displayName, 'a-b')
  assert.deepEqual(nameless.token.policies, [])
  await assert.rejects(tokens.login({ grant: { ...grant, policies: ['root'] }, path: 'p', mount }), {
    message: 'auth methods cannot create root tokens',
  })
  const batch = await tokens.login({ grant, path: 'p', mount, mountTokenType: 'batch' })
  assert.equal(batch.token.type, 'batch')
  const asked = await tokens.login({
    grant: { ...grant, tokenType: 'batch' },
    path: 'p',
    mount,
    mountTokenType: 'default-service',
  })
  assert.equal(asked.token.type, 'batch')
})

test('a log-in is one transaction of two entries', async () => {
  const written: string[][] = []
  const { make } = await openServices(undefined, (driver) => {
    driver.onCommit(({ keys }) => written.push([...keys]))
    return driver
  })
  written.length = 0
  const { accessor } = await make({ path: 'auth/approle/login' })
  assert.equal(written.length, 1)
  assert.deepEqual(written[0]!.toSorted(), [`core/lease/due/01767229200000/t${accessor}`, `core/token/id/${accessor}`])
})

test('nothing is answered before prepare and after forget', async () => {
  const { tokens, make } = await openServices()
  const service = await make()
  const batch = await make({ type: 'batch' })
  for (const { text } of [service, batch]) assert.ok(await tokens.lookup(text))
  tokens.forget()
  for (const { text } of [service, batch]) await assert.rejects(async () => tokens.lookup(text), { code: 'sealed' })
  await assert.rejects(tokens.lookupByAccessor(service.accessor), { code: 'sealed' })
  await assert.rejects(make(), { code: 'sealed' })
  await tokens.prepare()
  for (const { text } of [service, batch]) assert.ok(await tokens.lookup(text))
})

/** From `begin` on, holds the first `count` transactions at their end until all have read what they want to change. */
function meetingDriver(count: number): { wrap: (driver: Driver) => Driver; begin: () => void } {
  let waiting = 0
  let begun = false
  let open: () => void
  const all = new Promise<void>((resolve) => (open = resolve))
  return {
    begin: () => (begun = true),
    wrap: (driver) =>
      meddled(driver, {
        transact: (change) =>
          driver.transact(async (transaction) => {
            const result = await change(transaction)
            if (begun && ++waiting <= count) {
              if (waiting === count) open()
              await all
            }
            return result
          }),
      }),
  }
}
