import assert from 'node:assert/strict'
import test from 'node:test'
import { capabilityBits, capabilityNames } from './capability.ts'
import { parsePolicy, type PathRule } from './policy.ts'

function pathsOf(text: string): readonly PathRule[] {
  const result = parsePolicy('test', text)
  assert.ok(result.ok, result.ok ? '' : result.message)
  return result.policy.paths
}

function pathOf(stanza: string): PathRule {
  return pathsOf(`path "a" {\n${stanza}\n}`)[0]!
}

function refused(text: string, message: string): void {
  assert.deepEqual(parsePolicy('test', text), { ok: false, message: `failed to parse policy: ${message}` })
}

test('HCL and JSON of one policy are the same policy', () => {
  const hcl = 'path "a" { capabilities = ["read"] }\npath "b/*" { capabilities = ["list", "sudo"] }'
  const forms = [
    '{"path": {"a": {"capabilities": ["read"]}, "b/*": {"capabilities": ["list", "sudo"]}}}',
    '{"path": [{"a": {"capabilities": ["read"]}}, {"b/*": {"capabilities": ["list", "sudo"]}}]}',
    '{"path": {"a": [{"capabilities": ["read"]}], "b/*": {"capabilities": ["list", "sudo"]}}}',
  ]
  for (const form of forms) assert.deepEqual(pathsOf(form), pathsOf(hcl))
})

test('a policy without paths is a policy', () => {
  for (const text of ['', '# nothing', '{}', 'name = "x"']) assert.deepEqual(pathsOf(text), [])
})

test('a slash at the start of a path is dropped, whatever else there is stays', () => {
  const text = '/a +/b/* /+ c+ * d/'
  const paths = pathsOf(
    text
      .split(' ')
      .map((path) => `path "${path}" { capabilities = ["read"] }`)
      .join('\n'),
  )
  assert.deepEqual(
    paths.map(({ path }) => path),
    ['a', '+/b/*', '+', 'c+', '*', 'd/'],
  )
})

test('every capability is known, and deny leaves no other', () => {
  const names = Object.keys(capabilityBits).filter((name) => name !== 'deny')
  assert.deepEqual(capabilityNames(pathOf(`capabilities = ${JSON.stringify(names)}`).capabilities), names.toSorted())
  const denied = pathOf('capabilities = ["read", "deny"]\nrequired_parameters = ["x"]\nmin_wrapping_ttl = 1')
  assert.deepEqual(capabilityNames(denied.capabilities), ['deny'])
  assert.deepEqual(denied.required, [])
  assert.equal(denied.minWrapTtlSeconds, 0)
})

test('the old short forms stand for capabilities', () => {
  const meaning = (policy: string) => capabilityNames(pathOf(`policy = "${policy}"`).capabilities)
  assert.deepEqual(meaning('deny'), ['deny'])
  assert.deepEqual(meaning('read'), ['list', 'read'])
  assert.deepEqual(meaning('write'), ['create', 'delete', 'list', 'read', 'update'])
  assert.deepEqual(meaning('sudo'), ['create', 'delete', 'list', 'read', 'sudo', 'update'])
  const both = pathOf('policy = "read"\ncapabilities = ["patch"]')
  assert.deepEqual(capabilityNames(both.capabilities), ['list', 'patch', 'read'])
  refused('path "a" { policy = "nope" }', 'path "a": invalid policy "nope"')
  refused('path "a" { policy = "constructor" }', 'path "a": invalid policy "constructor"')
})

test('parameters: names in lower case, values as they are, repeated names together', () => {
  const rule = pathOf(`
    allowed_parameters = { "Name" = ["x", 1, true], "*" = [] }
    denied_parameters { "a" = ["1"] "A" = ["2"] }
    required_parameters = ["Size", "color"]`)
  assert.deepEqual(
    [...rule.allowed!],
    [
      ['name', ['x', 1, true]],
      ['*', []],
    ],
  )
  assert.deepEqual([...rule.denied!], [['a', ['1', '2']]])
  assert.deepEqual(rule.required, ['size', 'color'])
  assert.equal(pathOf('allowed_parameters = {}').allowed, undefined)
})

