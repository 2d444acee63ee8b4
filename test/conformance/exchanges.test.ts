import assert from 'node:assert/strict'
import test from 'node:test'
import { type CaseResult, loadExchanges, replay } from './replay.ts'

/** Areas that are complete here: every recorded case agrees. */
const complete = ['kv_v1', 'kv_v2', 'approle', 'token', 'policy', 'policies', 'health', 'leader', 'init']

const results = await replay(loadExchanges(), complete)

for (const [area, cases] of Map.groupBy(results, (result: CaseResult) => result.area)) {
  test(`recorded exchanges: all ${cases.length} cases of ${area} agree`, () => {
    const differing = cases.filter((each) => each.differences.length > 0)
    assert.deepEqual(
      differing.map(({ name, differences }) => ({ name, differences })),
      [],
    )
  })
}

/** Cases of areas that are not complete here. */
const completeCases = ['integration/test_create_userpass', 'integration/test_userpass_auth']

test('recorded exchanges: log-ins by user name and password agree', async () => {
  const all = await replay(loadExchanges(), ['integration'])
  const wanted = all.filter(({ name }) => completeCases.includes(name))
  assert.deepEqual(
    wanted.map(({ name, differences }) => ({ name, differences })),
    completeCases.map((name) => ({ name, differences: [] })),
  )
})

test('recorded exchanges: every complete area was replayed', () => {
  assert.deepEqual(new Set(results.map((result) => result.area)), new Set(complete))
})
