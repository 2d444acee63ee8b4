/** Metrics and spans at a collector that takes only what OTLP says. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseConfig } from '#boot/config.ts'
import { MAX_SPANS } from '#boot/otlp-exporter.ts'
import { defaultTelemetry, telemetryConfig } from '#boot/telemetry.ts'
import { parseTraceParent } from '#lib/otlp.ts'
import { freePort } from '#test/port.ts'
import { startServer } from '#test/server.ts'
import { startCollector } from './collector.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const callerId = 'b7ad6b7169203331'
const from = (sampled: '00' | '01') => ({ headers: { traceparent: `00-${traceId}-${callerId}-${sampled}` } })

const telemetryTo = (endpoint: string, traceRatio = 0, headers = {}) => ({
  ...defaultTelemetry,
  otlp: { endpoint, headers, intervalSeconds: 3600, traceRatio },
})

test('metrics arrive whole, with what the configuration puts into headers', async () => {
  await using collector = await startCollector()
  await using server = await startServer({
    workers: 1,
    secret: true,
    telemetry: telemetryTo(`${collector.endpoint}/base`, 0, { 'x-key': 'key-marker' }),
  })
  for (let n = 0; n < 5; n += 1) await server.read('secret/data/app')
  await server.node.observation.flush()
  assert.deepEqual(collector.problems, [])
  assert.deepEqual(
    collector.received.map(({ path }) => path),
    ['/base/v1/metrics'],
  )
  assert.equal(collector.received[0]!.headers['x-key'], 'key-marker')
  assert.ok(!collector.received[0]!.text.includes('key-marker'))
  assert.equal(collector.points('vault.core.unsealed')[0].asDouble, 1)
  assert.ok(Number(collector.points('vault.core.handle_request')[0].count) >= 5)
  const codes = collector.points('vault.core.response_status_code')
  const notFound = codes.find(({ attributes }) => attributes.some(({ value }: any) => value.stringValue === '404'))
  assert.equal(notFound.asDouble, 5)
})

test('a request that its caller traces becomes a span below that of the caller, with no path in it', async () => {
  await using collector = await startCollector()
  await using server = await startServer({ secret: true, telemetry: telemetryTo(collector.endpoint, 0.000001) })
  const token = await server.login(['default'])
  await server.send('GET', 'secret/data/path-marker', undefined, from('01'))
  await server.send('GET', 'secret/data/path-marker', undefined, { ...from('01'), token })
  await server.send('GET', 'secret/data/path-marker', undefined, from('00'))
  await server.node.observation.flush()
  assert.deepEqual(collector.problems, [])
  const spans = collector.spans()
  assert.deepEqual(
    spans.map(({ traceId: trace, parentSpanId, name, status }) => ({ trace, parentSpanId, name, status })),
    [
      { trace: traceId, parentSpanId: callerId, name: 'read kv/data/*path', status: {} },
      { trace: traceId, parentSpanId: callerId, name: 'read kv/data/*path', status: { code: 2 } },
    ],
  )
  assert.ok(
    spans[1].attributes.some(
      ({ key, value }: any) => key === 'error.type' && value.stringValue === 'permission_denied',
    ),
  )
  for (const { text } of collector.received) assert.ok(!text.includes('marker') && !text.includes(token))
})

test('without a word of the caller the ratio counts; what nobody wants is not sent', async () => {
  await using collector = await startCollector()
  await using all = await startServer({ telemetry: telemetryTo(collector.endpoint, 1) })
  for (let n = 0; n < 3; n += 1) await all.read('sys/mounts')
  await all.node.observation.flush()
  assert.equal(new Set(collector.spans().map(({ traceId: trace }) => trace)).size, 3)
  assert.ok(collector.spans().every(({ parentSpanId }) => parentSpanId === undefined))
  await using none = await startServer({ telemetry: telemetryTo(collector.endpoint, 0) })
  await none.send('GET', 'sys/mounts', undefined, from('01'))
  await none.node.observation.flush()
  assert.equal(collector.spans().length, 3)
  await using off = await startServer()
  const before = collector.received.length
  await off.node.observation.flush()
  assert.equal(collector.received.length, before)
})

test('a collector that fails or is away costs nobody anything, is told of once, and is tried again', async () => {
  await using collector = await startCollector()
  await using server = await startServer({ telemetry: telemetryTo(collector.endpoint, 1, { 'x-key': 'key-marker' }) })
  collector.answerWith(503)
  for (let n = 0; n < 3; n += 1) {
    assert.equal((await server.read('sys/mounts')).status, 200)
    await server.node.observation.flush()
  }
  const told = () => server.logged.filter((line) => line.startsWith('telemetry'))
  assert.deepEqual(told(), ['telemetry: the collector cannot be reached: status 503'])
  const { text } = await server.read('sys/metrics?format=prometheus')
  assert.match(text, /^vault_telemetry_spans_dropped 3$/m)
  collector.answerWith(200)
  await server.node.observation.flush()
  assert.equal(told().length, 2)
  await using lonely = await startServer({
    telemetry: telemetryTo(`http://127.0.0.1:${await freePort()}`, 1, { 'x-key': 'key-marker' }),
  })
  await lonely.node.observation.flush()
  assert.deepEqual(
    lonely.logged.filter((line) => line.startsWith('telemetry')),
    ['telemetry: the collector cannot be reached: ECONNREFUSED'],
  )
})

test('spans that wait are bounded, and come in parts', async () => {
  await using collector = await startCollector()
  await using server = await startServer({ telemetry: telemetryTo(collector.endpoint, 1) })
  const { tracing } = server.node.observation
  const span = { traceId, spanId: callerId, parentSpanId: undefined, name: 'x', attributes: {}, failed: false }
  const nowNs = BigInt(Date.now()) * 1_000_000n
  for (let n = 0; n < MAX_SPANS + 7; n += 1) tracing!.add({ ...span, beginNs: nowNs, endNs: nowNs })
  await server.node.observation.flush()
  assert.deepEqual(collector.problems, [])
  assert.equal(collector.spans().length, MAX_SPANS)
  assert.ok(
    collector.received
      .filter(({ path }) => path === '/v1/traces')
      .every(({ body }) => body.resourceSpans[0].scopeSpans[0].spans.length <= 512),
  )
  assert.match((await server.read('sys/metrics?format=prometheus')).text, /^vault_telemetry_spans_dropped 7$/m)
})

test('a server that stops sends its last numbers', async () => {
  await using collector = await startCollector()
  const server = await startServer({ telemetry: telemetryTo(collector.endpoint, 1) })
  await server.read('sys/mounts')
  await server.stop()
  assert.equal(collector.spans().length, 1)
})

test('the header of a trace is read as W3C says, and what is none is nobody', () => {
  assert.deepEqual(parseTraceParent(`00-${traceId}-${callerId}-01`), { traceId, spanId: callerId, sampled: true })
  assert.equal(parseTraceParent(`00-${traceId}-${callerId}-02`)?.sampled, false)
  assert.equal(parseTraceParent(`cc-${traceId}-${callerId}-01-more`)?.sampled, true)
  const none = [
    `ff-${traceId}-${callerId}-01`,
    `00-${traceId}-${callerId}-01-more`,
    `00-${'0'.repeat(32)}-${callerId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${callerId}-01`,
    `00-${traceId}-${callerId}`,
    '',
    undefined,
    ['x'],
  ]
  for (const text of none) assert.equal(parseTraceParent(text), undefined)
})

test('the configuration names the collector; keys in it are never quoted', () => {
  const read = (lines: string) => {
    const text = `storage "inmem" {}\nlistener "tcp" { tls_disable = true }\ntelemetry {\n${lines}\n}`
    return telemetryConfig(parseConfig(text, 'x.hcl').telemetry, []).otlp
  }
  assert.equal(read(''), undefined)
  assert.deepEqual(read('otlp_endpoint = "http://127.0.0.1:4318/"'), {
    endpoint: 'http://127.0.0.1:4318',
    headers: {},
    intervalSeconds: 10,
    traceRatio: 1,
  })
  const full =
    'otlp_endpoint = "https://c/x"\notlp_headers { authorization = "Bearer key-marker" }\notlp_interval = "1m"\notlp_trace_ratio = 0.25'
  assert.deepEqual(read(full), {
    endpoint: 'https://c/x',
    headers: { authorization: 'Bearer key-marker' },
    intervalSeconds: 60,
    traceRatio: 0.25,
  })
  const to = 'otlp_endpoint = "http://c"\n'
  for (const lines of [
    'otlp_endpoint = "collector:4318"',
    'otlp_endpoint = "http://u:p@c"',
    `${to}otlp_interval = "0s"`,
    `${to}otlp_trace_ratio = 2`,
  ]) {
    assert.throws(() => read(lines), /otlp_/)
  }
  assert.throws(
    () => read(`${to}otlp_headers = ["key-marker"]`),
    (error: Error) => /otlp_headers/.test(error.message) && !error.message.includes('marker'),
  )
})
