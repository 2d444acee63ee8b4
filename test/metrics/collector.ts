/** A small OTLP/HTTP receiver that takes only what the protocol says. For tests only. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: any
  text: string
}

export async function startCollector() {
  const received: Received[] = []
  const problems: unknown[] = []
  let status = 200
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    try {
      assert.equal(request.method, 'POST')
      assert.equal(request.headers['content-type'], 'application/json')
      const body = JSON.parse(text)
      if (request.url!.endsWith('/v1/metrics')) checkMetrics(body)
      else if (request.url!.endsWith('/v1/traces')) checkTraces(body)
      else assert.fail(`no such path: ${request.url}`)
      received.push({ path: request.url!, headers: request.headers, body, text })
    } catch (error) {
      problems.push(error)
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  }
  const server = createServer((request, response) => void take(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    problems,
    answerWith(next: number) {
      status = next
    },
    spans: () => received.flatMap(({ body }) => body.resourceSpans?.[0].scopeSpans[0].spans ?? []),
    /** Points of one metric, as last received. */
    points(name: string): any[] {
      const all = received.flatMap(({ body }) => body.resourceMetrics?.[0].scopeMetrics[0].metrics ?? [])
      const found = all.findLast((metric: any) => metric.name === name)
      return found ? (found.sum ?? found.gauge ?? found.summary).dataPoints : []
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function checkNames(object: Record<string, unknown>, allowed: readonly string[]): void {
  for (const name of Object.keys(object)) assert.ok(allowed.includes(name), `unknown member ${name}`)
}

function checkAttributes(attributes: any[]): void {
  const keys = attributes.map(({ key }) => key)
  assert.equal(new Set(keys).size, keys.length)
  for (const { key, value } of attributes) {
    assert.equal(typeof key, 'string')
    const [kind, ...more] = Object.keys(value)
    assert.equal(more.length, 0)
    assert.ok(kind === 'stringValue' || kind === 'intValue')
    assert.equal(typeof value[kind], 'string')
  }
}

const nanoseconds = /^\d{19}$/

function checkResource({ resource, ...rest }: any, scopes: string): any {
  checkNames(rest, [scopes])
  checkAttributes(resource.attributes)
  assert.ok(resource.attributes.some(({ key }: any) => key === 'service.name'))
  assert.equal(rest[scopes].length, 1)
  assert.equal(rest[scopes][0].scope.name, 'strongroom')
  return rest[scopes][0]
}

function checkMetrics(body: any): void {
  checkNames(body, ['resourceMetrics'])
  const { metrics } = checkResource(body.resourceMetrics[0], 'scopeMetrics')
  assert.equal(new Set(metrics.map(({ name }: any) => name)).size, metrics.length)
  for (const metric of metrics) {
    checkNames(metric, ['name', 'description', 'unit', 'sum', 'gauge', 'summary'])
    const kinds = ['sum', 'gauge', 'summary'].filter((kind) => metric[kind] !== undefined)
    assert.equal(kinds.length, 1)
    if (metric.sum) assert.deepEqual([metric.sum.aggregationTemporality, metric.sum.isMonotonic], [2, true])
    for (const point of metric[kinds[0]!].dataPoints) {
      checkAttributes(point.attributes)
      assert.match(point.timeUnixNano, nanoseconds)
      assert.match(point.startTimeUnixNano, nanoseconds)
      if (!metric.summary) assert.equal(typeof point.asDouble, 'number')
      else assert.match(point.count, /^\d+$/)
    }
  }
}

function checkTraces(body: any): void {
  checkNames(body, ['resourceSpans'])
  const { spans } = checkResource(body.resourceSpans[0], 'scopeSpans')
  for (const span of spans) {
    checkNames(span, [
      'traceId',
      'spanId',
      'parentSpanId',
      'name',
      'kind',
      'startTimeUnixNano',
      'endTimeUnixNano',
      'attributes',
      'status',
    ])
    assert.match(span.traceId, /^[0-9a-f]{32}$/)
    assert.match(span.spanId, /^[0-9a-f]{16}$/)
    if (span.parentSpanId !== undefined) assert.match(span.parentSpanId, /^[0-9a-f]{16}$/)
    assert.equal(span.kind, 2)
    assert.match(span.startTimeUnixNano, nanoseconds)
    assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano))
    assert.ok(Math.abs(Number(BigInt(span.endTimeUnixNano) / 1_000_000n) - Date.now()) < 60_000)
    checkAttributes(span.attributes)
  }
}
