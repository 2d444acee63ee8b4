import assert from 'node:assert/strict'
import test from 'node:test'
import { clientOf } from './client.ts'
import { Limiter } from './limiter.ts'
import type { RateRule } from './rules.ts'

const rule = (given: Partial<RateRule>): RateRule => ({
  name: 'x',
  mount: '',
  uuid: '',
  suffix: '',
  role: '',
  inheritable: true,
  rate: 2,
  interval_seconds: 10,
  block_seconds: 0,
  group_by: 'ip',
  secondary_rate: 0,
  ...given,
})

test('a client gets its rate in each window of its own, and is told when the next one begins', () => {
  const limiter = new Limiter(rule({}))
  assert.deepEqual(limiter.take('a', 0), { allowed: true, limit: 2, left: 1, resetMs: 10_000, retryMs: 0 })
  assert.deepEqual(limiter.take('a', 4000), { allowed: true, limit: 2, left: 0, resetMs: 6000, retryMs: 0 })
  assert.deepEqual(limiter.take('a', 9999), { allowed: false, limit: 2, left: 0, resetMs: 1, retryMs: 1 })
  assert.ok(limiter.take('b', 9999).allowed)
  assert.ok(limiter.take('a', 10_000).allowed)
})

test('a rate below one still lets one through, and parts are rounded', () => {
  const slow = new Limiter(rule({ rate: 0.2 }))
  assert.deepEqual([slow.take('a', 0).allowed, slow.take('a', 1).allowed], [true, false])
  assert.equal(new Limiter(rule({ rate: 7.7 })).take('a', 0).limit, 8)
})

test('who asks too often is blocked for the whole time, even where windows are shorter, and not for asking again', () => {
  const limiter = new Limiter(rule({ rate: 1, interval_seconds: 1, block_seconds: 60 }))
  assert.ok(limiter.take('a', 0).allowed)
  assert.deepEqual(limiter.take('a', 10), { allowed: false, limit: 1, left: 0, resetMs: 990, retryMs: 60_000 })
  assert.ok(!limiter.take('a', 5000).allowed)
  assert.ok(!limiter.take('a', 60_009).allowed)
  assert.ok(limiter.take('a', 60_010).allowed)
})

test('with no room left newcomers share one window, nobody known loses theirs, and old windows make room', () => {
  const limiter = new Limiter(rule({ rate: 2 }), 3)
  for (const client of ['a', 'b', 'c']) limiter.take(client, 0)
  const crowd = Array.from({ length: 20 }, (_, n) => limiter.take(`attacker ${n}`, 1).allowed)
  assert.equal(crowd.filter(Boolean).length, 2)
  assert.deepEqual([limiter.take('a', 2).allowed, limiter.take('a', 2).allowed], [true, false])
  assert.ok(limiter.clients <= 4)
  assert.ok(limiter.take('late', 20_000).allowed)
  assert.ok(limiter.take('later', 20_000).allowed)
  for (let n = 0; n < 1000; n += 1) limiter.take(`swarm ${n}`, 40_000 + n * 5000)
  assert.ok(limiter.clients <= 4)
})

test('those who are blocked are not forgotten for the sake of newcomers', () => {
  const limiter = new Limiter(rule({ rate: 1, interval_seconds: 1, block_seconds: 600 }), 3)
  limiter.take('bad', 0)
  limiter.take('bad', 0)
  for (let n = 0; n < 100; n += 1) limiter.take(`n${n}`, 5000 + n)
  assert.ok(!limiter.take('bad', 6000).allowed)
})

test('a few who are blocked for long do not keep the windows of all others from making room', () => {
  const limiter = new Limiter(rule({ rate: 1, interval_seconds: 1, block_seconds: 86_400 }), 100)
  for (let n = 0; n < 5; n += 1) for (let times = 0; times < 2; times += 1) limiter.take(`bad ${n}`, n)
  // One client a second, each with a window of a second: there is room for all of them.
  for (let n = 0; n < 1000; n += 1) assert.ok(limiter.take(`client ${n}`, 10_000 + n * 1000).allowed, `client ${n}`)
  assert.ok(limiter.clients < 20)
  for (let n = 0; n < 5; n += 1) assert.ok(!limiter.take(`bad ${n}`, 2_000_000).allowed)
})

test('an IPv6 network of 64 bits is one client, an IPv4 address is one', () => {
  assert.equal(clientOf('192.0.2.7'), '192.0.2.7')
  assert.equal(clientOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
  assert.equal(clientOf('2001:DB8:1:2::9'), '2001:db8:1:2::/64')
  assert.equal(clientOf('2001:db8::9'), '2001:db8:0:0::/64')
  assert.notEqual(clientOf('2001:db8:1:3::9'), clientOf('2001:db8:1:2::9'))
  assert.equal(clientOf('::1'), '0:0:0:0::/64')
  assert.equal(clientOf('fe80::1%eth0'), 'fe80:0:0:0::/64')
})
