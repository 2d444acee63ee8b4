import assert from 'node:assert/strict'
import test from 'node:test'
import { expandPath, identityExpander, type IdentityFacts } from './template.ts'

const facts: IdentityFacts = {
  entity: {
    id: 'e-1',
    name: 'anna',
    metadata: { team: 'red', 'with.dot': 'dotted' },
    aliases: [
      { mountAccessor: 'auth_a', id: 'al-1', name: 'anna@a', metadata: { ns: 'prod' }, customMetadata: { floor: '3' } },
      { mountAccessor: 'auth_b', id: 'al-2', name: 'anna@b', metadata: {}, customMetadata: {} },
    ],
  },
  groups: [
    { id: 'g-1', name: 'ops', metadata: { region: 'eu' } },
    { id: 'g-2', name: 'ops.night', metadata: {} },
  ],
}

const expand = identityExpander(facts)

test('every documented template stands for its value', () => {
  const expected: Record<string, string> = {
    'identity.entity.id': 'e-1',
    'identity.entity.name': 'anna',
    'identity.entity.metadata.team': 'red',
    'identity.entity.metadata.with.dot': 'dotted',
    'identity.entity.aliases.auth_a.id': 'al-1',
    'identity.entity.aliases.auth_b.name': 'anna@b',
    'identity.entity.aliases.auth_a.metadata.ns': 'prod',
    'identity.entity.aliases.auth_a.custom_metadata.floor': '3',
    'identity.groups.ids.g-1.name': 'ops',
    'identity.groups.names.ops.id': 'g-1',
    'identity.groups.names.ops.night.id': 'g-2',
    'identity.groups.ids.g-1.metadata.region': 'eu',
    'identity.groups.names.ops.metadata.region': 'eu',
  }
  for (const [template, value] of Object.entries(expected)) assert.equal(expand(template), value, template)
})

test('anything else stands for nothing', () => {
  const unknown = ['', 'identity', 'entity.id', 'identity.entity', 'identity.entity.', 'identity.entity.policies']
  const missing = [
    'identity.entity.metadata.none',
    'identity.entity.metadata.constructor',
    'identity.entity.aliases.auth_c.id',
  ]
  const foreign = [
    'identity.groups.ids.g-9.name',
    'identity.groups.names.dev.id',
    'identity.groups.names.ops',
    'identity.entity.aliases',
  ]
  for (const template of [...unknown, ...missing, ...foreign]) assert.equal(expand(template), undefined, template)
})

test('a path is expanded as a whole or not at all', () => {
  assert.equal(expandPath('a/{{identity.entity.id}}/{{ identity.entity.name }}*', expand), 'a/e-1/anna*')
  assert.equal(expandPath('a/{{identity.entity.id}}/{{identity.entity.nick}}', expand), undefined)
  assert.equal(expandPath('plain', expand), 'plain')
})

test('a value that would act as a wildcard, or vanish, expands to nothing', () => {
  for (const value of ['*', 'a*', '+', 'a/+', '+/a', 'a/+/b', '']) {
    assert.equal(
      expandPath('x/{{v}}/y', () => value),
      undefined,
      value,
    )
  }
  for (const value of ['a+b', 'a/b', 'anna+test@example.com']) {
    assert.equal(
      expandPath('x/{{v}}/y', () => value),
      `x/${value}/y`,
    )
  }
})
