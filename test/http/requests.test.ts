/** What a request becomes, and what its answer looks like on the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outgoing } from '#request/incoming.ts'
import { ApiError, errorCodes, type ErrorCode } from '#sdk/errors.ts'
import { json, last, request, start, talk } from './harness.ts'

/** What the handler got of one request. */
async function incomingOf(bytes: string) {
  await using server = await start()
  const answers = await talk(server.port, [bytes], { methods: [bytes.split(' ')[0]!] })
  assert.equal(answers[0]!.status, 200, answers[0]!.body)
  return server.seen[0]!
}

async function statusOf(bytes: string): Promise<[number, unknown]> {
  await using server = await start()
  const [answer] = await talk(server.port, [bytes])
  assert.equal(server.seen.length, 0, 'it was carried out')
  return [answer!.status, JSON.parse(answer!.body)]
}

const operations: [bytes: string, operation: string, path: string, body: object][] = [
  [last('GET /v1/a/b'), 'read', 'a/b', {}],
  [last('HEAD /v1/a'), 'read', 'a', {}],
  [last('GET /v1/a?version=2&x=1&x=2'), 'read', 'a', { version: '2', x: ['1', '2'] }],
  [last('GET /v1/a?list=true'), 'list', 'a/', {}],
  [last('GET /v1/a/?list=1&limit=5'), 'list', 'a/', { limit: '5' }],
  [last('GET /v1/a?list=True'), 'list', 'a/', {}],
  [last('GET /v1/a?list=false'), 'read', 'a', { list: 'false' }],
  [last('GET /v1/a?list='), 'read', 'a', { list: '' }],
  [last('GET /v1/a?scan=true'), 'scan', 'a/', {}],
  [last('GET /v1/a?help=1'), 'help', 'a', {}],
  [last('POST /v1/a?help=1', {}, '{"a":1}'), 'help', 'a', {}],
  [last('GET /v1/a?help='), 'read', 'a', {}],
  [last('LIST /v1/a?after=b'), 'list', 'a/', { after: 'b' }],
  [last('LIST /v1/'), 'list', '', {}],
  [last('SCAN /v1/a/'), 'scan', 'a/', {}],
  [last('DELETE /v1/a?versions=1&versions=2'), 'delete', 'a', { versions: ['1', '2'] }],
  [last('DELETE /v1/a', {}, '{"ignored":true}'), 'delete', 'a', {}],
  [last('POST /v1/a', {}, '{"b":[1]}'), 'update', 'a', { b: [1] }],
  [last('PUT /v1/a?ignored=1', {}, '{"b":1}'), 'update', 'a', { b: 1 }],
  [last('POST /v1/a'), 'update', 'a', {}],
  [last('POST /v1/a', { 'Content-Type': 'text/plain; charset=utf-8' }, '{"b":1}'), 'update', 'a', { b: 1 }],
  [
    last('POST /v1/a', { 'Content-Type': 'application/x-www-form-urlencoded' }, 'b=1&c=%20'),
    'update',
    'a',
    { b: '1', c: ' ' },
  ],
  [last('POST /v1/a', { 'Content-Type': 'application/x-www-form-urlencoded' }, '{"b":1}'), 'update', 'a', { b: 1 }],
  [last('PATCH /v1/a', { 'Content-Type': 'application/merge-patch+json' }, '{"b":null}'), 'patch', 'a', { b: null }],
  [
    last('POST /v1/a', { 'Transfer-Encoding': 'chunked' }) + '3\r\n{"b\r\n4;x=y\r\n":2}\r\n0\r\n\r\n',
    'update',
    'a',
    { b: 2 },
  ],
  ['GET /v1/a HTTP/1.0\r\n\r\n', 'read', 'a', {}],
  [last('GET http://vault:8200/v1/a?b=1'), 'read', 'a', { b: '1' }],
]
for (const [bytes, operation, path, body] of operations) {
  const [line, ...rest] = bytes.split('\r\n')
  test(`${line} ${rest.at(-1)} is ${operation}`, async () => {
    const incoming = await incomingOf(bytes)
    assert.deepEqual(
      { operation: incoming.operation, path: incoming.path, body: { ...incoming.body } },
      { operation, path, body },
    )
  })
}

