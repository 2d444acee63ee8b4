import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectiveTtl, secondsLeft, shortDuration, type TtlRequest } from './ttl.ts'

const now = new Date('2026-01-01T00:00:00.900Z')
const plain: TtlRequest = { defaultSeconds: 100, maxSeconds: 1000, ttlSeconds: 0, startedAt: now, now }

test('what counts first: increment, ttl, default; each cut at the lowest max', () => {
  const cases: [Partial<TtlRequest>, number, string?][] = [
    [{}, 100],
    [{ ttlSeconds: 70 }, 70],
    [{ ttlSeconds: 70, incrementSeconds: 80 }, 80],
    [{ ttlSeconds: 1000 }, 1000],
    [
      { ttlSeconds: 1001 },
      1000,
      'TTL of "16m41s" exceeded the effective max_ttl of "16m40s"; TTL value is capped accordingly',
    ],
    [
      { ttlSeconds: 600, ownMaxSeconds: 300 },
      300,
      'TTL of "10m" exceeded the effective max_ttl of "5m"; TTL value is capped accordingly',
    ],
    [{ ownMaxSeconds: 5000, ttlSeconds: 900 }, 900],
    [{ ownMaxSeconds: 300, explicitMaxSeconds: 200, ttlSeconds: 200 }, 200],
    [{ periodSeconds: 50, ttlSeconds: 70, incrementSeconds: 80 }, 50],
    [
      { periodSeconds: 3600, maxSeconds: 1800 },
      1800,
      'period of "1h" exceeded the effective max_ttl of "30m"; period value is capped accordingly',
    ],
    [{ periodSeconds: 50, startedAt: new Date(now.getTime() - 9_999_000) }, 50],
    [
      { periodSeconds: 50, explicitMaxSeconds: 60, startedAt: new Date(now.getTime() - 20_000) },
      40,
      'TTL of "50s" exceeded the effective max_ttl of "40s"; TTL value is capped accordingly',
    ],
    [
      { startedAt: new Date(now.getTime() - 950_000) },
      50,
      'TTL of "1m40s" exceeded the effective max_ttl of "50s"; TTL value is capped accordingly',
    ],
  ]
  for (const [request, seconds, warning] of cases) {
    const warnings = warning === undefined ? [] : [warning]
    assert.deepEqual(effectiveTtl({ ...plain, ...request }), { seconds, warnings }, JSON.stringify(request))
  }
  const over = { ...plain, startedAt: new Date(now.getTime() - 1_000_000) }
  assert.throws(() => effectiveTtl(over), { code: 'invalid_request', message: /past the max TTL, cannot renew/ })
})

test('seconds left: the present counts to the nearest second, as the Vault API tells them', () => {
  const hour = 3_600_000
  for (const [fraction, left] of [
    [0, 3600],
    [499, 3600],
    [500, 3599],
    [999, 3599],
  ] as const) {
    const at = new Date(Date.UTC(2026, 0, 1, 0, 0, 0, fraction))
    assert.equal(secondsLeft(at.getTime() + hour, at), left, `${fraction} ms`)
  }
})

test('durations without the zeros behind', () => {
  const expected = {
    0: '0s',
    59: '59s',
    60: '1m',
    3600: '1h',
    3601: '1h0m1s',
    5400: '1h30m',
    36_000: '10h',
    2_764_800: '768h',
  }
  for (const [seconds, text] of Object.entries(expected)) assert.equal(shortDuration(Number(seconds)), text)
})
