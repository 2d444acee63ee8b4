import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBase64, decodeBase64Url } from './base64.ts'

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
