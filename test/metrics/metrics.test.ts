/** `sys/metrics`, `sys/in-flight-req`, `sys/host-info` and the counters on a real server. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { hold } from '#test/request/stage.ts'
import { startServer, type TestServer } from '#test/server.ts'

/** Values by name and labels, of a text that a strict reader of the format takes. */
function parse(text: string): Map<string, number> {
  const found = new Map<string, number>()
  const types = new Map<string, string>()
  for (const line of text.split('\n').slice(0, -1)) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|summary)$/.exec(line)
    if (type) {
      assert.ok(!types.has(type[1]!), `twice: ${line}`)
      types.set(type[1]!, type[2]!)
    }
    if (line.startsWith('#')) continue
    const match = /^([a-zA-Z_:][\w:]*)((?:\{(?:\w+="(?:[^"\\\n]|\\.)*",?)+\})?) (NaN|[+-]?[\d.e+-]+)$/.exec(line)
    assert.ok(match, `not in the format: ${line}`)
    assert.ok(types.has(match[1]!.replace(/_(?:sum|count)$/, '')) || types.has(match[1]!), `no type: ${line}`)
    assert.ok(!found.has(match[1]! + match[2]!), `twice: ${line}`)
    found.set(match[1]! + match[2]!, Number(match[3]))
  }
  return found
}

const scrape = async (server: TestServer) => {
  const { status, text, headers } = await server.read('sys/metrics?format=prometheus')
  assert.equal(status, 200)
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
  return parse(text)
}

test('requests, audit lines, changes, tokens and statuses are counted', async () => {
  await using server = await startServer({ workers: 1, secret: true })
  const before = await scrape(server)
  await server.write('secret/data/app', { data: { v: 1 } })
  for (let n = 0; n < 40; n += 1) await server.read('secret/data/app')
  await server.read('secret/data/app', 'hvs.wrong')
  await server.login(['default'])
  await server.login(['default'], { type: 'batch' })
  const after = await scrape(server)
  const more = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
  assert.equal(more('vault_core_handle_request_count'), 45)
  assert.ok(more('vault_core_handle_request_sum') > 0)
  assert.equal(more('vault_core_response_status_code{code="200",type="2xx"}'), 44)
  assert.equal(more('vault_core_response_status_code{code="403",type="4xx"}'), 1)
  assert.equal(more('vault_token_creation{auth_method="token",token_type="service"}'), 1)
  assert.equal(more('vault_token_creation{auth_method="token",token_type="batch"}'), 1)
  for (const kind of ['request', 'response']) {
    assert.ok(Math.abs(more(`vault_audit_log_${kind}_count`) - 45) <= 7)
    assert.equal(after.get(`vault_audit_log_${kind}_failure`), 0)
  }
  assert.ok(more('vault_barrier_put_count') >= 2)
  assert.ok(more('vault_barrier_get_count') >= 8)
  assert.ok(more('vault_cache_hit') >= 1)
  assert.ok(after.get('vault_cache_miss')! > 0)
})

test('log-ins have a number of their own, and refusals of quotas are counted by quota', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/web', {
    role_id: 'web',
    bind_secret_id: false,
    secret_id_bound_cidrs: '127.0.0.0/8',
  })
  await server.write('auth/approle/login', { role_id: 'web' }, null)
  await server.write('auth/approle/login', { role_id: 'wrong' }, null)
  await server.write('sys/quotas/rate-limit/kv', { rate: 1, interval: 60, path: 'secret' })
  await server.write('sys/quotas/lease-count/few', { max_leases: 1, path: 'auth/approle' })
  for (let n = 0; n < 4; n += 1) await server.read('secret/data/app')
  assert.equal((await server.write('auth/approle/login', { role_id: 'web' }, null)).status, 429)
  const found = await scrape(server)
  assert.equal(found.get('vault_core_handle_login_request_count'), 3)
  assert.equal(found.get('vault_token_creation{auth_method="approle",token_type="service"}'), 1)
  assert.equal(found.get('vault_quota_rate_limit_violation{name="kv"}'), 3)
  assert.equal(found.get('vault_quota_lease_count_violation{name="few"}'), 1)
  await server.node.observation.countUsage(server.node.core, 1)
  const usage = await scrape(server)
  const gauge = (name: string) => usage.entries().find(([key]) => key.startsWith('vault_') && key.includes(name))?.[1]
  assert.equal(gauge('token_count'), 2)
  assert.equal(gauge('expire_num_leases'), 2)
  assert.equal(gauge('identity_num_entities'), 1)
  assert.equal(gauge('quota_lease_count_counter{name="few"}'), 1)
  assert.equal(gauge('quota_lease_count_max{name="few"}'), 1)
})