test('times for wrapping: numbers, texts with units, and their order', () => {
  const rule = pathOf('min_wrapping_ttl = "1m30s"\nmax_wrapping_ttl = 3600')
  assert.equal(rule.minWrapTtlSeconds, 90)
  assert.equal(rule.maxWrapTtlSeconds, 3600)
  refused(
    'path "a" {\n min_wrapping_ttl = 10\n max_wrapping_ttl = 9\n}',
    'max_wrapping_ttl cannot be less than min_wrapping_ttl',
  )
  refused('path "a" { min_wrapping_ttl = "x" }', 'error parsing min_wrapping_ttl: time: invalid duration "x"')
  refused('path "a" { max_wrapping_ttl = "-1s" }', 'error parsing max_wrapping_ttl: time: invalid duration "-1s"')
})

test('the rest of a stanza is kept', () => {
  const rule = pathOf(`
    comment = "why"
    capabilities = ["list"]
    mfa_methods = ["one", "two"]
    pagination_limit = 100
    list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}"
    subscribe_event_types = ["*"]
    expiration = "2030-01-31T12:00:00+01:00"`)
  assert.deepEqual(rule.mfaMethods, ['one', 'two'])
  assert.equal(rule.paginationLimit, 100)
  assert.equal(rule.keysFilterPath, '{{ .path }}{{ .key }}')
  assert.deepEqual(rule.subscribeEventTypes, ['*'])
  assert.deepEqual(rule.expiresAt, new Date('2030-01-31T11:00:00Z'))
  refused(
    'path "a" { expiration = "soon" }',
    'path "a": At 1:12: root.expiration: expected a time such as 2030-01-31T12:00:00Z',
  )
})

test('a control group is kept with its factors', () => {
  const text = `path "a" {
    capabilities = ["read", "update"]
    control_group = {
      ttl = "4h"
      factor "leads" {
        controlled_capabilities = ["update"]
        identity { group_names = ["leads"] group_ids = ["g-1"] approvals = 2 self_authorization = true ttl = "5d" }
      }
      factor "ops" { identity { group_names = ["ops"] approvals = 1 } }
    }
  }`
  const expected = {
    ttlSeconds: 4 * 3600,
    factors: [
      {
        name: 'leads',
        controlledCapabilities: capabilityBits.update,
        groupIds: ['g-1'],
        groupNames: ['leads'],
        approvals: 2,
        selfAuthorization: true,
        ttlSeconds: 5 * 86_400,
      },
      {
        name: 'ops',
        controlledCapabilities: 0,
        groupIds: [],
        groupNames: ['ops'],
        approvals: 1,
        selfAuthorization: false,
        ttlSeconds: 0,
      },
    ],
  }
  assert.deepEqual(pathsOf(text)[0]?.controlGroup, expected)
  const json = `{"path": {"a": {"capabilities": ["read", "update"], "control_group": {"ttl": "4h", "factor": {
    "leads": {"controlled_capabilities": ["update"], "identity": {"group_names": ["leads"], "group_ids": ["g-1"],
      "approvals": 2, "self_authorization": true, "ttl": "5d"}},
    "ops": {"identity": [{"group_names": ["ops"], "approvals": 1}]}}}}}}`
  assert.deepEqual(pathsOf(json)[0]?.controlGroup, expected)
})

