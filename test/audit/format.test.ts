/** The format of audit lines, and that no secret gets into one. */
import assert from 'node:assert/strict'
import { createHmac, randomBytes, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Formatter, type FormatOptions } from '#core/audit/format.ts'
import { formatOptions } from '#core/audit/options.ts'
import type { AuditEvent } from '#sdk/audit.ts'
import { auth, requestEvent, responseEvent } from './events.ts'

const key = randomBytes(32)
const hmac = (text: string) => `hmac-sha256:${createHmac('sha256', key).update(text).digest('hex')}`

function format(event: AuditEvent, options: Partial<FormatOptions> = {}, maxLineBytes?: number): any {
  const line = new Formatter({ key, ...options }, maxLineBytes).line(event)
  assert.ok(!line.includes('\n'))
  return JSON.parse(line)
}

const dataOf = (data: Record<string, unknown>, options: Partial<FormatOptions> = {}) =>
  format(requestEvent({ data }), options).request.data

/**
 * The lines of a reference server for reads, writes, listings, deletes, wrapping, log-ins, refusals and bad tokens, with
 * `#` for what it had hashed and `@` for times.
 */
const reference = gunzipSync(readFileSync('test/data/audit-lines.jsonl.gz')).toString('utf8').trimEnd().split('\n')

const now = new Date('2026-11-24T20:22:40.824Z')
let secrets = 0

/** What the event held, of which such a line was made: secrets for hashes, moments for times. */
function raw(value: any): any {
  if (value === '#') return `secret ${++secrets}`
  if (value === '@') return now
  if (Array.isArray(value)) return value.map(raw)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, raw(each)]))
}

/** The other way round; within payloads numbers are hashed too, which the reference leaves clear. */
function masked(value: any, payload: boolean, name = ''): any {
  if (typeof value === 'string' && /^hmac-sha256:[0-9a-f]{64}$/.test(value)) return '#'
  if (typeof value === 'string' && value === now.toISOString()) return '@'
  if (payload && typeof value === 'number') return '#'
  if (Array.isArray(value)) return value.map((each) => masked(each, payload))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([each, x]) => [each, masked(x, payload || name === 'data', each)]),
  )
}

test('lines have the names, the order and the values of the reference', () => {
  assert.equal(reference.length, 55)
  for (const text of reference) {
    const { time, response, ...rest } = JSON.parse(text)
    const event = { ...raw(rest), at: now, ...(response && { response: raw(response) }) }
    if (event.response?.wrap_info) event.response.wrap_info.creation_time = now.toISOString()
    const line = new Formatter({ key }).line(event)
    assert.equal(time, '@')
    assert.equal(JSON.stringify(masked(JSON.parse(line), false)), JSON.stringify(masked(JSON.parse(text), false)))
  }
})

test('members of events may come in any order', () => {
  const turned = (value: any): any => {
    if (Array.isArray(value)) return value.map(turned)
    if (typeof value !== 'object' || value === null || value instanceof Date) return value
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, each]) => [name, turned(each)]),
    )
  }
  for (const text of reference) {
    const { time: _, ...rest } = JSON.parse(text)
    const event = { ...raw(rest), at: now }
    const formatter = new Formatter({ key })
    assert.equal(formatter.line(turned(event)), formatter.line(event))
  }
})

