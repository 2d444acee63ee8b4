/** Policies behind a real barrier. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { identityExpander, type TemplateSubject } from '#core/policies/template.ts'
import { Policies } from '#core/policies/store.ts'
import type { Storage } from '#sdk/storage.ts'
import { openStore } from '#test/seal/support.ts'

async function start() {
  const { barrier, clock, driver } = await openStore()
  const storage = barrier.storage('core/policy/')
  const policies = new Policies(storage, { clock })
  await policies.setup()
  return { barrier, clock, driver, storage, policies }
}

function refusedWith(message: string) {
  return { name: 'ApiError', code: 'invalid_request', message }
}

const readSecret = 'path "secret/a" { capabilities = ["read"] }'
const deleteSecret = 'path "secret/a" { capabilities = ["delete"] }'

function subject(id: string, name: string): TemplateSubject {
  const facts = { entity: { id, name, metadata: {}, aliases: [] }, groups: [] }
  return { key: id, expand: identityExpander(facts) }
}

test('a policy comes back as it was written, under its name in lower case', async () => {
  const { policies } = await start()
  await policies.put('Dev', readSecret)
  const stored = await policies.get('DEV')
  assert.equal(stored?.text, readSecret)
  assert.equal(stored?.name, 'dev')
  assert.equal(stored?.version, 1)
  assert.equal(stored?.cas_required, false)
  assert.equal(stored?.modified, '2026-01-01T00:00:00.000Z')
  assert.equal('expiration' in stored!, false)
  await policies.put('dev', deleteSecret)
  assert.equal((await policies.get('dev'))?.version, 2)
  assert.equal(await policies.get('other'), undefined)
})

test('names are listed in order with root at the end, and system policies are not among them', async () => {
  const { policies } = await start()
  for (const name of ['zeta', 'Alpha', 'team/a', 'team/b']) await policies.put(name, readSecret)
  assert.deepEqual(await policies.list(), ['alpha', 'default', 'team/a', 'team/b', 'zeta', 'root'])
  assert.deepEqual(await policies.list({}, 'team/'), ['a', 'b'])
  assert.deepEqual(await policies.list({ limit: 2 }), ['alpha', 'default'])
  assert.deepEqual(await policies.list({ after: 'team/b', limit: 5 }), ['zeta', 'root'])
  assert.deepEqual(await policies.list({ after: 'root' }), [])
})

test('only the root namespace has a root policy', async () => {
  const { storage } = await start()
  const inner = new Policies(storage.below('inner/'), { hasRoot: false })
  await inner.setup()
  assert.deepEqual(await inner.list(), ['default'])
  assert.equal(await inner.get('root'), undefined)
  assert.equal((await inner.acl(['root'])).root, false)
  await assert.rejects(inner.put('root', readSecret), refusedWith('cannot update "root" policy'))
})

test('built-in policies cannot be changed, and the default one not deleted', async () => {
  const { policies } = await start()
  for (const name of ['root', 'Root', 'response-wrapping', 'control-group']) {
    const told = name.toLowerCase()
    await assert.rejects(policies.put(name, readSecret), refusedWith(`cannot update "${told}" policy`))
    await assert.rejects(policies.delete(name), refusedWith(`cannot delete "${told}" policy`))
  }
  await assert.rejects(policies.delete('default'), refusedWith('cannot delete default policy'))
  assert.deepEqual(await policies.get('root'), { name: 'root', text: '', version: 0, cas_required: false })
})

test('a name or text that cannot be is refused and changes nothing', async () => {
  const { policies } = await start()
  await policies.put('dev', readSecret)
  await assert.rejects(
    policies.put('dev', 'path "a" { capabilities = ["write"] }'),
    refusedWith('failed to parse policy: path "a": invalid capability "write"'),
  )
  assert.equal((await policies.get('dev'))?.text, readSecret)
  await assert.rejects(policies.put('', readSecret), refusedWith('policy name missing'))
  for (const name of ['a//b', '/a', 'a/', 'a\0b', 'a'.repeat(256)]) {
    await assert.rejects(policies.put(name, readSecret), refusedWith('invalid policy name'))
    assert.equal(await policies.get(name), undefined)
    await policies.delete(name)
  }
  await assert.rejects(policies.put('big', `# ${'x'.repeat(1024 * 1024)}`), refusedWith('policy is too large'))
})

test('an edited default policy survives the next start', async () => {
  const { policies, storage } = await start()
  await policies.put('default', readSecret)
  await new Policies(storage).setup()
  assert.equal((await policies.get('default'))?.text, readSecret)
})

test('the default policy grants what every token needs and no more', async () => {
  const { policies } = await start()
  const acl = await policies.acl(['default'], subject('e-1', 'anna'))
  assert.deepEqual(acl.capabilities('auth/token/lookup-self'), ['read'])
  assert.deepEqual(acl.capabilities('auth/token/renew-self'), ['update'])
  assert.deepEqual(acl.capabilities('auth/token/revoke-self'), ['update'])
  assert.deepEqual(acl.capabilities('cubbyhole/a/b'), ['create', 'delete', 'list', 'read', 'scan', 'update'])
  assert.deepEqual(acl.capabilities('identity/entity/id/e-1'), ['read'])
  assert.deepEqual(acl.capabilities('identity/entity/name/anna'), ['read'])
  assert.deepEqual(acl.capabilities('identity/oidc/provider/any/authorize'), ['read', 'update'])
  for (const path of [
    'identity/entity/id/e-2',
    'auth/token/create',
    'sys/mounts',
    'secret/a',
    'cubbyhole',
    'sys/raw/a',
  ]) {
    assert.deepEqual(acl.capabilities(path), ['deny'], path)
  }
})

test('system policies open their one door', async () => {
  const { policies } = await start()
  const acl = await policies.acl(['response-wrapping'])
  assert.deepEqual(acl.capabilities('sys/wrapping/unwrap'), ['update'])
  assert.deepEqual(acl.capabilities('cubbyhole/response'), ['create', 'read'])
  assert.deepEqual(acl.capabilities('sys/wrapping/wrap'), ['deny'])
  assert.deepEqual((await policies.acl(['control-group'])).capabilities('cubbyhole/control-group'), [
    'create',
    'read',
    'update',
  ])
})

test('root allows everything, also among others', async () => {
  const { policies } = await start()
  const acl = await policies.acl(['default', 'root'])
  const verdict = acl.check({ operation: 'delete', path: 'any', body: {}, wrapTtlSeconds: undefined })
  assert.deepEqual(verdict, { allowed: true, sudo: true, grantingPolicies: ['root'] })
  assert.deepEqual(acl.capabilities('any'), ['root'])
})

test('the same names give the same ACL until a policy changes, and then at once another', async () => {
  const { policies } = await start()
  await policies.put('dev', readSecret)
  const first = await policies.acl(['default', 'dev'])
  assert.equal(await policies.acl(['default', 'dev']), first)
  assert.deepEqual(first.capabilities('secret/a'), ['read'])
  await policies.put('dev', deleteSecret)
  assert.deepEqual((await policies.acl(['default', 'dev'])).capabilities('secret/a'), ['delete'])
  await policies.delete('dev')
  assert.deepEqual((await policies.acl(['default', 'dev'])).capabilities('secret/a'), ['deny'])
  await policies.put('dev', readSecret)
  assert.deepEqual((await policies.acl(['default', 'dev'])).capabilities('secret/a'), ['read'])
})

test('a change made by another worker counts from the next call on', async () => {
  const { policies, storage } = await start()
  const elsewhere = new Policies(storage)
  await policies.put('dev', readSecret)
  assert.deepEqual((await elsewhere.acl(['dev'])).capabilities('secret/a'), ['read'])
  await policies.put('dev', deleteSecret)
  assert.deepEqual((await elsewhere.acl(['dev'])).capabilities('secret/a'), ['delete'])
  await policies.delete('dev')
  assert.deepEqual((await elsewhere.acl(['dev'])).capabilities('secret/a'), ['deny'])
})

test('an answer that was under way when a policy changed is not given again', async () => {
  const { storage, clock } = await start()
  const held = holding(storage)
  const policies = new Policies(held.storage, { clock })
  await policies.put('a', readSecret)
  await policies.put('b', readSecret)
  await policies.acl(['a', 'b'])
  // The first call has read `a`; while it waits for `b`, `a` is taken away and asked for again.
  held.hold('b')
  const early = policies.acl(['a', 'b'])
  await held.reached
  await policies.put('a', deleteSecret)
  held.release()
  await early
  const [one, other] = await Promise.all([policies.acl(['a', 'b']), policies.acl(['b', 'a'])])
  assert.deepEqual(one.capabilities('secret/a'), ['delete', 'read'])
  assert.deepEqual(other.capabilities('secret/a'), ['delete', 'read'])
})

test('a policy with templates is another one for each subject, and nothing without one', async () => {
  const { policies } = await start()
  await policies.put('own', 'path "secret/{{identity.entity.name}}/*" { capabilities = ["read"] }')
  const anna = subject('e-1', 'anna')
  const acl = await policies.acl(['own'], anna)
  assert.equal(await policies.acl(['own'], subject('e-1', 'anna')), acl)
  assert.deepEqual(acl.capabilities('secret/anna/a'), ['read'])
  assert.deepEqual(acl.capabilities('secret/bert/a'), ['deny'])
  assert.deepEqual((await policies.acl(['own'], subject('e-2', 'bert'))).capabilities('secret/anna/a'), ['deny'])
  const without = await policies.acl(['own'])
  assert.deepEqual(without.capabilities('secret/anna/a'), ['deny'])
  assert.deepEqual(without.capabilities('secret/{{identity.entity.name}}/a'), ['deny'])
})

test('a policy ends when it expires, and its last listing with it', async () => {
  const { policies, clock, storage } = await start()
  const expiresAt = new Date(clock.now().getTime() + 60_000)
  await policies.put('brief', readSecret, { expiresAt })
  assert.equal((await policies.get('brief'))?.expiration, '2026-01-01T00:01:00.000Z')
  assert.deepEqual((await policies.acl(['brief'])).capabilities('secret/a'), ['read'])
  clock.passSeconds(59)
  assert.deepEqual((await policies.acl(['brief'])).capabilities('secret/a'), ['read'])
  await policies.tidy()
  clock.passSeconds(1)
  assert.deepEqual((await policies.acl(['brief'])).capabilities('secret/a'), ['deny'])
  assert.equal(await policies.get('brief'), undefined)
  assert.deepEqual(await policies.list(), ['default', 'root'])
  assert.deepEqual(await storage.keys(''), ['brief', 'default'])
  await policies.tidy()
  assert.deepEqual(await storage.keys(''), ['default'])
  await assert.rejects(policies.put('late', readSecret, { expiresAt }), refusedWith('expiration time is in the past'))
})

test('a path in a policy ends when it expires, and the others stay', async () => {
  const { policies, clock } = await start()
  await policies.put(
    'dev',
    `path "secret/a" { capabilities = ["read"] expiration = "2026-01-01T00:01:00Z" }
    path "secret/b" { capabilities = ["read"] }`,
  )
  assert.deepEqual((await policies.acl(['dev'])).capabilities('secret/a'), ['read'])
  clock.passSeconds(60)
  const acl = await policies.acl(['dev'])
  assert.deepEqual(acl.capabilities('secret/a'), ['deny'])
  assert.deepEqual(acl.capabilities('secret/b'), ['read'])
})

test('a write may name the version it replaces, and must when that was asked for', async () => {
  const { policies } = await start()
  const required = refusedWith('check-and-set parameter required for this call')
  const other = refusedWith('check-and-set parameter did not match the current version')
  await assert.rejects(policies.put('dev', readSecret, { casRequired: true }), required)
  await assert.rejects(policies.put('dev', readSecret, { cas: 1 }), other)
  await policies.put('dev', readSecret, { cas: -1, casRequired: true })
  await assert.rejects(policies.put('dev', readSecret), required)
  await assert.rejects(policies.put('dev', readSecret, { cas: -1 }), other)
  await policies.put('dev', deleteSecret, { cas: 1 })
  assert.equal((await policies.get('dev'))?.version, 2)
  await policies.put('dev', readSecret)
})

test('of two writes over the same version one wins', async () => {
  const { policies } = await start()
  await policies.put('dev', readSecret)
  const writes = [readSecret, deleteSecret].map((text) => policies.put('dev', text, { cas: 1 }))
  const results = await Promise.allSettled(writes)
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  assert.equal((await policies.get('dev'))?.version, 2)
})

test('a stored policy that cannot be read refuses the request instead of being left out', async () => {
  const { policies, storage } = await start()
  await storage.put('odd', {
    text: 'path "secret/a" {',
    version: 1,
    modified: '2026-01-01T00:00:00Z',
    cas_required: false,
  })
  await assert.rejects(policies.acl(['default', 'odd']), { name: 'ApiError', code: 'internal' })
})

test('a sealed store gives no ACL', async () => {
  const { policies, barrier } = await start()
  await policies.acl(['default'])
  barrier.seal()
  await assert.rejects(policies.acl(['default']), { name: 'ApiError', code: 'sealed' })
})

/** Storage whose getShared of one key waits until it is let go. */
function holding(storage: Storage) {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let heldKey: string | undefined
  const held: Storage = {
    moment: () => storage.moment(),
    get: (key) => storage.get(key),
    getShared: async (key) => {
      if (key === heldKey) {
        heldKey = undefined
        reached.resolve()
        await released.promise
      }
      return await storage.getShared(key)
    },
    list: (prefix, page) => storage.list(prefix, page),
    keys: (prefix, page) => storage.keys(prefix, page),
    update: (key, change) => storage.update(key, change),
    put: (key, value) => storage.put(key, value),
    delete: (key) => storage.delete(key),
    transact: (change) => storage.transact(change),
    below: (prefix) => storage.below(prefix),
  }
  return {
    storage: held,
    reached: reached.promise,
    release: () => released.resolve(),
    hold: (key: string) => (heldKey = key),
  }
}
