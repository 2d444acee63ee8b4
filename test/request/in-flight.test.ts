/** Requests under way: told in the order in which they came, and forgotten when they are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { InFlight } from '#request/rate.ts'
import type { Routed } from '#request/route.ts'

function routed(path: string): Routed {
  return { incoming: { path }, mounted: undefined } as unknown as Routed
}

test('of those that came and went in any order, those that are there are told, the first first', () => {
  let nowMs = 0
  const inFlight = new InFlight({ now: () => new Date(nowMs++) })
  const paths = () => inFlight.all().map(({ routed: { incoming } }) => incoming.path)
  const [a, b, c] = ['a', 'b', 'c'].map((path) => inFlight.enter(routed(path)))
  assert.deepEqual(paths(), ['a', 'b', 'c'])
  inFlight.leave(a!)
  inFlight.leave(b!)
  const d = inFlight.enter(routed('d'))
  const e = inFlight.enter(routed('e'))
  assert.deepEqual(paths(), ['c', 'd', 'e'])
  assert.deepEqual(
    inFlight.all().map(({ begunAt }) => begunAt.getTime()),
    [2, 3, 4],
  )
  for (const each of [c, e, d]) inFlight.leave(each!)
  assert.deepEqual([paths(), inFlight.count], [[], 0])
})
