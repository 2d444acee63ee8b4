import assert from 'node:assert/strict'
import test from 'node:test'
import { parseExact } from './json.ts'
import { duration, heading, headingFor, plain, plainField, quotedList, table } from './table.ts'

test('columns are four spaces apart, the last is not padded, and nothing is n/a', () => {
  assert.equal(
    table([
      ['Key', 'Value'],
      ['a', 'x'],
      ['longer', ''],
    ]),
    'Key       Value\n---       -----\na         x\nlonger    n/a',
  )
})

test('headings are as wide as their table', () => {
  assert.equal(headingFor('Data', { passcode: 'x' }), '====== Data ======')
  assert.equal(headingFor('Metadata', { created_time: 1, custom_metadata: 1 }), '======= Metadata =======')
  assert.equal(heading('Secret Path', 'secret/data/creds'.length), '== Secret Path ==')
  assert.equal(heading('Secret Path', 3), '== Secret Path ==')
})

test('values read as Go prints them', () => {
  assert.equal(plain(null), '<nil>')
  assert.equal(plain(['a', 1, null, [true]]), '[a 1 <nil> [true]]')
  assert.equal(plain({ b: 1, a: { c: 'x' } }), 'map[a:map[c:x] b:1]')
  assert.equal(quotedList(['default', 'a"b']), '["default" "a\\"b"]')
})

test('numbers keep their text, in tables and in JSON', () => {
  const value = parseExact('{"a":1.50,"b":12345678901234567890,"c":1e3,"d":7,"e":"1.50"}')
  assert.equal(plain(value), 'map[a:1.50 b:12345678901234567890 c:1e3 d:7 e:1.50]')
  assert.equal(JSON.stringify(value), '{"a":1.50,"b":12345678901234567890,"c":1e3,"d":7,"e":"1.50"}')
})

test('seconds under the name of a time read as one, without zeros at the end', () => {
  const cases: [number, string][] = [
    [0, '0s'],
    [5, '5s'],
    [60, '1m'],
    [90, '1m30s'],
    [3600, '1h'],
    [3605, '1h5s'],
    [3660, '1h1m'],
    [2_764_800, '768h'],
    [-60, '-1m'],
  ]
  for (const [seconds, text] of cases) assert.equal(duration(seconds), text)
  assert.equal(plainField('default_lease_ttl', 60), '1m')
  assert.equal(plainField('period', 60), '1m')
  assert.equal(plainField('delete_version_after', 60), '60')
  assert.equal(plainField('ttl', '1h'), '1h')
})
