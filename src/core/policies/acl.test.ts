import assert from 'node:assert/strict'
import test from 'node:test'
import type { Operation } from '#sdk/engine.ts'
import { Acl } from './acl.ts'
import { parsePolicy, type Policy } from './policy.ts'
import type { AclRequest, Verdict } from './verdict.ts'

function policy(name: string, text: string): Policy {
  const result = parsePolicy(name, text)
  assert.ok(result.ok, result.ok ? '' : result.message)
  return result.policy
}

function acl(...texts: string[]): Acl {
  return Acl.compile(texts.map((text, index) => policy(`p${index}`, text)))
}

function ask(by: Acl, operation: Operation, path: string, more: Partial<AclRequest> = {}): Verdict {
  return by.check({ operation, path, body: {}, wrapTtlSeconds: undefined, ...more })
}

function allows(by: Acl, operation: Operation, path: string, more: Partial<AclRequest> = {}): boolean {
  return ask(by, operation, path, more).allowed
}

test('an empty list of policies allows nothing but help', () => {
  const none = acl()
  assert.deepEqual(none.capabilities('a'), ['deny'])
  assert.equal(allows(none, 'read', 'a'), false)
  assert.equal(allows(none, 'help', 'a'), true)
})

test('each operation needs its own capability', () => {
  const operations = ['read', 'list', 'scan', 'create', 'update', 'patch', 'delete'] as const
  for (const granted of operations) {
    const by = acl(`path "a" { capabilities = ["${granted}"] }`)
    for (const operation of operations)
      assert.equal(allows(by, operation, 'a'), operation === granted, `${granted} ${operation}`)
  }
})

test('sudo is told apart from the operation', () => {
  const by = acl(
    'path "a" { capabilities = ["read", "sudo"] }\npath "b" { capabilities = ["sudo"] }\npath "c" { capabilities = ["read"] }',
  )
  assert.deepEqual(ask(by, 'read', 'a'), { allowed: true, sudo: true, grantingPolicies: ['p0'] })
  assert.equal(ask(by, 'read', 'b').allowed, false)
  assert.equal(ask(by, 'read', 'c').sudo, false)
})

test('a listing is looked up as a level, with or without its slash', () => {
  for (const path of ['a', 'a/']) {
    for (const pattern of ['a', 'a/', 'a*', 'a/*', '+', '+/']) {
      assert.equal(
        allows(acl(`path "${pattern}" { capabilities = ["list"] }`), 'list', path),
        true,
        `${pattern} ${path}`,
      )
    }
    assert.equal(allows(acl('path "a/b" { capabilities = ["list"] }'), 'list', path), false)
  }
  assert.equal(allows(acl('path "a/" { capabilities = ["read"] }'), 'read', 'a'), false)
  assert.equal(allows(acl('path "a" { capabilities = ["read"] }'), 'read', 'a/'), false)
})

test('the longest of nested prefixes counts, also behind siblings', () => {
  const by = acl(
    ['', 'a', 'ab', 'ab/c', 'ab/c/d', 'ac', 'b']
      .map((prefix, i) => `path "${prefix}*" { capabilities = ["${i % 2 ? 'read' : 'list'}"] }`)
      .join('\n'),
  )
  const expected: Record<string, string> = {
    x: 'list',
    a: 'read',
    ad: 'read',
    ab: 'list',
    'ab/b': 'list',
    'ab/c': 'read',
    'ab/cz': 'read',
    'ab/c/d/e': 'list',
    'ab/z': 'list',
    acz: 'read',
    bz: 'list',
  }
  for (const [path, capability] of Object.entries(expected)) assert.deepEqual(by.capabilities(path), [capability], path)
})

test('which of two wildcards is more specific', () => {
  // The first of each pair wins.
  const pairs = [
    ['a/b/*', 'a/+/c', 'a/b/c'],
    ['a/+/c', 'a/+/*', 'a/b/c'],
    ['a/+/c/*', 'a/+/+/*', 'a/b/c/d'],
    ['a/b/+', 'a/+/c', 'a/b/c'],
    ['a/+/cc*', 'a/+/c*', 'a/b/ccc'],
    ['a/*', '+/b/c', 'a/b/c'],
    ['+/+/ccc/*', '+/b/+/*', 'a/b/ccc/d'],
  ] as const
  for (const [winner, loser, path] of pairs) {
    const stanzas = [`path "${winner}" { capabilities = ["read"] }`, `path "${loser}" { capabilities = ["update"] }`]
    assert.deepEqual(acl(...stanzas).capabilities(path), ['read'], `${winner} before ${loser}`)
    assert.deepEqual(acl(...stanzas.toReversed()).capabilities(path), ['read'], `${winner} before ${loser}`)
  }
})

