import assert from 'node:assert/strict'
import test from 'node:test'
import { MAX_SERIES, Registry } from './registry.ts'
import { jsonReport, type Naming, prometheusText } from './report.ts'

const catalog = {
  'a.count': { kind: 'counter', about: 'Counts.', labels: ['kind'] },
  'a.took': { kind: 'sample', about: 'Took.' },
  'b.now': { kind: 'gauge', about: 'Now.' },
} as const
const naming: Naming = { prefix: 'vault', host: undefined, hostLabel: undefined, filters: [], filterDefault: true }
const at = new Date('2026-01-01T00:00:17.5Z')
const make = () => new Registry(catalog)

test('JSON tells of the last window that is over, as go-metrics does', () => {
  const registry = make()
  registry.counter('a.count', 'x').add(2)
  registry.counter('a.count', 'x').add(4)
  for (const each of [1, 2, 3]) registry.sample('a.took').add(each)
  registry.gauge('b.now').set(7)
  assert.deepEqual(jsonReport(registry.all(), naming, at)['Counters'], [])
  registry.turn()
  assert.deepEqual(jsonReport(registry.all(), naming, at), {
    Timestamp: '2026-01-01 00:00:10 +0000 UTC',
    Gauges: [{ Name: 'vault.b.now', Value: 7, Labels: {} }],
    Points: [],
    Counters: [
      {
        Name: 'vault.a.count',
        Count: 2,
        Rate: 0.6,
        Sum: 6,
        Min: 2,
        Max: 4,
        Mean: 3,
        Stddev: Math.SQRT2,
        Labels: { kind: 'x' },
      },
    ],
    Samples: [{ Name: 'vault.a.took', Count: 3, Rate: 0.6, Sum: 6, Min: 1, Max: 3, Mean: 2, Stddev: 1, Labels: {} }],
  })
  registry.turn()
  assert.deepEqual(jsonReport(registry.all(), naming, at)['Samples'], [])
})

test('Prometheus gets totals since the start, and quantiles of the last windows', () => {
  const registry = make()
  registry.counter('a.count', 'x"\\\n').add(3)
  for (let n = 1; n <= 100; n += 1) registry.sample('a.took').add(n)
  const text = prometheusText(registry.all(), naming)
  assert.ok(
    text.startsWith(
      '# HELP vault_a_count Counts.\n# TYPE vault_a_count counter\nvault_a_count{kind="x\\"\\\\\\n"} 3\n',
    ),
  )
  assert.match(text, /^vault_a_took_sum 5050\nvault_a_took_count 100$/m)
  for (const [part, exact] of [
    [0.5, 50],
    [0.9, 90],
    [0.99, 99],
  ] as const) {
    const told = Number(new RegExp(`quantile="${part}"} ([\\d.]+)`).exec(text)![1])
    assert.ok(Math.abs(told - exact) <= exact / 14, `${part}: ${told}`)
  }
  registry.turn()
  registry.turn()
  const later = prometheusText(registry.all(), naming)
  assert.match(later, /vault_a_took\{quantile="0.5"\} NaN/)
  assert.match(later, /^vault_a_took_count 100$/m)
})

test('what was not timed is counted with the next that is', () => {
  const registry = make()
  const sample = registry.sample('a.took')
  for (let n = 0; n < 7; n += 1) sample.skip()
  sample.add(2)
  assert.match(prometheusText(registry.all(), naming), /vault_a_took_sum 16\nvault_a_took_count 8\n/)
})

test('names of hosts, labels of hosts and filters are as the configuration says', () => {
  const registry = make()
  registry.gauge('b.now').set(1)
  registry.counter('a.count', 'x').add()
  const names = (more: Partial<Naming>) =>
    prometheusText(registry.all(), { ...naming, ...more })
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(names({ host: 'h-1' }), ['vault_a_count{kind="x"} 1', 'vault_h_1_b_now 1'])
  assert.deepEqual(names({ hostLabel: 'h', prefix: 'p' }), ['p_a_count{kind="x",host="h"} 1', 'p_b_now{host="h"} 1'])
  assert.deepEqual(names({ filters: ['-vault', '+vault.b'] }), ['vault_b_now 1'])
  assert.deepEqual(names({ filterDefault: false, filters: ['+vault.a'] }), ['vault_a_count{kind="x"} 1'])
  assert.deepEqual(names({ filters: ['+vault.b', '-vault.b'] }), ['vault_a_count{kind="x"} 1'])
})

test('labels without end share one series', () => {
  const registry = make()
  for (let n = 0; n < 10 * MAX_SERIES; n += 1) registry.counter('a.count', String(n)).add()
  const all = registry.all()
  assert.equal(all.length, MAX_SERIES + 1)
  assert.match(prometheusText(all, naming), new RegExp(`kind="other"} ${9 * MAX_SERIES}`))
})
