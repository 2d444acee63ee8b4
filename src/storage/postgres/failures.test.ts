import assert from 'node:assert/strict'
import test from 'node:test'
import { failed, isConflict, isPassing, Refusal, whyOf } from './failures.ts'

const coded = (code: string) => failed(Object.assign(new Error('host db.example, user u'), { code }))

test('what passes is tried again: lost connections, servers that stop or start, conflicts; nothing else is', () => {
  for (const code of [
    'ECONNREFUSED',
    'ECONNRESET',
    '57P01',
    '57P03',
    '08006',
    '53300',
    '53100',
    '40001',
    '25006',
    '55P03',
  ]) {
    assert.ok(isPassing(coded(code)), code)
  }
  assert.ok(isPassing(failed(new Error('Connection terminated unexpectedly'))))
  for (const code of ['42501', '42P01', '22001', '28P01', '3D000']) assert.ok(!isPassing(coded(code)), code)
  assert.ok(!isPassing(new Refusal('the database lost commits')))
  assert.ok(!isPassing(failed(new TypeError('a mistake of ours'))))
  assert.deepEqual([isConflict(coded('40001')), isConflict(coded('57P01'))], [true, false])
})

test('what is told to anybody names no host and no user', () => {
  for (const code of ['ECONNREFUSED', '28P01', '99999']) {
    assert.doesNotMatch(failed(coded(code)).message + whyOf(coded(code)), /db\.example|user u/)
  }
  assert.equal(coded('ECONNREFUSED').message, 'the database of the store fails: connection refused')
})
