import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergePatch } from './merge.ts'

// RFC 7396, appendix A: the cases whose target and patch are both objects.
const cases: [target: string, patch: string, result: string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
]

test('objects are merged as the examples of RFC 7396 say', () => {
  for (const [target, patch, result] of cases) {
    assert.equal(JSON.stringify(mergePatch(JSON.parse(target), JSON.parse(patch))), result, `${target} + ${patch}`)
  }
})

test('a patch changes neither the target nor any prototype', () => {
  const target = JSON.parse('{"a":{"b":1}}')
  const merged = mergePatch(
    target,
    JSON.parse('{"a":{"__proto__":{"polluted":true}},"__proto__":{"x":1},"constructor":2}'),
  )
  assert.equal(JSON.stringify(target), '{"a":{"b":1}}')
  assert.equal(
    JSON.stringify(merged),
    '{"a":{"b":1,"__proto__":{"polluted":true}},"__proto__":{"x":1},"constructor":2}',
  )
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  assert.equal(Object.getPrototypeOf(merged), Object.prototype)
})
