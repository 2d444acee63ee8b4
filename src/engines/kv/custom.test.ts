import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCustomMetadata, customMetadata } from './custom.ts'

const prefix = 'custom_metadata validation failed: '

function refusal(notes: Record<string, string>): string {
  try {
    checkCustomMetadata(notes)
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

test('names and texts up to the limits are taken, one byte more is refused', () => {
  assert.equal(refusal({ ['n'.repeat(128)]: 't'.repeat(512) }), '')
  assert.equal(refusal({ ['ü'.repeat(64)]: 'ü'.repeat(256) }), '', 'bytes count, not characters')
  const name = 'n'.repeat(129)
  assert.equal(
    refusal({ [name]: 'x' }),
    `1 error occurred:\n\t* ${prefix}length of key "${name}" is 129 but must be 0 < len(key) <= 128\n\n`,
  )
  assert.match(
    refusal({ a: 't'.repeat(513) }),
    /length of value for key "a" is 513 but must be 0 < len\(value\) <= 512/,
  )
  assert.match(refusal({ a: 'ü'.repeat(257) }), /is 514/)
})

test('64 names are taken, 65 refused', () => {
  const notes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, 'x']))
  assert.equal(refusal(notes(64)), '')
  assert.equal(
    refusal(notes(65)),
    `1 error occurred:\n\t* ${prefix}payload must contain at most 64 keys, provided 65\n\n`,
  )
})

test('all that is wrong is told at once', () => {
  const message = refusal({ '': 'x', b: '', c: 'a\u0007' })
  assert.match(message, /^3 errors occurred:\n/)
  assert.match(message, /length of key "" is 0/)
  assert.match(message, /length of value for key "b" is 0/)
  assert.match(message, /value for key "c" contains unprintable characters/)
})

test('numbers and booleans become texts, other values are refused', () => {
  assert.deepEqual(customMetadata({ a: 1, b: true, c: false, d: 'x' }).all, { a: '1', b: '1', c: '0', d: 'x' })
  assert.throws(() => customMetadata({ a: { b: 1 } }), { code: 'invalid_request' })
})

test('a patch removes names given as null, and none left is null', () => {
  assert.deepEqual(customMetadata({ a: null, c: '3' }).mergedInto({ a: '1', b: '2' }), { b: '2', c: '3' })
  assert.equal(customMetadata({ a: null }).mergedInto({ a: '1' }), null)
  assert.equal(customMetadata({}).all, null)
})
