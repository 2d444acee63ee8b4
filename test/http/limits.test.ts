/** Each limit of a listener: what is below it passes, what is above it is refused, and others are served meanwhile. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { json, last, open, parseAnswers, readAll, request, start, talk } from './harness.ts'

const statusesOf = async (port: number, packets: string[]) => (await talk(port, packets)).map(({ status }) => status)

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

test('a body may be as large as the limit and no larger', async () => {
  await using server = await start({ limits: { maxRequestBytes: 1000 } })
  const body = (bytes: number) => JSON.stringify({ a: 'x'.repeat(bytes - 8) })
  assert.deepEqual(await statusesOf(server.port, [last('POST /v1/a', {}, body(1000))]), [200])
  // A little too large: read to its end, so that the client is not cut off while it writes, and the connection goes on.
  const answers = await talk(server.port, [request('POST /v1/a', {}, body(1001)) + last('GET /v1/b')])
  assert.deepEqual(
    answers.map(({ status, body: text }) => [status, text]),
    [
      [413, '{"errors":["request body too large"]}\n'],
      [200, '{"operation":"read","path":"b","body":{}}\n'],
    ],
  )
  // Far too large: not even read.
  assert.deepEqual(await statusesOf(server.port, [request('POST /v1/a', { 'Content-Length': '2001' })]), [413])
  assert.deepEqual(await statusesOf(server.port, [request('GET /v1/a', { 'Content-Length': '99999999999' })]), [413])
  assert.equal(server.seen.length, 2)
})

test('chunks are counted as they come', async () => {
  await using server = await start({ limits: { maxRequestBytes: 1000 } })
  const head = request('POST /v1/a', { 'Transfer-Encoding': 'chunked' })
  assert.deepEqual(
    await statusesOf(server.port, [
      head + chunk('{"a":"') + chunk('x'.repeat(992)) + chunk('"}') + '0\r\n\r\n' + last('GET /v1/b'),
    ]),
    [200, 200],
  )
  assert.deepEqual(
    await statusesOf(server.port, [
      head + chunk('{"a":"') + chunk('x'.repeat(993)) + chunk('"}') + '0\r\n\r\n' + last('GET /v1/b'),
    ]),
    [413, 200],
  )
  // Never ends, but gets its answer at twice the limit.
  assert.deepEqual(await statusesOf(server.port, [head + chunk(' '.repeat(500)).repeat(5)]), [413])
  assert.equal(server.seen.length, 3)
})

test('a client that asks first is told to send a body, or that it is too large', async () => {
  await using server = await start({ limits: { maxRequestBytes: 1000 } })
  const socket = await open(server.port)
  const received = readAll(socket)
  const pieces: string[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece.toString()))
  socket.write(request('POST /v1/a', { Expect: '100-continue', 'Content-Length': '7', Connection: 'close' }))
  await once(socket, 'data')
  assert.deepEqual(pieces, ['HTTP/1.1 100 Continue\r\n\r\n'])
  socket.write('{"a":1}')
  assert.deepEqual(
    parseAnswers(await received).map(({ status }) => status),
    [200],
  )
  assert.deepEqual(server.seen[0]?.body, { a: 1 })

  const tooLarge = await open(server.port)
  tooLarge.write(request('POST /v1/a', { Expect: '100-continue', 'Content-Length': '1001' }))
  const answer = (await readAll(tooLarge)).toString()
  assert.match(answer, /^HTTP\/1\.1 413 /)
  assert.ok(!answer.includes('100 Continue'))
})

test('JSON has its limits', async () => {
  await using server = await start({
    limits: { maxJsonDepth: 5, maxJsonArrayElements: 5, maxJsonObjectEntries: 5, maxJsonStringBytes: 20 },
  })
  const bodies: [string, number][] = [
    ['{"a":[[[[]]]]}', 200],
    ['{"a":[[[[[]]]]]}', 400],
    ['{"a":[1,2,3,4,5]}', 200],
    ['{"a":[1,2,3,4,5,6]}', 400],
    ['{"a":1,"b":1,"c":1,"d":1,"e":1}', 200],
    ['{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}', 400],
    [`{"a":"${'x'.repeat(20)}"}`, 200],
    [`{"a":"${'x'.repeat(21)}"}`, 400],
  ]
  for (const [body, status] of bodies)
    assert.deepEqual(await statusesOf(server.port, [last('POST /v1/a', {}, body)]), [status], body)
})

test('a body of the deepest nesting goes in and out again', async () => {
  await using server = await start()
  const text = `{"a":${'['.repeat(499)}${']'.repeat(499)}}`
  const [answer] = await talk(server.port, [last('POST /v1/a', {}, text)])
  assert.equal(answer!.body, `{"operation":"update","path":"a","body":${text}}\n`)
})

test('headers have a size, together with the request line', async () => {
  await using server = await start({ limits: { maxHeaderBytes: 4096 } })
  assert.deepEqual(await statusesOf(server.port, [last('GET /v1/a', { 'X-A': 'x'.repeat(3900) })]), [200])
  assert.deepEqual(await statusesOf(server.port, [last('GET /v1/a', { 'X-A': 'x'.repeat(4096) })]), [431])
  assert.deepEqual(await statusesOf(server.port, [last(`GET /v1/${'a'.repeat(4096)}`)]), [431])
  assert.deepEqual(await statusesOf(server.port, [last(`LIST /v1/${'a'.repeat(4096)}`)]), [431])
})

test('headers have a number, and a request is not judged by half of them', async () => {
  await using server = await start({ limits: { maxHeaders: 10 } })
  const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`X-${at}`, '1']))
  assert.deepEqual(await statusesOf(server.port, [last('GET /v1/a', headers(8))]), [200])
  assert.deepEqual(await statusesOf(server.port, [request('GET /v1/a', headers(10)) + request('GET /v1/b')]), [431])
  assert.deepEqual(await statusesOf(server.port, [request('POST /v1/a', headers(500), '{}')]), [431])
  assert.equal(server.seen.length, 1)
})

test('more connections than allowed are closed, and there is room again when one goes', async () => {
  await using server = await start({ limits: { maxConnections: 2 } })
  const first = await open(server.port)
  const second = await open(server.port)
  const third = await open(server.port)
  third.write(request('GET /v1/a'))
  assert.equal((await readAll(third)).length, 0)
  second.destroy()
  await sleep(20)
  assert.deepEqual(await statusesOf(server.port, [last('GET /v1/a')]), [200])
  first.destroy()
})

test('a connection takes so many requests and says which is the last', async () => {
  await using server = await start({ limits: { maxRequestsPerConnection: 2 } })
  const answers = await talk(server.port, [request('GET /v1/slow/a').repeat(4)])
  assert.deepEqual(
    answers.map(({ headers }) => headers['connection']),
    ['keep-alive', 'close'],
  )
  assert.equal(server.seen.length, 2)
})

test('a connection has so many requests carried out at the same time', async () => {
  await using server = await start({ limits: { maxPipelinedRequests: 3 } })
  const statuses = await statusesOf(server.port, [request('GET /v1/slow/a').repeat(6)])
  assert.deepEqual(statuses, [200, 200, 200, 429])
  assert.equal(server.seen.length, 3)
  // One after the other it may send as many as it likes.
  assert.deepEqual(
    await statusesOf(server.port, [...Array.from({ length: 6 }, () => request('GET /v1/a')), last('GET /v1/a')]),
    Array(7).fill(200),
  )
})

const slow: [name: string, bytes: string][] = [
  ['silent', ''],
  ['half a request line', 'GET /v1'],
  ['half a header', 'GET /v1/a HTTP/1.1\r\nHost: a\r\nX-'],
]
for (const [name, bytes] of slow) {
  test(`slow headers are cut off: ${name}`, async () => {
    await using server = await start({ limits: { headerSeconds: 0.3 } })
    const startedAt = performance.now()
    const socket = await open(server.port)
    if (bytes) socket.write(bytes)
    // One byte now and then does not help.
    const drip = setInterval(() => bytes && socket.write('x'), 50)
    const answers = parseAnswers(await readAll(socket))
    clearInterval(drip)
    assert.deepEqual(
      answers.map(({ status }) => status),
      [408],
    )
    assert.ok(performance.now() - startedAt < 1500)
    assert.equal(server.seen.length, 0)
  })
}

test('a slow body is cut off', async () => {
  await using server = await start({ limits: { readSeconds: 0.3 } })
  const socket = await open(server.port)
  socket.write(request('POST /v1/a', { 'Content-Length': '1000' }) + '{')
  const drip = setInterval(() => socket.write(' '), 50)
  const answers = parseAnswers(await readAll(socket))
  clearInterval(drip)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [408],
  )
  assert.equal(server.seen.length, 0)
})

test('two hundred slow clients keep nobody waiting', async () => {
  await using server = await start({ limits: { headerSeconds: 2 } })
  const clients = await Promise.all(Array.from({ length: 200 }, () => open(server.port)))
  for (const client of clients) client.write('GET /v1/a HTTP/1.1\r\nHost: a\r\nX-')
  const startedAt = performance.now()
  assert.deepEqual(await statusesOf(server.port, [last('GET /v1/b')]), [200])
  assert.ok(performance.now() - startedAt < 500)
  for (const client of clients) client.destroy()
})

test('an idle connection is closed', async () => {
  await using server = await start({ limits: { idleSeconds: 0.2 } })
  const startedAt = performance.now()
  assert.deepEqual(await statusesOf(server.port, [request('GET /v1/a')]), [200])
  const took = performance.now() - startedAt
  assert.ok(took > 150 && took < 1500, `closed after ${took} ms`)
})

test('a request that takes too long is answered, and what its handler says later goes nowhere', async () => {
  await using server = await start({ limits: { maxRequestSeconds: 0.2 } }, async ({ path }) => {
    if (path === 'long') await sleep(600)
    return json({ path })
  })
  const socket = await open(server.port)
  const received = readAll(socket)
  socket.write(request('GET /v1/long'))
  await once(socket, 'data')
  await sleep(600)
  socket.write(last('GET /v1/short'))
  const answers = parseAnswers(await received)
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body]),
    [
      [500, '{"errors":["context deadline exceeded"]}\n'],
      [200, '{"path":"short"}\n'],
    ],
  )
})

test('a body that comes after its request was given up is not carried out', async () => {
  await using server = await start({ limits: { maxRequestSeconds: 0.2 } })
  const socket = await open(server.port)
  const received = readAll(socket)
  socket.write(request('POST /v1/a', { 'Content-Length': '2' }))
  await once(socket, 'data')
  socket.write('{}')
  assert.deepEqual(
    parseAnswers(await received).map(({ status }) => status),
    [500],
  )
  assert.equal(server.seen.length, 0)
})

test('who does not read an answer is cut off', async () => {
  await using server = await start({ limits: { maxRequestSeconds: 0.3 } }, async () =>
    json({ big: 'x'.repeat(20_000_000) }),
  )
  const socket = await open(server.port)
  socket.pause()
  socket.on('error', () => {})
  socket.write(request('GET /v1/a'))
  await sleep(1200)
  const received = readAll(socket)
  socket.resume()
  assert.ok((await received).length < 20_000_000)
})
