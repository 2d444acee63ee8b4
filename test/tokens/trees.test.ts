import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Token } from '#core/tokens/token.ts'
import { Seal } from '#seal/seal.ts'
import { meddled, openStore, sqliteDriver } from '#test/seal/support.ts'
import { temporaryFolder } from '#test/storage/folder.ts'
import { holdingDriver, openServices, type Services, servicesOver } from './support.ts'

async function chain({ make }: Services, parent: Token, length: number): Promise<Token[]> {
  const made: Token[] = []
  for (let i = 0; i < length; i++) made.push(await make({ parent: made.at(-1) ?? parent }))
  return made
}

async function family(services: Services, parent: Token, children: number): Promise<Token[]> {
  return await Promise.all(Array.from({ length: children }, () => services.make({ parent })))
}

async function alive({ tokens }: Services, made: readonly Token[]): Promise<number> {
  const found = await Promise.all(made.map(async ({ text }) => tokens.lookup(text)))
  return found.filter((token) => token !== undefined).length
}

test('a tree of a thousand children and a chain of fifty end with their root, and leave nothing', async () => {
  const services = await openServices()
  const { tokens, make, keys, ended } = services
  const before = await keys('')
  const root = await make()
  const children = await family(services, root, 1000)
  const below = await chain(services, children[7]!, 50)
  const all = [...children, ...below]
  assert.equal(await alive(services, all), 1050)
  await tokens.revoke(root)
  assert.equal(await alive(services, [root, ...all]), 0)
  assert.equal(await tokens.lookupByAccessor(below[49]!.accessor), undefined)
  assert.deepEqual(await keys(''), before)
  assert.deepEqual(ended.toSorted(), [root, ...all].map(({ cubbyhole }) => cubbyhole).toSorted())
})

test('descendants are refused from the first commit of a revocation on', async () => {
  let commits = Infinity
  const services = await openServices(undefined, (driver) =>
    meddled(driver, {
      transact: async (change) => {
        if (commits-- <= 0) throw new Error('the power is out')
        return await driver.transact(change)
      },
    }),
  )
  const { tokens, make, keys } = services
  await make({ type: 'batch' })
  const before = await keys('')
  const root = await make()
  const children = await family(services, root, 250)
  const below = await chain(services, children[3]!, 5)
  const batch = await make({ type: 'batch', parent: below[4]! })
  const all = [root, ...children, ...below, batch]
  for (commits = 1; ; commits = 1) {
    const first = (await keys('token/id/')).length === 256
    if (first) await assert.rejects(tokens.revoke(root), { message: 'the power is out' })
    assert.equal(await alive(services, all), 0)
    for (const { accessor } of [root, below[4]!]) assert.equal(await tokens.lookupByAccessor(accessor), undefined)
    const mark = (await keys('token/gone/')).length
    if (mark === 0) break
    commits = 1
    await tokens.resume().catch((error: unknown) => assert.equal((error as Error).message, 'the power is out'))
  }
  assert.deepEqual(await keys(''), before)
})

test('a child asked for while its parent ends is not made, or ends too', async () => {
  const services = await openServices()
  const { tokens, make, keys } = services
  for (let round = 0; round < 20; round++) {
    const parent = await make()
    const [made] = await Promise.allSettled([make({ parent }), tokens.revoke(parent), make({ parent })])
    if (made.status === 'fulfilled') assert.equal(await tokens.lookup(made.value.text), undefined)
    else assert.equal((made.reason as { code: string }).code, 'permission_denied')
  }
  assert.deepEqual(await keys('token/'), ['token/salt'])
})

test('a child whose making began before its parent ended, and ends after, is not made', async () => {
  const held = holdingDriver()
  const services = await openServices(undefined, held.wrap)
  const { tokens, make, keys } = services
  const parent = await make()
  held.holdNext()
  const making = make({ parent })
  const refused = assert.rejects(making, { code: 'permission_denied' })
  await held.held
  await tokens.revoke(parent)
  held.release()
  await refused
  await assert.rejects(make({ parent }), { code: 'permission_denied' })
  assert.deepEqual(await keys('token/'), ['token/salt'])
})

test('a child made while its parent is revoked as an orphan lives on too', async () => {
  const held = holdingDriver()
  const services = await openServices(undefined, held.wrap)
  const { tokens, make } = services
  const parent = await make()
  // With no child to free, the first transaction is the one that ends the parent.
  held.holdNext()
  const revoking = tokens.revokeOrphan(parent)
  await held.held
  const child = await make({ parent })
  held.release()
  await revoking
  assert.equal(await tokens.lookup(parent.text), undefined)
  assert.equal((await tokens.lookup(child.text))?.entry.parent, undefined)
  assert.ok(await tokens.lookup(child.text))
})