test('a plus is one whole segment, or part of a name', () => {
  const by = acl(
    'path "a/+/b" { capabilities = ["read"] }\npath "x+y/c" { capabilities = ["list"] }\npath "z/+w" { capabilities = ["update"] }',
  )
  assert.equal(allows(by, 'read', 'a/anything/b'), true)
  for (const path of ['a/b', 'a/x/y/b', 'a/x/b/', 'a/x/bc', 'aa/x/b'])
    assert.equal(allows(by, 'read', path), false, path)
  assert.deepEqual(by.capabilities('x+y/c'), ['list'])
  assert.deepEqual(by.capabilities('xzy/c'), ['deny'])
  assert.deepEqual(by.capabilities('z/+w'), ['update'])
  assert.deepEqual(by.capabilities('z/ww'), ['deny'])
})

test('the same path in several policies adds up; deny in any of them wins', () => {
  const read = 'path "a*" { capabilities = ["read"] }'
  const list = 'path "a*" { capabilities = ["list"] }'
  const deny = 'path "a*" { capabilities = ["deny", "read"] }'
  assert.deepEqual(acl(read, list).capabilities('a'), ['list', 'read'])
  for (const order of [
    [read, list, deny],
    [deny, read],
    [read, deny, list],
  ]) {
    const by = acl(...order)
    assert.deepEqual(by.capabilities('a'), ['deny'])
    assert.deepEqual(ask(by, 'read', 'a'), {
      allowed: false,
      sudo: false,
      grantingPolicies: [],
      reason: 'a policy denies this path',
    })
  }
})

test('a more specific stanza replaces a less specific one, also to grant what that denies', () => {
  const by = acl('path "a/*" { capabilities = ["deny"] }', 'path "a/b" { capabilities = ["read"] }')
  assert.equal(allows(by, 'read', 'a/b'), true)
  assert.equal(allows(by, 'read', 'a/c'), false)
})

test('the policies that grant the operation are told, once each', () => {
  const by = acl(
    'path "a" { capabilities = ["read"] }\npath "a" { capabilities = ["read", "list"] }',
    'path "a" { capabilities = ["list"] }',
    'path "a" { capabilities = ["read"] }',
  )
  assert.deepEqual(ask(by, 'read', 'a').grantingPolicies, ['p0', 'p2'])
  assert.deepEqual(ask(by, 'list', 'a').grantingPolicies, ['p0', 'p1'])
})

test('answers are shared and cannot be changed', () => {
  const by = acl('path "a" { capabilities = ["read"] }')
  assert.equal(ask(by, 'read', 'a'), ask(by, 'read', 'a'))
  assert.throws(() => Object.assign(ask(by, 'read', 'a'), { sudo: true }), TypeError)
  assert.equal(ask(by, 'update', 'a'), ask(by, 'update', 'a'))
})

test('wrapping times: required, too short, too long, and crossed by merging', () => {
  const min = 'path "a" { capabilities = ["read"] min_wrapping_ttl = "1m" }'
  const max = 'path "a" { capabilities = ["read"] max_wrapping_ttl = "1h" }'
  const wrapped = (by: Acl, wrapTtlSeconds: number | undefined) => allows(by, 'read', 'a', { wrapTtlSeconds })
  assert.deepEqual(
    [undefined, 59, 60, 9999].map((ttl) => wrapped(acl(min), ttl)),
    [false, false, true, true],
  )
  assert.deepEqual(
    [undefined, 1, 3600, 3601].map((ttl) => wrapped(acl(max), ttl)),
    [false, true, true, false],
  )
  assert.deepEqual(
    [undefined, 59, 60, 3600, 3601].map((ttl) => wrapped(acl(min, max), ttl)),
    [false, false, true, true, false],
  )
  const lower = 'path "a" { capabilities = ["read"] max_wrapping_ttl = "30s" }'
  assert.deepEqual(
    [20, 30, 45, 60].map((ttl) => wrapped(acl(min, lower), ttl)),
    [false, false, false, false],
  )
})

test('names of parameters are compared without case, values with', () => {
  const by = acl(
    'path "a" { capabilities = ["update"] allowed_parameters = { "Name" = ["Red", "x*", "*y", "*z*", "*"] } }',
  )
  const update = (body: Record<string, unknown>) => allows(by, 'update', 'a', { body })
  for (const name of ['Red', 'xx', 'x', 'yy', 'y', 'azb', '*']) assert.equal(update({ name }), true, name)
  for (const name of ['red', 'ax', 'ya', '', 'b']) assert.equal(update({ name }), false, name)
  assert.equal(update({ NAME: 'Red' }), true)
  assert.equal(update({ other: 'Red' }), false)
  assert.equal(update({ name: 'Red', other: 'Red' }), false)
})