test('every string and number of a payload is hashed, wherever it stands', () => {
  const data = JSON.parse(
    '{"z":"p","a":[["x",7,[]],{"q":1.5}],"n":-0.25,"big":1e300,"t":true,"f":false,"nil":null,"e":"","o":{},"__proto__":{"s":"deep"}}',
  )
  assert.deepEqual(dataOf(data), {
    ...JSON.parse(`{"__proto__":{"s":"${hmac('deep')}"}}`),
    a: [[hmac('x'), hmac('7'), []], { q: hmac('1.5') }],
    big: hmac('1e+300'),
    e: hmac(''),
    f: false,
    n: hmac('-0.25'),
    nil: null,
    o: {},
    t: true,
    z: hmac('p'),
  })
  const line = new Formatter({ key }).line(requestEvent({ data }))
  assert.match(line, /"data":\{"__proto__":\{"s":"hmac-sha256:[0-9a-f]{64}"\},"a":/)
})

test('numbers are hashed by their JSON text, again and again the same', () => {
  const formatter = new Formatter({ key })
  for (let round = 0; round < 2; round++) {
    for (const number of [0, 1, 4095, 4096, -1, 0.1, 2 ** 53, -0]) {
      const line = JSON.parse(formatter.line(requestEvent({ data: { number } })))
      assert.equal(line.request.data.number, hmac(JSON.stringify(number)))
    }
  }
  assert.deepEqual(dataOf({ a: Number.NaN, b: Infinity, c: 12345678901234567890n }), {
    a: null,
    b: null,
    c: hmac('12345678901234567890'),
  })
})

test('text beyond ASCII is hashed by its UTF-8, and names are escaped', () => {
  const name = 'näme "\\\u0000\u2028\ud800'
  assert.deepEqual(dataOf({ [name]: 'pässwörd 🔑' }), { [name]: hmac('pässwörd 🔑') })
})

test('moments stay clear, bytes are hashed as base64, what JSON has not is left out', () => {
  const moment = new Date('2026-01-02T03:04:05Z')
  assert.deepEqual(dataOf({ moment, bytes: new Uint8Array([1, 2, 3]), no: undefined, list: [undefined] }), {
    moment: '2026-01-02T03:04:05.000Z',
    bytes: hmac('AQID'),
    list: [null],
  })
})

test('a payload that nests too deep or has too many values is told by one hash', () => {
  let deep: unknown = 'the secret'
  for (let at = 0; at < 100; at++) deep = [deep]
  const text = JSON.stringify(dataOf({ deep }))
  assert.ok(text.includes('hmac-sha256:'))
  assert.ok(text.length < 300)

  const many = { list: Array.from({ length: 10_001 }, (_, at) => `value ${at}`) }
  const bytes = Buffer.byteLength(JSON.stringify(many))
  assert.deepEqual(dataOf(many), { elided: hmac(JSON.stringify(many)), elided_bytes: bytes })
})

test('a line too long for its device has one hash in place of each payload', () => {
  const data = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`a rather long name of a member, ${at}`, 'x']))
  const event: AuditEvent = { ...requestEvent({ data }), type: 'response', response: { data } }
  assert.equal(Object.keys(format(event).response.data).length, 60)
  const short = format(event, {}, 4_000)
  assert.equal(short.request.data.elided, hmac(JSON.stringify(data)))
  assert.equal(short.response.data.elided, hmac(JSON.stringify(data)))
  assert.throws(() => format(requestEvent({ path: 'x'.repeat(4_000) }), {}, 4_000), { code: 'audit_failed' })
  // Bytes count, not letters.
  assert.throws(() => format(requestEvent({ path: 'ä'.repeat(1_900) }), {}, 4_000), { code: 'audit_failed' })
})

test('tokens and accessors are hashed wherever they stand', () => {
  const event: AuditEvent = {
    ...requestEvent({ client_token: auth.client_token, client_token_accessor: auth.accessor }),
    type: 'response',
    response: {
      auth: { client_token: 'new token', accessor: 'new accessor', token_type: 'service', num_uses: 3 },
      wrap_info: {
        token: 'wrapping token',
        accessor: 'wrapping accessor',
        ttl: 60,
        creation_time: '2026-01-02T03:04:05Z',
        creation_path: 'secret/data/app',
        wrapped_accessor: 'wrapped accessor',
      },
    },
  }
  const hashed = format(event)
  assert.equal(hashed.auth.client_token, hmac(auth.client_token!))
  assert.equal(hashed.auth.accessor, hmac(auth.accessor!))
  assert.equal(hashed.request.client_token, hmac(auth.client_token!))
  assert.equal(hashed.request.client_token_accessor, hmac(auth.accessor!))
  assert.equal(hashed.response.auth.client_token, hmac('new token'))
  assert.equal(hashed.response.auth.accessor, hmac('new accessor'))
  assert.equal(hashed.response.wrap_info.token, hmac('wrapping token'))
  assert.equal(hashed.response.wrap_info.accessor, hmac('wrapping accessor'))
  assert.equal(hashed.response.wrap_info.wrapped_accessor, hmac('wrapped accessor'))

  const clear = format(event, { hmacAccessor: false })
  assert.equal(clear.auth.client_token, hmac(auth.client_token!))
  assert.equal(clear.request.client_token, hmac(auth.client_token!))
  assert.equal(clear.response.wrap_info.token, hmac('wrapping token'))
  assert.equal(clear.auth.accessor, auth.accessor)
  assert.equal(clear.request.client_token_accessor, auth.accessor)
  assert.equal(clear.response.auth.accessor, 'new accessor')
  assert.equal(clear.response.wrap_info.accessor, 'wrapping accessor')
  assert.equal(clear.response.wrap_info.wrapped_accessor, 'wrapped accessor')
})

test('a token other than that of the auth block is hashed for itself', () => {
  const formatter = new Formatter({ key })
  for (const token of ['another', auth.client_token!, undefined, 'third']) {
    const { request } = JSON.parse(formatter.line(requestEvent({ client_token: token })))
    assert.equal(request.client_token, token && hmac(token))
  }
})

test('log_raw hashes nothing', () => {
  const event = requestEvent({ client_token: auth.client_token, data: { a: 'x', n: [1] }, headers: { h: ['v'] } })
  const line = format(event, { logRaw: true })
  assert.deepEqual(line.auth, { ...auth })
  assert.equal(line.request.client_token, auth.client_token)
  assert.deepEqual(line.request.data, { a: 'x', n: [1] })
  assert.deepEqual(line.request.headers, { h: ['v'] })
})