test('a child does not outlive a parent that merely ran out, and its remains go when the worker comes', async () => {
  const services = await openServices()
  const { tokens, leases, clock, make, keys } = services
  const parent = await make({ ttlSeconds: 60 })
  const child = await make({ parent, ttlSeconds: 3600 })
  clock.passSeconds(60)
  assert.equal(await tokens.lookup(child.text), undefined)
  await leases.round()
  assert.deepEqual(await keys('token/'), ['token/salt'])
  assert.deepEqual(await keys('lease/'), [])
})

test('revoke-orphan ends one token and lets those below it live on', async () => {
  const services = await openServices()
  const { tokens, make, ended } = services
  const grandparent = await make()
  const parent = await make({ parent: grandparent })
  const children = await family(services, parent, 230)
  const grandchild = await make({ parent: children[0]! })
  await tokens.revokeOrphan(parent)
  assert.equal(await tokens.lookup(parent.text), undefined)
  assert.deepEqual(ended, [parent.id])
  assert.equal(await alive(services, [...children, grandchild]), 231)
  assert.equal((await tokens.lookup(children[0]!.text))!.entry.parent, undefined)
  await tokens.revoke(grandparent)
  assert.equal(await alive(services, children), 230)
  await tokens.revoke((await tokens.lookup(children[0]!.text))!)
  assert.equal(await alive(services, [grandchild]), 0)
})

test('orphans live on when the token that made them ends; to end twice is no error', async () => {
  const { tokens, make } = await openServices()
  const maker = await make()
  const orphan = await make()
  await tokens.revoke(maker)
  await tokens.revoke(maker)
  assert.ok(await tokens.lookup(orphan.text))
})

test('no token has more generations above it than a lookup walks', async () => {
  const services = await openServices()
  const root = await services.make()
  const deepest = await chain(services, root, 256)
  assert.ok(await services.tokens.lookup(deepest.at(-1)!.text))
  await assert.rejects(services.make({ parent: deepest.at(-1)! }), { code: 'invalid_request' })
})

test('tidy finishes what was cut off and removes what points nowhere', async () => {
  const services = await openServices()
  const { tokens, leases, barrier, make, keys } = services
  const storage = barrier.storage('core/')
  const kept = await make({ parent: await make() })
  const before = await keys('')
  await storage.put('token/child/nobody/noone', {})
  await storage.put(`token/child/nobody2/${kept.id}x`, {})
  await storage.put('lease/due/01700000000000/sabc', { lease: 'x/y' })
  await storage.put('lease/due/01700000000000/tnobody', {})
  await storage.put('lease/owner/nobody/abc', { lease: 'x/y' })
  await tokens.tidy()
  await leases.tidy()
  assert.deepEqual(await keys(''), before)
  assert.ok(await tokens.lookup(kept.text))
})

test('a server killed within the revocation of a tree leaves no descendant that can be used, and finishes later', async () => {
  const folder = temporaryFolder()
  try {
    const store = await openStore(await sqliteDriver(folder.path))
    const services = await servicesOver(store.driver, store.barrier, store.clock)
    const before = await services.keys('')
    const root = await services.make()
    const children = await family(services, root, 400)
    const below = (await Promise.all(children.slice(0, 60).map((child) => chain(services, child, 3)))).flat()
    const all = [root, ...children, ...below]
    await store.driver.close()

    const shares = store.shares.map((share) => Buffer.from(share).toString('hex'))
    const script = fileURLToPath(new URL('revoke-slowly.ts', import.meta.url))
    const child = spawn(process.execPath, [script, folder.path, shares[0]!, root.text], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    // It tells of each commit; it dies in the middle of the work.
    for await (const line of createInterface({ input: child.stdout })) if (line === 'commit 4') child.kill('SIGKILL')
    assert.equal((await exited)[1], 'SIGKILL')

    const driver = await sqliteDriver(folder.path)
    const seal = await Seal.open(driver, { type: 'shamir' }, store.clock)
    for (const share of store.shares) await seal.submitShare(share)
    const after = await servicesOver(driver, seal.barrier!, store.clock)
    const left = (await after.keys('token/id/')).length
    assert.ok(left > 0 && left < all.length, `${left} of ${all.length} entries are left`)
    assert.equal(await alive(after, all), 0)
    for (const { accessor } of all) assert.equal(await after.tokens.lookupByAccessor(accessor), undefined)
    await after.leases.round()
    assert.deepEqual(await after.keys(''), before)
    await driver.close()
  } finally {
    folder.remove()
  }
})