const refusals: [bytes: string, status: number, error: string | undefined][] = [
  [last('OPTIONS /v1/a'), 405, undefined],
  [last('TRACE /v1/a'), 405, undefined],
  [last('LOCK /v1/a'), 405, undefined],
  [last('LINK /v1/a'), 405, undefined],
  [last('UNLINK /v1/a'), 405, undefined],
  [last('CONNECT vault:8200'), 405, undefined],
  [last('GET /'), 404, undefined],
  [last('GET /ui'), 404, undefined],
  [last('GET /ui/vault'), 404, undefined],
  [last('GET /v1'), 404, undefined],
  [last('OPTIONS *'), 404, undefined],
  [last('GET /v1/a/../b'), 400, 'path must not have empty, "." or ".." segments'],
  [last('GET /v1/a?list=maybe'), 400, undefined],
  [last('GET /v1/a?list=true&scan=true'), 400, undefined],
  [last('POST /v1/a', {}, '{"a"'), 400, 'error parsing JSON'],
  [last('POST /v1/a', {}, '[1]'), 400, 'error parsing JSON'],
  [last('PATCH /v1/a', {}, '{}'), 400, 'mime: no media type'],
  [
    last('PATCH /v1/a', { 'Content-Type': 'application/json; charset=utf-8' }, '{}'),
    415,
    'PATCH requires Content-Type of application/merge-patch+json, provided application/json',
  ],
  [
    last('GET /v1/a', { 'X-Vault-Wrap-TTL': 'soon' }),
    400,
    'error parsing X-Vault-Wrap-TTL header: time: invalid duration "soon"',
  ],
  [
    last('GET /v1/a', { 'X-Vault-Wrap-TTL': '-5' }),
    400,
    'error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative',
  ],
  [
    last('GET /v1/a', { 'X-Vault-Wrap-TTL': '99999999999' }),
    400,
    'error parsing X-Vault-Wrap-TTL header: time: invalid duration "99999999999"',
  ],
  [last('GET /v1/a', { 'X-Vault-Namespace': 'a/../b' }), 400, 'X-Vault-Namespace is not a valid path'],
  [last('GET /v1/a', { 'X-Vault-Namespace': 'a//b' }), 400, 'X-Vault-Namespace is not a valid path'],
]
for (const [bytes, status, error] of refusals) {
  test(`${bytes.slice(0, bytes.indexOf('Connection')).replaceAll('\r\n', ' ')} is refused with ${status}`, async () => {
    assert.deepEqual(await statusOf(bytes), [status, { errors: error === undefined ? [] : [error] }])
  })
}

const malformed: Record<string, string> = {
  'another protocol': 'GET /v1/a FTP/1.1\r\nHost: a\r\n\r\n',
  'no target': 'GET\r\nHost: a\r\n\r\n',
  'a blank in the target': 'GET /v1/a b HTTP/1.1\r\nHost: a\r\n\r\n',
  'no Host': 'GET /v1/a HTTP/1.1\r\n\r\n',
  'a length and chunks': request('POST /v1/a', { 'Content-Length': '3', 'Transfer-Encoding': 'chunked' }) + '0\r\n\r\n',
  'two lengths': 'POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x',
  'a negative length': request('POST /v1/a', { 'Content-Length': '-1' }),
  'a length with a sign': request('POST /v1/a', { 'Content-Length': '+2' }) + '{}',
  'an unknown transfer coding last': request('POST /v1/a', { 'Transfer-Encoding': 'chunked, identity' }) + '0\r\n\r\n',
  'a chunk size that is none': request('POST /v1/a', { 'Transfer-Encoding': 'chunked' }) + 'xyz\r\n{}\r\n0\r\n\r\n',
  'a blank before the colon': 'GET /v1/a HTTP/1.1\r\nHost: a\r\nX-Vault-Token : t\r\n\r\n',
  'a folded header': 'GET /v1/a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
  'a NUL in a header': 'GET /v1/a HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n',
  'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01',
}
for (const [name, bytes] of Object.entries(malformed)) {
  test(`${name}: refused with 400, and nothing behind it is read`, async () => {
    await using server = await start()
    const answers = await talk(server.port, [bytes + request('GET /v1/behind')])
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers['connection']]),
      [[400, 'close']],
    )
    assert.ok(!server.seen.some(({ path }) => path === 'behind'))
  })
}

