import assert from 'node:assert/strict'
import test from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { parseFields, parseTarget } from './target.ts'

const refused = (message: RegExp) => (error: unknown) =>
  error instanceof ApiError && error.code === 'invalid_request' && message.test(error.message)

const paths: [url: string, path: string][] = [
  ['/v1/secret/data/app', 'secret/data/app'],
  ['/v1/secret/metadata/', 'secret/metadata/'],
  ['/v1/', ''],
  ['/v1/secret/data/a%20b', 'secret/data/a b'],
  ['/v1/secret%2Fdata%2fapp', 'secret/data/app'],
  ['/v1/secret/data/100%25', 'secret/data/100%'],
  ['/v1/secret/data/%252e%252e', 'secret/data/%2e%2e'],
  ['/v1/secret/data/gr%C3%BC%C3%9Fe', 'secret/data/grüße'],
  ['/v1/secret/data/gr\u00c3\u00bc\u00c3\u009fe', 'secret/data/grüße'],
  ['/v1/secret/data/..a/b..', 'secret/data/..a/b..'],
  ['/v1/secret/data/.../x', 'secret/data/.../x'],
  ['/v1/pki/cert/40%3A4e%3Af8', 'pki/cert/40:4e:f8'],
  ['/v1/a+b;c=d@e', 'a+b;c=d@e'],
  ['/v1/__proto__', '__proto__'],
  ['http://vault:8200/v1/sys/health', 'sys/health'],
  ['HTTPS://vault/v1/sys/health', 'sys/health'],
]
for (const [url, path] of paths) {
  test(`${JSON.stringify(url)} is ${JSON.stringify(path)}`, () => assert.equal(parseTarget(url)?.path, path))
}

for (const url of [
  '/',
  '/ui/',
  '/v1',
  '/V1/sys/health',
  '/v2/secret',
  '/v1x/',
  '*',
  '',
  'vault:8200',
  'http://vault/',
]) {
  test(`${JSON.stringify(url)} lies outside`, () => assert.equal(parseTarget(url), undefined))
}

const refusedPaths: [url: string, message: RegExp][] = [
  ['/v1/secret/../sys/seal', /segments/],
  ['/v1/secret/data/..', /segments/],
  ['/v1/./secret', /segments/],
  ['/v1/secret/.', /segments/],
  ['/v1/secret//data', /segments/],
  ['/v1//secret', /segments/],
  ['//v1/secret', /segments/],
  ['/v1/secret//', /segments/],
  ['/v1/secret/%2e%2e/sys/seal', /segments/],
  ['/v1/secret/.%2E/sys/seal', /segments/],
  ['/v1/secret/..%2Fsys/seal', /segments/],
  ['/v1/secret%2F%2Fdata', /segments/],
  ['/v1/%2e', /segments/],
  ['/v1/a%00b', /printed/],
  ['/v1/a%0ab', /printed/],
  ['/v1/a%7f', /printed/],
  ['/v1/a%E2%80%AEb', /printed/],
  ['/v1/a%C2%A0b', /printed/],
  ['/v1/a%ff', /UTF-8/],
  ['/v1/a%C0%AFb', /UTF-8/],
  ['/v1/a%ED%A0%80', /UTF-8/],
  ['/v1/a%', /UTF-8/],
  ['/v1/a%2', /UTF-8/],
  ['/v1/a%zz', /UTF-8/],
  ['/v1/a\u00ff', /UTF-8/],
]
for (const [url, message] of refusedPaths) {
  test(`${JSON.stringify(url)} is refused`, () => assert.throws(() => parseTarget(url), refused(message)))
}

test('the query stays as it came', () => {
  assert.deepEqual(parseTarget('/v1/a?list=true&x=%2e%2e//..'), { path: 'a', query: 'list=true&x=%2e%2e//..' })
  assert.deepEqual(parseTarget('/v1/a?b?c'), { path: 'a', query: 'b?c' })
})

test('fields are decoded once, plus signs are spaces, and names given twice become lists', () => {
  assert.deepEqual(parseFields('a=1&b=x+y&c=%252e&a=2&d&=e&&f=g=h', 10, false), {
    a: ['1', '2'],
    b: 'x y',
    c: '%2e',
    d: '',
    '': 'e',
    f: 'g=h',
  })
  assert.deepEqual(parseFields('a=1&a=2&a=3', 10, true), { a: '1,2,3' })
})

test('fields named like parts of every object are fields like any other', () => {
  const fields = parseFields('__proto__=x&constructor=y&toString=z', 10, false)
  assert.equal(Object.getPrototypeOf(fields), Object.prototype)
  assert.deepEqual(Object.entries(fields), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
    ['toString', 'z'],
  ])
})

test('fields are refused when malformed or too many', () => {
  assert.throws(() => parseFields('a=%zz', 10, false), refused(/UTF-8/))
  assert.throws(() => parseFields('%ff=1', 10, false), refused(/UTF-8/))
  assert.throws(() => parseFields('a&b&c', 2, false), refused(/too many/))
})