test('JSON has the form of go-metrics, and every name is in the catalog', async () => {
  await using server = await startServer({ workers: 1, secret: true })
  await server.read('secret/data/app')
  server.node.observation.turn()
  const { status, body, headers } = await server.read('sys/metrics')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json')
  assert.deepEqual(Object.keys(body), ['Timestamp', 'Gauges', 'Points', 'Counters', 'Samples'])
  assert.match(body.Timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d0 \+0000 UTC$/)
  const handled = body.Samples.find(({ Name }: any) => Name === 'vault.core.handle_request')
  assert.deepEqual(Object.keys(handled), ['Name', 'Count', 'Rate', 'Sum', 'Min', 'Max', 'Mean', 'Stddev', 'Labels'])
  assert.ok(body.Gauges.some(({ Name, Value }: any) => Name.endsWith('.core.unsealed') && Value === 1))
})

test('the format is asked for by field or header; another one, or no right to read, is refused', async () => {
  await using server = await startServer()
  const accept = { headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain' } }
  parse((await server.send('GET', 'sys/metrics', undefined, accept)).text)
  const plain = await server.send('GET', 'sys/metrics', undefined, { headers: { accept: 'text/html' } })
  assert.equal(plain.headers['content-type'], 'application/json')
  assert.equal((await server.read('sys/metrics?format=xml')).status, 400)
  const weak = await server.login(['default'])
  for (const path of [
    'metrics',
    'in-flight-req',
    'host-info',
    'internal/counters/tokens',
    'internal/counters/entities',
  ]) {
    assert.equal((await server.read(`sys/${path}`, weak)).status, 403)
    assert.equal((await server.read(`sys/${path}`, null)).status, 403)
  }
})

test('no metric tells a token, a path, a name of a request or a value', async () => {
  await using server = await startServer({ secret: true })
  const token = await server.login(['default'], { display_name: 'mara-marker' })
  await server.write('secret/data/path-marker', { data: { v: 'value-marker' } })
  await server.read('secret/data/path-marker', token)
  await server.read('nowhere-marker/x', token)
  server.node.observation.turn()
  for (const path of ['sys/metrics', 'sys/metrics?format=prometheus']) {
    const { text } = await server.read(path)
    assert.doesNotMatch(text, /marker|hvs\./)
    assert.ok(!text.includes(token))
  }
})

test('requests that are being answered are told, without what is in them', async () => {
  await using server = await startServer({ workers: 1, secret: true })
  const token = await server.login(['root'])
  const held = await hold(server, 'secret/data/app', 'update')
  const slow = server.write('secret/data/app', { data: { v: 'value-marker' } }, token)
  await held.reached
  const { status, body, text, headers } = await server.read('sys/in-flight-req')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json')
  const [[id, first], ...others] = Object.entries<any>(body) as [[string, any], ...unknown[]]
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.equal(others.length, 1)
  const { start_time, client_remote_address, client_id, ...rest } = first
  assert.deepEqual(rest, { request_path: '/v1/secret/data/app', request_method: 'POST' })
  assert.match(start_time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  assert.match(client_remote_address, /^127\.0\.0\.1:\d+$/)
  assert.notEqual(client_id, '')
  assert.ok(!text.includes('value-marker') && !text.includes(token))
  held.release()
  assert.equal((await slow).status, 200)
  assert.equal(Object.keys((await server.read('sys/in-flight-req')).body).length, 1)
})

test('tokens and entities are counted, and the counter of requests is gone as it is in the API', async () => {
  await using server = await startServer()
  assert.deepEqual((await server.read('sys/internal/counters/tokens')).body.data, {
    counters: { service_tokens: { total: 1 } },
  })
  await server.login(['default'])
  await server.login(['default'], { type: 'batch' })
  assert.deepEqual((await server.read('sys/internal/counters/tokens')).body.data, {
    counters: { service_tokens: { total: 2 } },
  })
  assert.deepEqual((await server.read('sys/internal/counters/entities')).body.data, {
    counters: { entities: { total: 0 } },
  })
  await server.write('identity/entity', { name: 'mara' })
  assert.deepEqual((await server.read('sys/internal/counters/entities')).body.data, {
    counters: { entities: { total: 1 } },
  })
  const requests = await server.read('sys/internal/counters/requests')
  assert.deepEqual([requests.status, requests.body.errors], [404, ['The functionality has been removed on this path']])
})

test('host-info tells of processors, memory and disks', async () => {
  await using server = await startServer()
  const { status, body } = await server.read('sys/host-info')
  assert.equal(status, 200)
  assert.deepEqual(Object.keys(body.data), ['cpu', 'cpu_times', 'disk', 'host', 'memory', 'timestamp'])
  assert.equal(body.data.cpu.length, body.data.cpu_times.length)
  assert.ok(body.data.cpu_times[0].user > 0)
  assert.ok(body.data.memory.total > body.data.memory.available)
  assert.ok(body.data.host.uptime > 0)
  for (const disk of body.data.disk) assert.ok(disk.total >= disk.used)
})