test('a control group that nobody could satisfy, or that guards nothing, is refused', () => {
  const group = (inner: string) => `path "a" { capabilities = ["read"] control_group = { ${inner} } }`
  const where = 'path "a": control_group: '
  refused(group(''), `${where}no factors are given`)
  refused(group('factor { identity {} }'), `${where}a factor needs a name and a block`)
  refused(group('factor = 1'), `${where}a factor needs a name and a block`)
  refused(group('factor "f" { identity = 1 }'), `${where}factor "f": identity must be a block`)
  refused(group('factor "f" {}'), `${where}factor "f": exactly one identity block is needed`)
  refused(group('factor "f" { identity { approvals = 1 } }'), `${where}factor "f": no groups are given`)
  refused(group('factor "f" { identity { group_ids = ["g"] } }'), `${where}factor "f": approvals must be at least 1`)
  refused(
    group('factor "f" { controlled_capabilities = ["list"] identity { group_ids = ["g"] approvals = 1 } }'),
    `${where}factor "f": controlled capability "list" is not granted by the path`,
  )
  refused(group('x = 1'), `1 error occurred:\n\t* ${where}invalid key "x" on line 1\n\n`)
})

test('unknown keys are all told, each with its line', () => {
  refused(
    'path "/" {\n  capabilities = ["read"]\n  capabilites = ["read"]\n}',
    '1 error occurred:\n\t* path "/": invalid key "capabilites" on line 3\n\n',
  )
  refused(
    'path "a" {\n  max_ttl = 1\n  min_ttl = 2\n}',
    '2 errors occurred:\n\t* path "a": invalid key "max_ttl" on line 2\n\t* path "a": invalid key "min_ttl" on line 3\n\n',
  )
  refused('pth "a" {}', '1 error occurred:\n\t* invalid key "pth" on line 1\n\n')
  refused('{\n"paths": {}\n}', '1 error occurred:\n\t* invalid key "paths" on line 2\n\n')
})

test('values of the wrong kind are refused, never guessed', () => {
  const where = 'path "a": At 1:12: root.'
  refused('path "a" { capabilities = "read" }', `${where}capabilities: expected a list of strings`)
  refused('path "a" { capabilities = [["read"]] }', `${where}capabilities: expected a list of strings`)
  refused('path "a" { capabilities = ["Read"] }', 'path "a": invalid capability "Read"')
  refused('path "a" { policy = ["read"] }', `${where}policy: expected a string`)
  refused('path "a" { allowed_parameters = ["x"] }', `${where}allowed_parameters: expected an object`)
  refused(
    'path "a" { denied_parameters = { x = "y" } }',
    'path "a": root.denied_parameters.x: expected a list of values',
  )
  refused('path "a" { pagination_limit = "many" }', `${where}pagination_limit: expected a whole number`)
  refused('path = "a"', 'path "path": At 1:1: expected an object')
  refused('{"path": ["a"]}', 'path "path": At 1:2: expected an object')
  refused('{"path": {"a": "read"}}', 'path "path": At 1:11: expected an object')
})

test('an attribute given twice is refused: one of the two would be lost', () => {
  refused(
    'path "a" {\n  capabilities = ["read"]\n  capabilities = ["deny"]\n}',
    'path "a": The argument "capabilities" at 3:3 was already set. Each argument can only be defined once',
  )
})

test('text that is no HCL is refused with the place', () => {
  refused('path "a" {\n  capabilities = [read]\n}', 'At 2:19: Unknown token: 2:19 IDENT read')
  refused('path "a" {', 'At 1:11: object expected closing RBRACE got: EOF')
})

test('templates must be closed', () => {
  refused(
    'path "a/{{identity.entity.id" { capabilities = ["read"] }',
    'failed to validate policy templating: unbalanced templating characters',
  )
  for (const path of ['a/{{b}}/{{c}}', '{{x}}']) assert.equal(pathsOf(`path "${path}" {}`)[0]?.templated, true)
  for (const path of ['a}}', '{{a}}b}}', '{{a{{b}}', '{{a}}}}']) {
    assert.equal(parsePolicy('test', `path "${path}" {}`).ok, false, path)
  }
})

test('a plus before a star is refused wherever it stands', () => {
  for (const path of ['+*', 'a/+*', 'a/b+*', 'a/+*/b']) {
    refused(
      `path "${path}" { capabilities = ["read"] }`,
      `path "${path}": invalid use of wildcards ('+*' is forbidden)`,
    )
  }
})
