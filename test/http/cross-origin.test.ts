/** Requests from pages of other origins, headers that operators add, and the log as an answer without end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { test } from 'node:test'
import { sendTo, startServer, type TestServer } from '#test/server.ts'
import { start, talk, last } from './harness.ts'

const page = 'https://app.example'
const from = (origin: string, more: Record<string, string> = {}) => ({ headers: { origin, ...more } })
const asks = (method: string) => from(page, { 'access-control-request-method': method })
const allow = (server: TestServer, origins: string) => server.write('sys/config/cors', { allowed_origins: origins })
const about = (headers: Record<string, unknown>) => Object.keys(headers).filter((each) => each.startsWith('access-'))

test('while the rules are off nobody is judged, and a browser lets no page see an answer', async () => {
  await using server = await startServer({ secret: true })
  const answer = await server.send('GET', 'sys/mounts', undefined, from(page))
  assert.equal(answer.status, 200)
  assert.deepEqual(about(answer.headers), [])
  assert.equal((await server.send('OPTIONS', 'sys/mounts', undefined, asks('GET'))).status, 405)
})

test('an allowed page may ask, and is told so with refusals too', async () => {
  await using server = await startServer()
  await allow(server, page)
  for (const [path, status] of [
    ['sys/mounts', 200],
    ['none', 404],
  ] as const) {
    const answer = await server.send('GET', path, undefined, from(page))
    assert.equal(answer.status, status)
    assert.equal(answer.headers['access-control-allow-origin'], page)
    assert.equal(answer.headers['vary'], 'Origin')
  }
})

test('any other page is refused before anything is done', async () => {
  await using server = await startServer({ secret: true })
  await allow(server, page)
  for (const origin of ['https://app.example.evil', 'http://app.example', 'null', `${page}/`]) {
    const answer = await server.send('POST', 'secret/data/a', { data: { v: 1 } }, from(origin))
    assert.deepEqual([answer.status, answer.body], [403, { errors: ['origin not allowed'] }])
    assert.deepEqual(about(answer.headers), [])
  }
  assert.equal((await server.read('secret/data/a')).status, 404)
  assert.equal((await server.send('OPTIONS', 'secret/data/a', undefined, from('https://b'))).status, 403)
  assert.equal(
    (await server.write('secret/data/a', { data: { v: 1 } })).status,
    200,
    'without an origin all is as ever',
  )
})

test('the question before a request is answered without a token and without a body', async () => {
  await using server = await startServer()
  await server.write('sys/config/cors', { allowed_origins: page, allowed_headers: 'X-More' })
  const answer = await server.send('OPTIONS', 'secret/data/a', undefined, { ...asks('LIST'), token: null })
  assert.deepEqual([answer.status, answer.text], [200, ''])
  assert.equal(answer.headers['access-control-allow-methods'], 'DELETE,GET,OPTIONS,POST,PUT,PATCH,LIST,SCAN')
  assert.match(String(answer.headers['access-control-allow-headers']), /X-Vault-Token.*,X-More$/)
  assert.equal(answer.headers['access-control-max-age'], '300')
  const strange = await server.send('OPTIONS', 'secret/data/a', undefined, asks('TRACE'))
  assert.deepEqual([strange.status, about(strange.headers)], [405, []])
})

test('all pages may ask when that is said, and the rules end with their deletion and while sealed', async () => {
  await using server = await startServer()
  await allow(server, '*')
  const ask = () => server.send('GET', 'sys/mounts', undefined, from('https://anybody'))
  assert.equal((await ask()).headers['access-control-allow-origin'], 'https://anybody')
  await server.delete('sys/config/cors')
  assert.equal((await ask()).headers['access-control-allow-origin'], undefined)
  await allow(server, page)
  await server.write('sys/seal', {})
  assert.equal((await ask()).status, 503)
})

test('pages of the web interface have the headers that are set for them, and nothing else has', async () => {
  await using server = await startServer()
  await server.write('sys/config/ui/headers/X-Page', { values: ['a', 'b'] })
  const ui = await sendTo(server.port, 'GET', '/ui/vault/secrets', undefined, {})
  assert.equal(ui.headers['x-page'], 'a, b')
  assert.equal(ui.headers['x-content-type-options'], 'nosniff')
  assert.match(String(ui.headers['content-security-policy']), /default-src 'none'/)
  for (const path of ['/v1/sys/health', '/uix']) {
    const other = await sendTo(server.port, 'GET', path, undefined, {})
    assert.equal(other.headers['x-page'], undefined)
    assert.equal(other.headers['content-security-policy'], undefined)
  }
})

test('of headers by status the most exact place counts, and the server keeps its own', async () => {
  const responseHeaders = {
    default: [
      ['X-Where', 'default'],
      ['X-Always', 'yes'],
      ['Strict-Transport-Security', 'max-age=1'],
    ],
    '4xx': [['X-Where', '4xx']],
    '404': [['x-where', '404']],
  } as const
  await using server = await start({ responseHeaders }, async (incoming) => ({
    status: Number(incoming.path),
    contentType: 'text/plain',
    body: 'x',
  }))
  for (const [status, where] of [
    [200, 'default'],
    [400, '4xx'],
    [404, '404'],
    [503, 'default'],
  ] as const) {
    const [answer] = await talk(server.port, [last(`GET /v1/${status}`)])
    assert.equal(answer!.status, status)
    assert.equal(answer!.headers['x-where'], where)
    assert.equal(answer!.headers['x-always'], 'yes')
    assert.equal(answer!.headers['strict-transport-security'], 'max-age=1')
    assert.equal(answer!.headers['cache-control'], 'no-store')
  }
})

/** Follows the log; resolves when the answer has begun. */
async function follow(server: TestServer, query = '') {
  const outgoing = request({
    port: server.port,
    path: `/v1/sys/monitor${query}`,
    agent: false,
    headers: { 'x-vault-token': server.root },
  })
  outgoing.end()
  const [response] = await once(outgoing, 'response')
  response.setEncoding('utf8')
  let text = ''
  response.on('data', (piece: string) => (text += piece))
  // One that is left in the middle is aborted, as it should be.
  response.on('error', () => {})
  const ended = new Promise<void>((resolve) => response.on('close', resolve))
  const said = async (pattern: RegExp) => {
    const endMs = performance.now() + 5000
    while (!pattern.test(text)) {
      if (performance.now() > endMs) throw new Error(`not said: ${pattern}\n${text}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  return { response, said, ended, text: () => text, leave: () => outgoing.destroy() }
}

test('the log is followed as it is written, from a level on, in the format asked for', async () => {
  await using server = await startServer()
  const { log } = server
  const all = await follow(server, '?log_level=trace')
  const json = await follow(server, '?log_level=warn&log_format=json')
  assert.equal(all.response.statusCode, 200)
  assert.equal(all.response.headers['content-type'], 'text/plain; charset=utf-8')
  assert.equal(all.response.headers['content-length'], undefined)
  log.named('core', 'trace')('a small thing')
  log.named('http', 'error')('a large thing', { request_id: 'r' })
  await all.said(/^\S+Z \[TRACE\] core: a small thing\n\S+Z \[ERROR\] http: a large thing request_id="r"\n$/)
  await json.said(/\n/)
  const { '@timestamp': at, ...rest } = JSON.parse(json.text())
  assert.ok(!Number.isNaN(Date.parse(at)))
  assert.deepEqual(rest, { '@level': 'error', '@message': 'a large thing', '@module': 'http', request_id: 'r' })
  all.leave()
  json.leave()
})

test('sealing ends it with a word, and so does the end of the server', async () => {
  const server = await startServer()
  const one = await follow(server)
  await server.write('sys/seal', {})
  await one.said(/core received sealed state change, ending monitor session\n$/)
  await one.ended
  await server.write('sys/unseal', { key: server.unsealKey })
  const other = await follow(server)
  const before = performance.now()
  await server.stop()
  await other.ended
  assert.ok(performance.now() - before < 4000)
})

test('an answer without end does not keep a listener from closing', async () => {
  let ended = false
  const stream: AsyncIterable<string> = {
    [Symbol.asyncIterator]: () => {
      const waiting = Promise.withResolvers<IteratorResult<string>>()
      let first = true
      return {
        next: () => {
          if (!first) return waiting.promise
          first = false
          return Promise.resolve({ done: false, value: 'first\n' })
        },
        return: () => {
          ended = true
          waiting.resolve({ done: true, value: undefined })
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
  const server = await start({}, async () => ({ status: 200, contentType: 'text/plain', body: undefined, stream }))
  const answered = talk(server.port, ['GET /v1/a HTTP/1.0\r\n\r\n'])
  await new Promise((resolve) => setTimeout(resolve, 100))
  const before = performance.now()
  await server.listener.close({ drainSeconds: 20 })
  assert.ok(performance.now() - before < 5000)
  assert.ok(ended)
  await answered.catch(() => undefined)
})

test('no more than sixteen follow it, whoever leaves makes room, and who does not read is told what was left out', async () => {
  await using server = await startServer()
  const readers = await Promise.all(Array.from({ length: 16 }, () => follow(server)))
  assert.equal((await server.read('sys/monitor')).status, 429)
  readers[0]!.leave()
  const endMs = performance.now() + 5000
  for (;;) {
    const reader = await follow(server).catch(() => undefined)
    if (reader?.response.statusCode === 200) {
      reader.leave()
      break
    }
    assert.ok(performance.now() < endMs)
  }
  // More than one turn of the event loop takes, so that nobody can have read them.
  for (let at = 0; at < 2000; at++) server.log.named('core')(`line ${at}`)
  await readers[1]!.said(/1487 lines were told faster than they were read/)
  for (const reader of readers) reader.leave()
})

test('following needs a right and a level that there is', async () => {
  await using server = await startServer()
  assert.equal((await server.read('sys/monitor', null)).status, 403)
  assert.equal((await server.read('sys/monitor', await server.login(['default']))).status, 403)
  for (const query of ['log_level=loud', 'log_format=xml']) {
    assert.equal((await server.read(`sys/monitor?${query}`)).status, 400)
  }
})

test('levels are set for all loggers or one, and go back', async () => {
  await using server = await startServer()
  const levels = async () => (await server.read('sys/loggers')).body.data
  assert.deepEqual(new Set(Object.values(await levels())), new Set(['info']))
  assert.equal((await server.write('sys/loggers', { level: 'error' })).status, 204)
  assert.equal((await server.write('sys/loggers/audit', { level: 'TRACE' })).status, 204)
  assert.deepEqual((await server.read('sys/loggers/audit')).body.data, { audit: 'trace' })
  assert.equal((await levels()).core, 'error')
  const before = server.logged.length
  server.log.named('core', 'warn')('too quiet')
  server.log.named('audit', 'debug')('loud enough')
  assert.deepEqual(server.logged.slice(before), ['loud enough'])
  assert.equal((await server.delete('sys/loggers/audit')).status, 204)
  assert.equal((await levels()).audit, 'info')
  assert.equal((await server.delete('sys/loggers')).status, 204)
  assert.equal((await levels()).core, 'info')
  for (const [method, path, body, text] of [
    ['POST', 'sys/loggers', {}, 'level is required'],
    ['POST', 'sys/loggers', { level: 'loud' }, 'invalid level provided: loud'],
    ['POST', 'sys/loggers/none', { level: 'warn' }, 'logger "none" not found'],
    ['GET', 'sys/loggers/none', undefined, 'logger "none" not found'],
    ['DELETE', 'sys/loggers/constructor', undefined, 'logger "constructor" not found'],
  ] as const) {
    const answer = await server.send(method, path, body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [text]])
  }
})