test('other versions of HTTP are refused', async () => {
  for (const line of ['GET /v1/a', 'GET /v1/a HTTP/0.9', 'GET /v1/a HTTP/2.0']) {
    await using server = await start()
    const answers = await talk(server.port, [`${line}\r\nHost: a\r\n\r\n`])
    assert.ok(answers.length === 1 && [400, 505].includes(answers[0]!.status), line)
    assert.equal(server.seen.length, 0)
  }
})

test('an error behind a pipelined request is told after its answer', async () => {
  await using server = await start()
  const answers = await talk(server.port, [request('GET /v1/slow/a') + 'NONSENSE\r\n\r\n'])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400],
  )
})

test('a broken chunk is told to the request it belongs to, after the answers before it', async () => {
  await using server = await start()
  const answers = await talk(server.port, [
    request('GET /v1/slow/a') + request('POST /v1/b', { 'Transfer-Encoding': 'chunked' }) + '1\r\n{\r\n',
    'zz\r\n',
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400],
  )
  assert.deepEqual(
    server.seen.map(({ path }) => path),
    ['slow/a'],
  )
})

test('headers become token, namespace and wrapping', async () => {
  const first = await incomingOf(
    last('GET /v1/a', {
      'X-Vault-Token': 'hvs.a',
      Authorization: 'Bearer hvs.b',
      'X-Vault-Namespace': '/team/x/',
      'X-Vault-Wrap-TTL': '5m',
      'X-Vault-Request': 'true',
    }),
  )
  assert.deepEqual([first.token, first.namespace, first.wrapTtlSeconds], ['hvs.a', 'team/x', 300])
  assert.equal(first.headers['x-vault-request'], 'true')
  assert.match(first.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(first.remoteAddress, '127.0.0.1')
  assert.ok(first.remotePort > 0)
  const second = await incomingOf(last('GET /v1/a', { Authorization: 'Bearer  hvs.b ', 'X-Vault-Wrap-TTL': '0' }))
  assert.deepEqual([second.token, second.namespace, second.wrapTtlSeconds], ['hvs.b', '', undefined])
  const third = await incomingOf(last('GET /v1/a', { Authorization: 'Basic eDp5', 'X-Vault-Wrap-TTL': '500ms' }))
  assert.deepEqual([third.token, third.wrapTtlSeconds], [undefined, 1])
})

test('the text of a body stays as it was sent', async () => {
  const incoming = await incomingOf(last('POST /v1/a', {}, '{"n": 1.50, "big": 12345678901234567890}'))
  assert.equal(incoming.bodyText, '{"n": 1.50, "big": 12345678901234567890}')
})

test('an OCSP request comes as one character a byte', async () => {
  const incoming = await incomingOf(
    last('POST /v1/pki/ocsp', { 'Content-Type': 'application/ocsp-request' }, '0\u0003\u0001'),
  )
  assert.deepEqual([incoming.body, incoming.bodyText], [{}, '0\u0003\u0001'])
})

async function answerOf(bytes: string, outgoing: Outgoing) {
  await using server = await start({}, async () => outgoing)
  const [answer] = await talk(server.port, [bytes], { methods: [bytes.split(' ')[0]!] })
  return answer!
}

test('JSON ends in a line break, is not to be cached, and says nothing of TLS over plain TCP', async () => {
  const { status, headers, body } = await answerOf(last('GET /v1/a'), json({ a: 'ü' }))
  assert.deepEqual([status, body], [200, '{"a":"ü"}\n'])
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['content-length'], '11')
  assert.equal(headers['strict-transport-security'], undefined)
})

test('a body that has its line break gets no second one, and other types none', async () => {
  assert.equal(
    (await answerOf(last('GET /v1/a'), { status: 200, contentType: 'application/json', body: '{}\n' })).body,
    '{}\n',
  )
  assert.equal((await answerOf(last('GET /v1/a'), { status: 200, contentType: 'text/plain', body: 'a' })).body, 'a')
  const bytes = { status: 200, contentType: 'application/pkix-cert', body: new Uint8Array([48, 49]) }
  assert.equal((await answerOf(last('GET /v1/a'), bytes)).body, '01')
})

test('HEAD is answered like GET, without the body', async () => {
  const { status, headers, body } = await answerOf(last('HEAD /v1/sys/health'), json({ sealed: true }, 503))
  assert.deepEqual([status, headers['content-length'], body], [503, '16', ''])
})

