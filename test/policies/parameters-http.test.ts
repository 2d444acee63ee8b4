/** Recorded policies with conditions on parameters, over HTTP against a KV v1 mount: every status, in order. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { startServer } from '#test/server.ts'

type Recorded = { policies: string[]; path: string; writes: [Record<string, unknown>, number][]; read: number }[]

test('4,719 recorded requests under conditions on parameters get their recorded statuses', async () => {
  const sets = JSON.parse(gunzipSync(readFileSync('test/data/acl-parameters.json.gz')).toString('utf8')) as Recorded
  await using server = await startServer()
  await server.write('sys/mounts/kv1', { type: 'kv', options: { version: '1' } })
  const differing: string[] = []
  let requests = 0
  for (const [index, { policies, path, writes, read }] of sets.entries()) {
    const names = policies.map((_, at) => `set-${index}-${at}`)
    for (const [at, name] of names.entries()) {
      assert.equal((await server.send('PUT', `sys/policies/acl/${name}`, { policy: policies[at] })).status, 204)
    }
    const token = await server.login(names, { no_default_policy: true })
    for (const [body, status] of writes) {
      const answer = await server.write(path, body, token)
      requests += 1
      if (answer.status !== status)
        differing.push(`set ${index}: ${JSON.stringify(body)} ${answer.status}, recorded ${status}`)
    }
    const answer = await server.read(path, token)
    requests += 1
    if (answer.status !== read) differing.push(`set ${index}: read ${answer.status}, recorded ${read}`)
  }
  assert.deepEqual(differing, [])
  assert.equal(requests, 4719)
})
