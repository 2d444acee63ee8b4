import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64Fault, decodeBase64, decodeBase64Url } from './base64.ts'

test('base64 is taken with padding and line breaks', () => {
  for (const [text, plain] of [
    ['', ''],
    ['YQ==', 'a'],
    ['YWI=', 'ab'],
    ['YWJj', 'abc'],
    ['YW\nJj\r\n', 'abc'],
  ] as const) {
    assert.equal(decodeBase64(text)?.toString(), plain)
  }
  assert.deepEqual(decodeBase64('+/+/'), Buffer.from('fbffbf', 'hex'))
})

test('what only looks like base64 is refused rather than read in part', () => {
  for (const text of ['YQ', 'YQ=', 'Y', '=', '====', 'YQ==YQ==', 'YW J', 'YWJ!', '-_-_', 'YWJj=', 'ä===', 'YQ=a']) {
    assert.equal(decodeBase64(text), undefined, text)
  }
})

test('the URL alphabet is a matter of its own', () => {
  assert.deepEqual(decodeBase64Url('-_-_'), Buffer.from('fbffbf', 'hex'))
  assert.equal(decodeBase64Url('YQ')?.toString(), 'a')
  for (const text of ['YQ==', '+/+/', 'a', 'Y W']) assert.equal(decodeBase64Url(text), undefined, text)
})

test('a fault is where base64.StdEncoding.DecodeString of Go says it is', () => {
  for (const [text, place] of [
    ['YWJ', 0],
    ['YQ', 0],
    ['Y', 0],
    ['====', 0],
    ['Y===', 1],
    ['YW-j', 2],
    ['YQ=x', 2],
    ['YQ=', 3],
    ['YQ=\nx', 3],
    ['YQ==x', 4],
    ['YWI==', 4],
    ['YWJj=', 4],
    ['YWJjY', 4],
    ['YWJj-', 4],
  ] as const) {
    assert.equal(base64Fault(text), `illegal base64 data at input byte ${place}`, JSON.stringify(text))
    assert.equal(decodeBase64(text), undefined, JSON.stringify(text))
  }
})
