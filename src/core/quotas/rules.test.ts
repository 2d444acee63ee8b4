import assert from 'node:assert/strict'
import test from 'node:test'
import { Exemptions, RuleTable, type Scope } from './rules.ts'

const rule = (name: string, given: Partial<Scope>): Scope => ({
  name,
  mount: '',
  uuid: given.mount ?? '',
  suffix: '',
  role: '',
  inheritable: false,
  ...given,
})

const kv = 'secret/'
const approle = 'auth/approle/'
const table = new RuleTable([
  rule('all', {}),
  rule('kv', { mount: kv }),
  rule('app', { mount: kv, suffix: 'data/app' }),
  rule('apps', { mount: kv, suffix: 'data/app*' }),
  rule('data', { mount: kv, suffix: 'data/*' }),
  rule('logins', { mount: approle, suffix: 'login' }),
  rule('web', { mount: approle, role: 'web' }),
])
const find = (mount: string | undefined, path: string, role?: string) =>
  table.find(mount === undefined ? undefined : { route: mount, uuid: mount }, path, role)?.name

test('the most specific rule speaks: role, path, longest beginning, mount, everything', () => {
  assert.equal(find(kv, 'secret/data/app'), 'app')
  assert.equal(find(kv, 'secret/data/app/'), 'app')
  assert.equal(find(kv, 'secret/data/apple'), 'apps')
  assert.equal(find(kv, 'secret/data/x'), 'data')
  assert.equal(find(kv, 'secret/metadata/app'), 'kv')
  assert.equal(find(approle, 'auth/approle/login', 'web'), 'web')
  assert.equal(find(approle, 'auth/approle/login', 'other'), 'logins')
  assert.equal(find(approle, 'auth/approle/role/web'), 'all')
  assert.equal(find('other/', 'other/data/app'), 'all')
  assert.equal(find(undefined, 'nothing/here'), 'all')
})

test('another mount at the same place, or one of its beginning, is not meant', () => {
  assert.equal(table.find({ route: kv, uuid: 'new' }, 'secret/data/app', undefined)?.name, 'all')
  assert.equal(table.findByPath('secret/data/app', undefined)?.name, 'app')
  assert.equal(table.findByPath('secrets/data/app', undefined)?.name, 'all')
  assert.equal(table.findByPath('auth/approle/login', 'web')?.name, 'web')
})

test('of exemptions the longest beginning counts, and an exclamation mark takes it back', () => {
  const exempt = new Exemptions(['sys/', '!sys/mounts', 'sys/mounts/secret', '/kv/open'])
  assert.ok(exempt.has('sys/health'))
  assert.ok(!exempt.has('sys/mounts'))
  assert.ok(exempt.has('sys/mounts/secret/tune'))
  assert.ok(exempt.has('kv/open/a'))
  assert.ok(!exempt.has('kv/closed'))
  assert.ok(!new Exemptions([]).has('sys/health'))
})

test('an exemption ends at a slash: what only begins like it, and is nobody, is limited', () => {
  const exempt = new Exemptions(['sys/health', 'sys/generate-root/attempt', 'kv/', 'open/app*'])
  for (const path of ['sys/health', 'sys/health/', 'sys/health/x', 'kv/', 'kv/a', 'open/app', 'open/app/x']) {
    assert.ok(exempt.has(path), path)
  }
  for (const path of ['sys/healthz', 'sys/health-', 'sys/generate-root/attempts', 'kv', 'kvx', 'open/apple', '']) {
    assert.ok(!exempt.has(path), path)
  }
  // The longest beginning alone is asked.
  assert.ok(!new Exemptions(['sys/', 'sys/health']).has('sys/healthz'))
})
