/**
 * What a reference server of the Vault API answered to generated policies, and that we answer the same.
 *
 * `acl.json.gz`: policies with the capabilities of paths, and policies it refused. `acl-parameters.json.gz`: policies with
 * conditions on parameters; writes to one path of a KV version 1 mount in order, with their statuses, and one read.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Acl } from '#core/policies/acl.ts'
import { parsePolicy, type Policy } from '#core/policies/policy.ts'

interface AclData {
  refused: { text: string; message: string }[]
  cases: { policies: string[]; paths: Record<string, string> }[]
}

type ParameterData = { policies: string[]; path: string; writes: [Record<string, unknown>, number][]; read: number }[]

function load(name: string): unknown {
  return JSON.parse(gunzipSync(readFileSync(new URL(`../data/${name}`, import.meta.url))).toString('utf8'))
}

function parsed(text: string, index: number): Policy {
  const result = parsePolicy(`policy-${index}`, text)
  assert.ok(result.ok, result.ok ? '' : result.message)
  return result.policy
}

const { refused, cases } = load('acl.json.gz') as AclData

test('every policy the reference refuses is refused with its text', () => {
  for (const { text, message } of refused) {
    assert.deepEqual(parsePolicy('name', text), { ok: false, message })
  }
  assert.equal(refused.length, 80)
})

test('every path has the capabilities that the reference gives it', () => {
  let answers = 0
  for (const { policies, paths } of cases) {
    const acl = Acl.compile(policies.map(parsed))
    for (const [path, capabilities] of Object.entries(paths)) {
      assert.equal(acl.capabilities(path).join(' '), capabilities, `${path}\n${policies.join('\n')}`)
      answers += 1
    }
  }
  assert.equal(answers, 16_779)
})

test('policies in another order mean the same', () => {
  for (const { policies, paths } of cases.slice(0, 200)) {
    const acl = Acl.compile(policies.map(parsed).toReversed())
    for (const [path, capabilities] of Object.entries(paths))
      assert.equal(acl.capabilities(path).join(' '), capabilities)
  }
})

test('what capabilities tell is what checks do', () => {
  for (const { policies, paths } of cases.slice(0, 200)) {
    const acl = Acl.compile(policies.map(parsed))
    for (const [path, capabilities] of Object.entries(paths)) {
      const request = { path, body: {}, wrapTtlSeconds: undefined }
      // Paths that end in a slash are told as levels, which only listings are.
      const operations = path.endsWith('/')
        ? (['list', 'scan'] as const)
        : (['read', 'update', 'delete', 'patch'] as const)
      for (const operation of operations) {
        const { allowed } = acl.check({ ...request, operation })
        assert.equal(
          allowed,
          capabilities.split(' ').includes(operation),
          `${operation} ${path}\n${policies.join('\n')}`,
        )
      }
    }
  }
})

test('every request with parameters is allowed or refused as by the reference', () => {
  let answers = 0
  let exists = false
  for (const { policies, path, writes, read } of load('acl-parameters.json.gz') as ParameterData) {
    const acl = Acl.compile(policies.map(parsed))
    for (const [body, status] of writes) {
      const operation = exists ? 'update' : 'create'
      const { allowed, reason } = acl.check({ operation, path, body, wrapTtlSeconds: undefined })
      // The engine behind it wants at least one parameter.
      const expected = Object.keys(body).length === 0 ? 400 : 204
      assert.equal(allowed ? expected : 403, status, `${JSON.stringify(body)} (${reason})\n${policies.join('\n')}`)
      exists ||= status === 204
      answers += 1
    }
    const { allowed } = acl.check({ operation: 'read', path, body: {}, wrapTtlSeconds: undefined })
    assert.equal(allowed ? (exists ? 200 : 404) : 403, read, policies.join('\n'))
    answers += 1
  }
  assert.equal(answers, 4719)
})
