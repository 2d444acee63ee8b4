import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { Client } from './client.ts'
import { ClientError, ConnectionError } from './errors.ts'

interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

/** A server that records what it is sent and answers as the test says. */
async function startPeer(answer: (seen: Seen, response: ServerResponse, count: number) => void, socket?: string) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const each = { method: request.method!, url: request.url!, headers: request.headers, body }
      seen.push(each)
      answer(each, response, seen.length)
    })
  })
  if (socket) server.listen(socket)
  else server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = socket ? `unix://${socket}` : `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    seen,
    address,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

test('a request carries token, namespace, wrap time and JSON, and its path is encoded', async () => {
  await using peer = await startPeer((_seen, response) => json(response, 200, { data: { a: 1 } }))
  const client = new Client({ address: `${peer.address}/proxy/`, token: 't', namespace: 'team/' })
  const reply = await client.request('PUT', 'secret/data/a b%/ü@x', {
    body: { v: 'é' },
    wrapTtl: '60s',
    query: { q: ['1', '2'], none: undefined },
  })
  await client.close()

  assert.deepEqual(reply.json, { data: { a: 1 } })
  const [seen] = peer.seen
  assert.equal(seen!.method, 'PUT')
  assert.equal(seen!.url, '/proxy/v1/secret/data/a%20b%25/%C3%BC@x?q=1&q=2')
  assert.equal(seen!.body, '{"v":"é"}')
  assert.equal(seen!.headers['x-vault-token'], 't')
  assert.equal(seen!.headers['x-vault-namespace'], 'team/')
  assert.equal(seen!.headers['x-vault-wrap-ttl'], '60s')
  assert.equal(seen!.headers['x-vault-request'], 'true')
  assert.equal(seen!.headers['content-type'], 'application/json')
})

test('LIST goes out as GET with list=true, PATCH as a merge patch', async () => {
  await using peer = await startPeer((_seen, response) => response.writeHead(204).end())
  const client = new Client({ address: peer.address })
  assert.equal((await client.request('LIST', 'secret/metadata/')).json, undefined)
  await client.request('PATCH', 'secret/data/a', { body: {} })
  await client.close()

  assert.equal(peer.seen[0]!.method, 'GET')
  assert.equal(peer.seen[0]!.url, '/v1/secret/metadata/?list=true')
  assert.equal(peer.seen[1]!.headers['content-type'], 'application/merge-patch+json')
  assert.equal(peer.seen[0]!.headers['x-vault-token'], undefined)
})

test('a refusal tells the address, the status and every error, but no token and no body', async () => {
  await using peer = await startPeer((_seen, response) =>
    json(response, 403, { errors: ['permission denied', 'and more'] }),
  )
  const client = new Client({ address: peer.address, token: 'hvs.very-secret', namespace: 'team/' })
  const error = await client
    .request('PUT', 'secret/data/a', { body: { v: 'hidden-value' } })
    .catch((each: unknown) => each)
  await client.close()

  assert.ok(error instanceof ClientError)
  assert.equal(error.status, 403)
  assert.deepEqual(error.errors, ['permission denied', 'and more'])
  assert.equal(
    error.message,
    `Error making API request.\n\nNamespace: team/\nURL: PUT ${peer.address}/v1/secret/data/a\nCode: 403. Errors:\n\n* permission denied\n* and more`,
  )
})

test('a page that is no JSON is shown as it is', async () => {
  await using peer = await startPeer((_seen, response) => response.writeHead(404).end('<h1>proxy</h1>'))
  const client = new Client({ address: peer.address })
  await assert.rejects(client.request('GET', 'x'), /Code: 404\. Raw Message:\n\n<h1>proxy<\/h1>$/)
  await client.close()
})

test('5xx and 412 are tried again, 501 and 400 are not', async () => {
  for (const [status, expected] of [
    [503, 2],
    [500, 2],
    [412, 2],
    [501, 1],
    [400, 1],
  ] as const) {
    await using peer = await startPeer((_seen, response, count) =>
      count === 1 ? json(response, status, { errors: ['no'] }) : json(response, 200, {}),
    )
    const client = new Client({ address: peer.address, maxRetries: 1, retryWaitMs: 1 })
    const result = await client.request('GET', 'x').catch((error: unknown) => error)
    await client.close()
    assert.equal(peer.seen.length, expected, `status ${status}`)
    assert.equal(result instanceof ClientError, expected === 1, `status ${status}`)
  }
})

test('a change that broke off without an answer is not sent twice, a read is', async () => {
  for (const [method, expected] of [
    ['PUT', 1],
    ['GET', 2],
  ] as const) {
    await using peer = await startPeer((_seen, response) => response.socket!.destroy())
    const client = new Client({ address: peer.address, maxRetries: 1, retryWaitMs: 1 })
    await assert.rejects(client.request(method, 'x'), ConnectionError)
    await client.close()
    assert.equal(peer.seen.length, expected, method)
  }
})

test('without an answer in time the request fails with ETIMEDOUT', async () => {
  await using peer = await startPeer(() => undefined)
  const client = new Client({ address: peer.address, timeoutMs: 50, maxRetries: 0 })
  await assert.rejects(
    client.request('PUT', 'x'),
    (error: unknown) => error instanceof ConnectionError && error.code === 'ETIMEDOUT',
  )
  await client.close()
})

test('one redirect is followed with token and body, a second is not, and none where that is forbidden', async () => {
  await using target = await startPeer((seen, response) =>
    seen.url === '/v1/again' ? response.writeHead(307, { location: '/v1/a' }).end() : json(response, 200, { ok: true }),
  )
  await using peer = await startPeer((seen, response) =>
    response.writeHead(307, { location: target.address + seen.url }).end(),
  )
  const client = new Client({ address: peer.address, token: 't' })
  assert.deepEqual((await client.request('PUT', 'a', { body: { v: 1 } })).json, { ok: true })
  assert.equal(target.seen[0]!.body, '{"v":1}')
  assert.equal(target.seen[0]!.headers['x-vault-token'], 't')
  await assert.rejects(
    client.request('GET', 'again'),
    (error: unknown) => error instanceof ClientError && error.status === 307,
  )
  await client.close()

  const strict = new Client({ address: peer.address, followRedirects: false })
  await assert.rejects(
    strict.request('GET', 'a'),
    (error: unknown) => error instanceof ClientError && error.status === 307,
  )
  await strict.close()
})

test('a unix socket is an address too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'client-'))
  try {
    await using peer = await startPeer(
      (_seen, response) => json(response, 200, { via: 'socket' }),
      join(directory, 's'),
    )
    const client = new Client({ address: peer.address })
    assert.deepEqual((await client.request('GET', 'sys/health')).json, { via: 'socket' })
    await client.close()
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('addresses of other schemes are refused at once', () => {
  for (const address of ['', '127.0.0.1:8200', 'ftp://x', 'localhost'])
    assert.throws(() => new Client({ address }), /is no address/)
})
