/**
 * Random sequences of calls with the answers of a reference server of the Vault API: test/data/kv-sequences.jsonl.gz, a
 * line a sequence. Ids are masked there; moments are T0, T1, … in the order in which a sequence first shows them, so that
 * equal answers mean equal relations between times as well.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { startServer } from '#test/server.ts'

interface Step {
  method: string
  path: string
  body?: string
  contentType?: string
  status: number
  answer?: string
}

interface Sequence {
  version: number
  mount: string
  steps: Step[]
}

async function readSequences(): Promise<Sequence[]> {
  const packed = await readFile(new URL('../data/kv-sequences.jsonl.gz', import.meta.url))
  const lines = gunzipSync(packed).toString('utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Sequence)
}

/** What JSON says, with numbers as texts, since 1.50 and 1.5 are two answers here. */
function comparable(text: string): unknown {
  const parse = JSON.parse as (
    text: string,
    reviver: (name: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown
  return parse(text, (_name, value, { source }) => (typeof value === 'number' ? `number ${source}` : value))
}

function masked(text: string, moments: Map<string, string>): string {
  return text
    .replace(/"request_id":"[0-9a-f-]{36}"/, '"request_id":"ID"')
    .replace(/20\d\d-\d\d-\d\dT[\d:.]+Z/g, (moment) => {
      if (!moments.has(moment)) moments.set(moment, `T${moments.size}`)
      return moments.get(moment)!
    })
}

test('every answer of every sequence equals the reference: status, names, values, warnings, errors', async () => {
  await using server = await startServer({ at: '2026-01-01T00:00:00Z' })
  const sequences = await readSequences()
  assert.equal(sequences.length, 60)
  let equal = 0
  for (const [index, { version, mount, steps }] of sequences.entries()) {
    const made = await server.send('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: String(version) } })
    assert.equal(made.status, 204)
    const moments = new Map<string, string>()
    for (const step of steps) {
      server.tick(0.001)
      const contentType = step.contentType ?? (step.body === undefined ? undefined : 'text/plain')
      const answer = await server.send(step.method, step.path, step.body, {
        headers: contentType === undefined ? {} : { 'content-type': contentType },
      })
      const asked = `sequence ${index}: ${step.method} ${step.path} ${step.body ?? ''}`
      assert.equal(answer.status, step.status, `${asked}\n${answer.text}`)
      if (step.answer === undefined) assert.equal(answer.text, '', asked)
      else assert.deepEqual(comparable(masked(answer.text, moments)), comparable(step.answer), asked)
      equal += 1
    }
    assert.equal((await server.send('DELETE', `sys/mounts/${mount}`)).status, 204)
  }
  assert.equal(equal, 2400)
})