test('names of the object itself are no parameters', () => {
  const by = acl('path "a" { capabilities = ["update"] required_parameters = ["constructor"] }')
  assert.equal(allows(by, 'update', 'a', { body: { x: 1 } }), false)
  const allowed = acl('path "a" { capabilities = ["update"] allowed_parameters = { "x" = [] } }')
  assert.equal(allows(allowed, 'update', 'a', { body: JSON.parse('{"__proto__": 1}') }), false)
  assert.equal(allows(allowed, 'update', 'a', { body: { constructor: 1 } }), false)
})

test('numbers in policies fit no number of a request, as on a Vault server', () => {
  const by = acl('path "a" { capabilities = ["update"] allowed_parameters = { "x" = [1, true, ["b", "c*"]] } }')
  const update = (x: unknown) => allows(by, 'update', 'a', { body: { x } })
  assert.equal(update(1), false)
  assert.equal(update('1'), false)
  assert.equal(update(true), true)
  assert.equal(update(['b', 'c*']), true)
  assert.equal(update(['b', 'cc']), false)
  assert.equal(update(['b']), false)
})

test('parameters do not matter for a delete', () => {
  const by = acl('path "a" { capabilities = ["delete"] required_parameters = ["x"] denied_parameters = { "*" = [] } }')
  assert.equal(allows(by, 'delete', 'a', { body: { y: 1 } }), true)
})

test('a listing may be held to a number of entries', () => {
  const by = acl('path "a/" { capabilities = ["list", "scan"] pagination_limit = 100 }')
  const list = (limit?: unknown) => allows(by, 'list', 'a/', { body: limit === undefined ? {} : { limit } })
  for (const limit of [undefined, 1, 100, '100', 'max']) assert.equal(list(limit), true, String(limit))
  for (const limit of [101, '101', 0, -1, 'x', true, {}]) assert.equal(list(limit), false, JSON.stringify(limit))
  assert.equal(ask(by, 'scan', 'a/').paginationLimit, 100)
  const required = acl('path "a/" { capabilities = ["list"] pagination_limit = 100 required_parameters = ["limit"] }')
  assert.equal(allows(required, 'list', 'a/'), false)
  assert.equal(allows(required, 'list', 'a/', { body: { limit: 10 } }), true)
  const lower = acl(
    'path "a/" { capabilities = ["list"] pagination_limit = 100 }',
    'path "a/" { pagination_limit = 10 }',
  )
  assert.equal(ask(lower, 'list', 'a/').paginationLimit, 10)
})

test('how entries of a listing are filtered is told with listings only', () => {
  const by = acl('path "a/" { capabilities = ["list", "read"] list_scan_response_keys_filter_path = "x/{{ .key }}" }')
  assert.equal(ask(by, 'list', 'a/').keysFilterPath, 'x/{{ .key }}')
  assert.equal('keysFilterPath' in ask(by, 'read', 'a/'), false)
})

test('control groups and MFA methods of all policies come together, each factor where it applies', () => {
  const factor = (name: string, controlled: string) =>
    `factor "${name}" { ${controlled} identity { group_names = ["${name}"] approvals = 1 } }`
  const by = acl(
    `path "a" { capabilities = ["read", "update", "sudo"] mfa_methods = ["one"] control_group = { ttl = "2h"
      ${factor('update', 'controlled_capabilities = ["update"]')} ${factor('sudo', 'controlled_capabilities = ["sudo"]')} } }`,
    `path "a" { capabilities = ["list"] mfa_methods = ["two", "one"] control_group = { ttl = "1h" ${factor('all', '')} } }`,
  )
  const factors = (verdict: Verdict) => verdict.controlGroup?.factors.map(({ name }) => name)
  assert.deepEqual(factors(ask(by, 'update', 'a')), ['update', 'all'])
  assert.deepEqual(factors(ask(by, 'read', 'a')), ['all'])
  assert.deepEqual(factors(ask(by, 'read', 'a', { needsSudo: true })), ['sudo', 'all'])
  assert.equal(ask(by, 'read', 'a').controlGroup?.ttlSeconds, 3600)
  assert.deepEqual(ask(by, 'read', 'a').mfaMethods, ['one', 'two'])
  const partly = acl(
    `path "a" { capabilities = ["read", "update"] control_group = { ${factor('u', 'controlled_capabilities = ["update"]')} } }`,
  )
  assert.equal('controlGroup' in ask(partly, 'read', 'a'), false)
})

