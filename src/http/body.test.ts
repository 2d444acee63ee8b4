import assert from 'node:assert/strict'
import test from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { checkJson, decodeForm, decodeJson } from './body.ts'
import { defaultLimits as limits } from './options.ts'

const json = (text: string, over = {}) => decodeJson(Buffer.from(text), { ...limits, ...over })

const refused = (message: string) => (error: unknown) =>
  error instanceof ApiError && error.code === 'invalid_request' && error.message === message

test('a JSON object is its fields and its text', () => {
  assert.deepEqual(json('{"a":{"b":[1,"ü"]}}'), { fields: { a: { b: [1, 'ü'] } }, text: '{"a":{"b":[1,"ü"]}}' })
})

test('nothing, blanks and null have no fields', () => {
  for (const text of ['', ' \r\n\t', 'null', ' null\n']) assert.deepEqual(json(text), { fields: {}, text: '' }, text)
})

test('of names given twice the last one counts', () => {
  assert.deepEqual(json('{"a":1,"a":2}').fields, { a: 2 })
})

test('a field named __proto__ changes no object', () => {
  const { fields } = json('{"__proto__":{"admin":true},"b":1}')
  assert.equal(Object.getPrototypeOf(fields), Object.prototype)
  assert.equal(fields['admin'], undefined)
  assert.deepEqual(Object.keys(fields), ['__proto__', 'b'])
})

for (const text of [
  '{',
  '{"a":}',
  '[1]',
  '"a"',
  '1',
  'true',
  '{"a":1} x',
  '\ufeff{}',
  '{"a":"\n"}',
  'NaN',
  "{'a':1}",
  '{a:1}',
]) {
  test(`${JSON.stringify(text)} is refused`, () => assert.throws(() => json(text), refused('error parsing JSON')))
}

test('bytes that are not UTF-8 are refused', () => {
  for (const hex of ['7b2261223a22ff227d', '7b2261223a22c0af227d', '7b2261223a22eda080227d']) {
    assert.throws(() => decodeJson(Buffer.from(hex, 'hex'), limits), refused('error parsing JSON'))
  }
})

test('the refusal quotes nothing of the text', () => {
  assert.throws(
    () => json('{"password":"hunter2"'),
    (error: Error) => !JSON.stringify([error.message, error.cause, error.stack]).includes('hunter2'),
  )
})

test('a document may be as deep as the limit and no deeper', () => {
  const deep = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
  const mixed = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  for (const make of [deep, mixed]) {
    assert.ok(json(make(limits.maxJsonDepth)))
    assert.throws(
      () => json(make(limits.maxJsonDepth + 1)),
      refused('error parsing JSON: input exceeds allowed nesting depth'),
    )
  }
  // Counted before anything is built: 32 MiB of brackets are refused at the first one too many.
  assert.throws(
    () => decodeJson(Buffer.alloc(32 * 1024 * 1024, '['), limits),
    refused('error parsing JSON: input exceeds allowed nesting depth'),
  )
})

test('brackets inside strings are no depth, commas no members', () => {
  const text = JSON.stringify({ a: '[{,"\\'.repeat(20_000) })
  assert.ok(json(text))
})

test('members, elements and strings may be as many as the limit and no more', () => {
  const object = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 1])))
  const array = (count: number) => JSON.stringify({ a: Array.from({ length: count }, () => 1) })
  const string = (length: number) => JSON.stringify({ a: 'x'.repeat(length) })
  assert.ok(json(object(10_000)))
  assert.throws(() => json(object(10_001)), refused('error parsing JSON: object exceeds allowed entry count'))
  assert.ok(json(array(10_000)))
  assert.throws(() => json(array(10_001)), refused('error parsing JSON: array exceeds allowed element count'))
  assert.ok(json(string(1_048_576)))
  assert.throws(() => json(string(1_048_577)), refused('error parsing JSON: string value exceeds allowed length'))
})

test('members are counted for each container on its own', () => {
  const many = { a: Array.from({ length: 9 }, () => ({ b: [1, 2, 3, 4, 5, 6, 7, 8, 9], c: 1 })), d: [] }
  checkJson(Buffer.from(JSON.stringify(many)), { ...limits, maxJsonArrayElements: 9, maxJsonObjectEntries: 2 })
  assert.throws(() => checkJson(Buffer.from(JSON.stringify(many)), { ...limits, maxJsonArrayElements: 8 }))
  assert.throws(() => checkJson(Buffer.from(JSON.stringify(many)), { ...limits, maxJsonObjectEntries: 1 }))
})

test('small limits hold for small documents', () => {
  assert.throws(() => json('{"a":[1,2,3]}', { maxJsonArrayElements: 2 }))
  assert.throws(() => json('{"a":1,"b":2,"c":3}', { maxJsonObjectEntries: 2 }))
  assert.throws(() => json('{"a":"xxx"}', { maxJsonStringBytes: 2 }))
  assert.throws(() => json('{"a":{}}', { maxJsonDepth: 1 }))
})

test('a form is fields, repeated ones joined by commas', () => {
  assert.deepEqual(decodeForm(Buffer.from('a=1&b=x%20y&a=2'), limits), {
    fields: { a: '1,2', b: 'x y' },
    text: 'a=1&b=x%20y&a=2',
  })
  assert.deepEqual(decodeForm(Buffer.from(''), limits), { fields: {}, text: '' })
})

test('JSON that is labelled a form is JSON', () => {
  assert.deepEqual(decodeForm(Buffer.from(' \n{"a":1}'), limits).fields, { a: 1 })
})

test('a form that is not UTF-8 is refused', () => {
  assert.throws(() => decodeForm(Buffer.from([0x61, 0x3d, 0xff]), limits), refused('error parsing form data'))
})