test('elide_list_responses tells how many there were, in replies to listings only', () => {
  const data = { keys: ['a', 'b', 'c'], key_info: { a: {}, b: {} }, other: 'x' }
  const options = { elideListResponses: true }
  const told = { keys: 3, key_info: 2, other: hmac('x') }
  assert.deepEqual(format(responseEvent({ data }, 'list'), options).response.data, told)
  assert.deepEqual(format(responseEvent({ data }, 'scan'), options).response.data, told)
  assert.deepEqual(format(responseEvent({ data }, 'read'), options).response.data.keys, ['a', 'b', 'c'].map(hmac))
  assert.deepEqual(format(responseEvent({ data }, 'list')).response.data.keys, ['a', 'b', 'c'].map(hmac))
  const odd = { keys: 'not a list', key_info: ['no', 'map'] }
  assert.deepEqual(format(responseEvent({ data: odd }, 'list'), options).response.data, {
    keys: hmac('not a list'),
    key_info: [hmac('no'), hmac('map')],
  })
})

test('members and headers that are told clear stay as they are, and only those', () => {
  const event = requestEvent({
    data: { clear: 'x', in: { clear: [1, 'y'] }, hidden: 'z' },
    clearData: ['clear'],
    headers: { 'x-clear': ['1'], 'x-hidden': ['2'] },
    clearHeaders: ['x-clear'],
  })
  const { request } = format(event)
  assert.deepEqual(request.data, { clear: 'x', in: { clear: [1, 'y'] }, hidden: hmac('z') })
  assert.deepEqual(request.headers, { 'x-clear': ['1'], 'x-hidden': [hmac('2')] })
})

test('time, error, reason, lease and warnings', () => {
  const event: AuditEvent = {
    ...responseEvent({ secret: { lease_id: 'database/creds/r/x' }, warnings: ['a "warning"'] }),
    error: '1 error occurred:\n\t* permission denied\n\n',
    reason: 'no policy allows it',
  }
  const line = new Formatter({ key }).line(event)
  assert.deepEqual(Object.keys(JSON.parse(line)), ['time', 'type', 'auth', 'request', 'response', 'error', 'reason'])
  const { time, response, error, reason } = JSON.parse(line)
  assert.equal(time, '2026-01-02T03:04:05.678Z')
  assert.equal(error, event.error)
  assert.equal(reason, event.reason)
  assert.deepEqual(response, event.response)
  for (const at of ['1970-01-01T00:00:00.000Z', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.007Z']) {
    assert.equal(format({ ...requestEvent(), at: new Date(at) }).time, at)
  }
})

test('two mounts with one accessor in turn are not mixed up', () => {
  const formatter = new Formatter({ key })
  for (const [point, version] of [
    ['a/', undefined],
    ['b/', 'v1'],
    ['b/', 'v2'],
    ['a/', undefined],
  ] as const) {
    const event = requestEvent({ mount_point: point, mount_accessor: 'kv_1', mount_running_version: version })
    const { request } = JSON.parse(formatter.line(event))
    assert.equal(request.mount_point, point)
    assert.equal(request.mount_running_version, version)
  }
})

test('no secret ever stands in a line', () => {
  const formatter = new Formatter({ key })
  const shortened = new Formatter({ key }, 3_000)
  const secret = () => randomBytes(randomInt(9, 40)).toString(randomInt(2) ? 'hex' : 'base64')
  const all: string[] = []
  const make = (depth: number): unknown => {
    const kind = randomInt(depth > 4 ? 3 : 6)
    if (kind < 2) return all[all.push(secret()) - 1]
    if (kind === 2) {
      const number = randomInt(2 ** 40, 2 ** 47)
      all.push(String(number))
      return number
    }
    const values = Array.from({ length: randomInt(5) }, () => make(depth + 1))
    return kind === 3
      ? values
      : Object.fromEntries(values.map((value, at) => [['name', '__proto__', 'ü'][at % 3], value]))
  }
  for (let round = 0; round < 2_000; round++) {
    all.length = 0
    const token = secret()
    const accessor = secret()
    all.push(token, accessor)
    const event: AuditEvent = {
      type: 'response',
      at: new Date(),
      auth: { client_token: token, accessor, token_type: 'service' },
      request: {
        ...requestEvent().request,
        client_token: token,
        client_token_accessor: accessor,
        data: { d: make(0) },
      },
      response: { data: { d: make(0), e: make(1) } },
    }
    for (const line of [formatter.line(event), shortened.line(event)]) {
      JSON.parse(line)
      for (const each of all) assert.ok(!line.includes(each), `${each} in ${line}`)
    }
  }
})

test('options come as text', () => {
  assert.deepEqual(formatOptions({}), { logRaw: false, hmacAccessor: true, elideListResponses: false })
  assert.deepEqual(formatOptions({ log_raw: 'true', hmac_accessor: '0', elide_list_responses: 'T' }), {
    logRaw: true,
    hmacAccessor: false,
    elideListResponses: true,
  })
  assert.throws(() => formatOptions({ log_raw: 'yes' }), { code: 'invalid_request' })
})
