/** The audit as the pipeline sees it: what must hold a line, and what happens when something does not. */
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import test from 'node:test'
import { Audit } from '#core/audit/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import { MemoryDevice, requestEvent } from './events.ts'

const key = randomBytes(32)

test('without a device nothing is recorded, so nothing may be answered', async () => {
  await assert.rejects(new Audit().record(requestEvent()), { code: 'audit_failed' })
})

test('what a required device does not hold is refused, whoever else holds it', async () => {
  const audit = new Audit()
  const [ledger, other] = [new MemoryDevice(), new MemoryDevice()]
  audit.add('ledger/', ledger, { key, required: true })
  audit.add('file/', other, { key })
  await audit.record(requestEvent())
  ledger.failing = new ApiError('audit_failed', 'the request could not be audited', { reason: 'disk full' })
  await assert.rejects(audit.record(requestEvent()), { code: 'audit_failed' })
  assert.match(audit.trouble()!, /^ledger\//)
  ledger.failing = undefined
  await audit.record(requestEvent())
  assert.equal(audit.trouble(), undefined)
  assert.equal(ledger.lines.length, 2)
})

test('another device that fails is told, and stops nobody', async () => {
  const reports: string[] = []
  const audit = new Audit({ report: (text) => reports.push(text) })
  const [ledger, other] = [new MemoryDevice(), new MemoryDevice()]
  audit.add('ledger/', ledger, { key, required: true })
  audit.add('file/', other, { key })
  other.failing = new Error('disk on fire')
  await audit.record(requestEvent())
  await audit.record(requestEvent())
  assert.equal(audit.trouble(), 'file/: disk on fire')
  other.failing = undefined
  await audit.record(requestEvent())
  assert.equal(audit.trouble(), undefined)
  assert.deepEqual([ledger.lines.length, other.lines.length], [3, 1])
  assert.deepEqual(reports, ['audit device file/ failed: disk on fire', 'audit device file/ works again'])
})

test('where no device is required, one must hold the line', async () => {
  const audit = new Audit()
  const [first, second] = [new MemoryDevice(), new MemoryDevice()]
  audit.add('a/', first, { key })
  audit.add('b/', second, { key })
  first.failing = new Error('no')
  await audit.record(requestEvent())
  second.failing = new Error('no')
  await assert.rejects(audit.record(requestEvent()), { code: 'audit_failed' })
})

test('the text of a failure that clients see does not say where', async () => {
  const audit = new Audit()
  const device = new MemoryDevice()
  audit.add('a/', device, { key })
  device.failing = new Error('cannot write /var/log/secret-place')
  await assert.rejects(audit.record(requestEvent()), (error: ApiError) => {
    assert.equal(error.message, 'the request could not be audited')
    assert.equal(error.reason, 'cannot write /var/log/secret-place')
    return true
  })
})

test('what cannot be formatted is refused', async () => {
  const audit = new Audit()
  const device = new MemoryDevice()
  audit.add('ledger/', device, { key, required: true })
  const circle: Record<string, unknown> = {}
  circle['circle'] = circle
  await assert.rejects(audit.record(requestEvent({ data: circle })), { code: 'audit_failed' })
  assert.equal(device.lines.length, 0)
})

test('each device hashes with its own key, and says what it would write', async () => {
  const audit = new Audit()
  const [first, second] = [new MemoryDevice(), new MemoryDevice()]
  const secondKey = randomBytes(32)
  audit.add('a/', first, { key })
  audit.add('b/', second, { key: secondKey })
  await audit.record(requestEvent({ data: { password: 'hunter2' } }))
  const written = (device: MemoryDevice) => JSON.parse(device.lines[0]!).request.data.password
  assert.equal(written(first), `hmac-sha256:${createHmac('sha256', key).update('hunter2').digest('hex')}`)
  assert.equal(audit.hash('a/', 'hunter2'), written(first))
  assert.equal(audit.hash('b/', 'hunter2'), written(second))
  assert.notEqual(written(first), written(second))
  assert.throws(() => audit.hash('c/', 'x'), { code: 'invalid_request', message: 'unknown audit backend "c/"' })
})

test('devices come and go by name; a required one stays', async () => {
  const audit = new Audit()
  const [ledger, other] = [new MemoryDevice(), new MemoryDevice()]
  audit.add('ledger/', ledger, { key, required: true })
  audit.add('file/', other, { key })
  assert.throws(() => audit.add('file/', new MemoryDevice(), { key }), { message: 'path already in use' })
  assert.deepEqual(audit.names(), ['ledger/', 'file/'])
  await audit.remove('file/')
  await audit.remove('never/')
  assert.ok(other.closed)
  await audit.record(requestEvent())
  assert.deepEqual([ledger.lines.length, other.lines.length], [1, 0])
  await assert.rejects(audit.remove('ledger/'), { code: 'invalid_request' })
  assert.deepEqual(audit.names(), ['ledger/'])
})
