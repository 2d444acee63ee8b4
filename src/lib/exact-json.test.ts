import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exactOf, plainData, restoreExact } from './exact-json.ts'

function throughStorage(text: string): { kept: object; restored: string } {
  const exact = exactOf(JSON.parse(text), text)
  const kept = JSON.parse(JSON.stringify(exact))
  return { kept, restored: JSON.stringify(restoreExact(kept)) }
}

test('numbers that JavaScript would print differently come back as they were written', () => {
  for (const text of [
    '{"a":1.50}',
    '{"a":12345678901234567890}',
    '{"a":{"b":[1,2.0,{"c":1e400}]}}',
    '{"a":-0}',
    '{"a":1E3,"b":0.10}',
  ]) {
    const { kept, restored } = throughStorage(text)
    assert.ok('text' in kept, text)
    assert.equal(restored, text)
  }
})

test('an object without such numbers is kept as plain data', () => {
  for (const text of [
    '{"a":1.5,"b":-3,"c":0.1}',
    '{"a":"1.50"}',
    '{"__proto__":{"x":1}}',
    '{}',
    '{"a":1e21}'.replace('1e21', '1e+21'),
  ]) {
    const { kept, restored } = throughStorage(text)
    assert.ok('data' in kept, text)
    assert.equal(restored, text)
  }
})

test('of a name given twice the last value counts, in both forms', () => {
  assert.equal(throughStorage('{"a":1.50,"a":2}').restored, '{"a":2}')
  assert.equal(throughStorage('{"a":2,"a":1.50}').restored, '{"a":1.50}')
})

test('plain data has the numbers as doubles', () => {
  const text = '{"a":12345678901234567890,"b":1.50}'
  assert.equal(JSON.stringify(plainData(exactOf(JSON.parse(text), text))), '{"a":12345678901234567000,"b":1.5}')
})