test('204 has no body and no length', async () => {
  const { status, headers, body } = await answerOf(last('DELETE /v1/a'), {
    status: 204,
    contentType: 'application/json',
    body: undefined,
  })
  assert.deepEqual(
    [status, headers['content-length'], headers['content-type'], body],
    [204, undefined, 'application/json', ''],
  )
})

test("an answer's own headers go out and win over ours; the namespace is told back", async () => {
  const outgoing = { ...json({}), headers: { 'Retry-After': '5', 'cache-control': 'max-age=60' } }
  const { headers } = await answerOf(last('GET /v1/a', { 'X-Vault-Namespace': 'team' }), outgoing)
  assert.equal(headers['retry-after'], '5')
  assert.equal(headers['cache-control'], 'max-age=60')
  assert.equal(headers['x-vault-namespace'], 'team')
})

test('a header that would break the answer becomes an internal error', async () => {
  const { status, headers, body } = await answerOf(last('GET /v1/a'), {
    ...json({}),
    headers: { 'X-A': 'b\r\nX-C: d' },
  })
  assert.deepEqual([status, headers['x-c'], body], [500, undefined, '{"errors":["internal error"]}\n'])
})

const statuses: Record<ErrorCode, number> = {
  invalid_request: 400,
  permission_denied: 403,
  not_found: 404,
  unsupported_operation: 405,
  precondition_failed: 412,
  too_large: 413,
  too_many_requests: 429,
  internal: 500,
  storage_failed: 500,
  audit_failed: 500,
  upstream_failed: 502,
  sealed: 503,
}
for (const code of errorCodes) {
  test(`${code} is ${statuses[code]}, and its reason is not told`, async () => {
    await using server = await start({}, async () => {
      throw new ApiError(code, 'for "everybody"', { reason: 'for the audit log' })
    })
    const [answer] = await talk(server.port, [last('GET /v1/a')])
    assert.deepEqual([answer!.status, answer!.body], [statuses[code], '{"errors":["for \\"everybody\\""]}\n'])
  })
}

test('an error without a message is an empty list', async () => {
  await using server = await start({}, async () => {
    throw new ApiError('not_found', '')
  })
  assert.equal((await talk(server.port, [last('GET /v1/a')]))[0]!.body, '{"errors":[]}\n')
})

test('any other error is internal, and neither the client nor the log reads its message', async () => {
  for (const thrown of [
    new TypeError('token is hvs.secret'),
    'hvs.secret',
    undefined,
    new ApiError('internal', 'x', { cause: new Error('hvs.secret') }),
  ]) {
    await using server = await start({}, async () => {
      throw thrown
    })
    const [answer] = await talk(server.port, [last('GET /v1/a')])
    assert.equal(answer!.status, 500)
    if (!(thrown instanceof ApiError)) assert.equal(answer!.body, '{"errors":["internal error"]}\n')
    assert.equal(server.logged.length, 1)
    assert.match(server.logged[0]!, new RegExp(`request failed.*${server.seen[0]!.id}`))
    assert.ok(!server.logged[0]!.includes('hvs.secret'))
    if (thrown instanceof TypeError) assert.match(server.logged[0]!, /TypeError.*requests\.test\.ts/)
  }
})

test('a handler that throws at once is answered as well', async () => {
  await using server = await start({}, () => {
    throw new ApiError('sealed', 'Vault is sealed')
  })
  assert.equal((await talk(server.port, [last('GET /v1/a')]))[0]!.status, 503)
})

test('answers leave in the order of the requests, whichever is ready first', async () => {
  await using server = await start()
  const answers = await talk(server.port, [
    request('GET /v1/slow/a') + request('GET /v1/b') + request('GET /v1/slow/c') + last('GET /v1/d'),
  ])
  assert.deepEqual(
    answers.map(({ body }) => JSON.parse(body).path),
    ['slow/a', 'b', 'slow/c', 'd'],
  )
})

test('a refused request does not end its connection', async () => {
  await using server = await start()
  const answers = await talk(server.port, [
    request('GET /ui/') + request('POST /v1/a', {}, '{') + request('GET /v1/a/..') + last('GET /v1/b'),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 400, 400, 200],
  )
})