test('a template is replaced when the ACL is made, and one that stands for nothing grants nothing', () => {
  const text =
    'path "a/{{ name }}/*" { capabilities = ["read"] }\npath "{{gone}}" { capabilities = ["read"] }\npath "*" { capabilities = ["list"] }'
  const by = Acl.compile([policy('p', text)], { expand: (template) => (template === 'name' ? 'x+y/z' : undefined) })
  assert.deepEqual(by.capabilities('a/x+y/z/b'), ['read'])
  assert.deepEqual(by.capabilities('{{gone}}'), ['list'])
  assert.deepEqual(by.capabilities(''), ['list'])
})

test('a stanza that has expired denies nothing and grants nothing', () => {
  const text =
    'path "a" { capabilities = ["deny"] expiration = "2030-01-01T00:00:00Z" }\npath "*" { capabilities = ["read"] }'
  const at = (time: string) => Acl.compile([policy('p', text)], { now: new Date(time) }).capabilities('a')
  assert.deepEqual(at('2029-12-31T23:59:59Z'), ['deny'])
  assert.deepEqual(at('2030-01-01T00:00:00Z'), ['read'])
})

test('whether something at or below a mount is granted', () => {
  const reaches = (pattern: string, mount: string) =>
    acl(`path "${pattern}" { capabilities = ["read"] }`).mayReachBelow(mount)
  for (const pattern of ['kv/', 'kv', 'kv/a', 'kv/*', 'kv/a*', 'k*', '*', '+/a', 'kv/+/a', '+/*', 'kv/a/+/b']) {
    assert.equal(reaches(pattern, 'kv/'), true, pattern)
  }
  for (const pattern of ['kv1/a', 'kv1*', 'k', '+', 'other/+/a', 'a/*'])
    assert.equal(reaches(pattern, 'kv/'), pattern === '+', pattern)
  assert.equal(reaches('+/b/c', 'a/b/'), true)
  assert.equal(reaches('+/x/c', 'a/b/'), false)
  assert.equal(acl('path "kv/a" { capabilities = ["deny"] }').mayReachBelow('kv/'), false)
  assert.equal(
    acl('path "kv/*" { capabilities = ["deny"] }', 'path "kv/a" { capabilities = ["read"] }').mayReachBelow('kv/'),
    true,
  )
  assert.equal(Acl.compile([policy('root', '')]).mayReachBelow('kv/'), true)
})

test('all rules can be told', () => {
  const by = acl(
    'path "a" { capabilities = ["read"] }\npath "b/*" { capabilities = ["list"] }\npath "+/c/*" { capabilities = ["deny"] }',
  )
  assert.deepEqual(by.rules(), {
    exact: [['a', ['read']]],
    globs: [['b/', ['list']]],
    segmentWildcards: [['+/c/*', ['deny']]],
  })
})

test('a search through the rules one by one finds the same', () => {
  const random = mulberry(7)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const part = () => pick(['a', 'b', 'aa', 'ab', '+', ''])
  for (let round = 0; round < 300; round += 1) {
    const patterns = new Map<string, string>()
    for (let count = 0; count < 12; count += 1) {
      const path = Array.from({ length: 1 + Math.floor(random() * 3) }, part).join('/') + pick(['', '', '*'])
      if (!path.includes('+*') && !path.startsWith('/')) patterns.set(path, pick(['read', 'list', 'update', 'delete']))
    }
    const by = acl(
      [...patterns].map(([path, capability]) => `path "${path}" { capabilities = ["${capability}"] }`).join('\n'),
    )
    for (let count = 0; count < 50; count += 1) {
      const path = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(['a', 'b', 'aa', 'ab', 'c'])).join(
        '/',
      )
      const best = [...patterns.keys()]
        .filter((pattern) => plainlyFits(pattern, path))
        .toSorted(plainlyCompare)
        .at(-1)
      assert.deepEqual(
        by.capabilities(path),
        [best === undefined ? 'deny' : patterns.get(best)],
        `${path} ${[...patterns.keys()].join(' ')}`,
      )
    }
  }
})

/** The rules of the documentation, word by word and slowly. */
function plainlyFits(pattern: string, path: string): boolean {
  const source = pattern
    .replace(/\*$/, '')
    .split('/')
    .map((segment) => (segment === '+' ? '[^/]*' : segment))
    .join('/')
  return new RegExp(`^${source}${pattern.endsWith('*') ? '.*' : ''}$`).test(path)
}

function plainlyCompare(a: string, b: string): number {
  const first = (text: string) => text.search(/\+|\*$/)
  const exact = (text: string) => (first(text) < 0 ? 1 : 0)
  const pluses = (text: string) => text.split('/').filter((segment) => segment.replace('*', '') === '+').length
  const steps = [
    exact(a) - exact(b),
    first(a) - first(b),
    Number(b.endsWith('*')) - Number(a.endsWith('*')),
    pluses(b) - pluses(a),
    a.length - b.length,
  ]
  return steps.find((step) => step !== 0) ?? (a < b ? -1 : 1)
}

function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
