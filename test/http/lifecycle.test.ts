/** Listening, TLS, unix sockets and the way a listener ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect as connectPlain, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { parseAddress } from '#http/options.ts'
import { createListener } from '#http/server.ts'
import {
  type Certificates,
  echo,
  json,
  last,
  makeCertificates,
  open,
  parseAnswers,
  readAll,
  request,
  start,
  talk,
} from './harness.ts'

let certificates: Certificates
before(() => (certificates = makeCertificates()))
after(() => certificates[Symbol.dispose]())

const files = () => ({ certFile: certificates.certFile, keyFile: certificates.keyFile })

test('closing waits for requests under way, refuses new connections, and closes idle ones', async () => {
  const server = await start({}, async () => {
    await sleep(200)
    return json({ done: true })
  })
  const busy = await open(server.port)
  const idle = await open(server.port)
  const busyAnswer = readAll(busy)
  const idleEnd = readAll(idle)
  busy.write(request('GET /v1/a'))
  await sleep(20)
  const closing = server.listener.close({ drainSeconds: 5 })
  await idleEnd
  await assert.rejects(open(server.port))
  const [answer] = parseAnswers(await busyAnswer)
  assert.deepEqual([answer!.status, answer!.headers['connection']], [200, 'close'])
  await closing
})

test('closing ends connections that are kept alive after their requests at once, plain, over TLS and behind a proxy', async () => {
  const proxyProtocol = { trusts: () => true, denyOthers: false }
  for (const [tls, options] of [
    [false, {}],
    [true, { tls: files() }],
    [false, { proxyProtocol }],
    [true, { tls: files(), proxyProtocol }],
  ] as const) {
    const server = await start(options)
    const kept = await open(server.port, tls)
    kept.write(request('GET /v1/a'))
    await once(kept, 'data')
    const ended = readAll(kept)
    const startedAt = performance.now()
    await server.listener.close({ drainSeconds: 20 })
    await ended
    assert.ok(performance.now() - startedAt < 1500, JSON.stringify(options))
  }
})

test('a request whose body is still coming when closing begins is answered', async () => {
  const server = await start()
  const socket = await open(server.port)
  const received = readAll(socket)
  socket.write(request('POST /v1/a', { 'Content-Length': '7' }) + '{"a"')
  await sleep(20)
  const closing = server.listener.close({ drainSeconds: 5 })
  await sleep(20)
  socket.write(':1}')
  assert.deepEqual(
    parseAnswers(await received).map(({ status }) => status),
    [200],
  )
  await closing
})

test('pipelined requests under way are all answered, the last one as the last', async () => {
  const server = await start({}, async ({ path }) => {
    await sleep(100)
    return json({ path })
  })
  const socket = await open(server.port)
  const received = readAll(socket)
  socket.write(request('GET /v1/a') + request('LIST /v1/b') + request('GET /v1/c'))
  await sleep(30)
  await server.listener.close({ drainSeconds: 5 })
  const answers = parseAnswers(await received)
  assert.equal(answers.at(-1)!.headers['connection'], 'close')
  assert.equal(answers.length, server.seen.length)
})

test('what is not answered in time is cut', async () => {
  const server = await start({}, () => new Promise(() => {}))
  const socket = await open(server.port)
  const received = readAll(socket)
  socket.write(request('GET /v1/a'))
  await sleep(20)
  const startedAt = performance.now()
  await server.listener.close({ drainSeconds: 0.2 })
  assert.ok(performance.now() - startedAt < 1500)
  assert.equal((await received).length, 0)
})

test('an address in use is an error', async () => {
  await using server = await start()
  await assert.rejects(createListener(echo, { address: server.listener.address }).listen(), { code: 'EADDRINUSE' })
})

test('several listeners share a port when told so', async () => {
  await using first = await start({ reusePort: true })
  await using second = await start({ reusePort: true, address: first.listener.address })
  assert.equal(second.port, first.port)
  for (let round = 0; round < 40; round++) await talk(first.port, [last('GET /v1/a')])
  assert.equal(first.seen.length + second.seen.length, 40)
  assert.ok(first.seen.length > 0 && second.seen.length > 0)
})

test('addresses are host and port, or a path', () => {
  assert.deepEqual(parseAddress('127.0.0.1:8200'), { host: '127.0.0.1', port: 8200 })
  assert.deepEqual(parseAddress('[::1]:0'), { host: '::1', port: 0 })
  assert.deepEqual(parseAddress(':8200'), { host: undefined, port: 8200 })
  assert.deepEqual(parseAddress('vault.example.com:443'), { host: 'vault.example.com', port: 443 })
  assert.deepEqual(parseAddress('/run/vault.sock'), { path: '/run/vault.sock' })
  assert.deepEqual(parseAddress('unix:///run/vault.sock'), { path: '/run/vault.sock' })
  for (const bad of ['', 'localhost', '127.0.0.1', '::1:8200', 'a:70000', 'a:b', 'a:'])
    assert.throws(() => parseAddress(bad), /neither host:port/)
})

test('IPv6 works, and IPv4 clients of a socket for both are told as IPv4', async () => {
  await using both = await start({ address: '[::]:0' })
  await talk(both.port, [last('GET /v1/a')])
  assert.equal(both.seen[0]!.remoteAddress, '127.0.0.1')
  assert.match(both.listener.address, /^\[::\]:\d+$/)
})

test('a unix socket serves its owner, and one left by a dead process is replaced', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-socket-'))
  const path = join(directory, 'api.sock')
  const ask = async () => {
    const socket = connectPlain(path)
    socket.write(request('GET /v1/a') + last('LIST /v1/b'))
    return parseAnswers(await readAll(socket)).map(({ status }) => status)
  }
  const listener = createListener(echo, { address: path })
  await listener.listen()
  assert.equal(listener.address, path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(await ask(), [200, 200])
  await assert.rejects(createListener(echo, { address: path }).listen(), { code: 'EADDRINUSE' })
  assert.deepEqual(await ask(), [200, 200])
  await listener.close({ drainSeconds: 1 })
  assert.ok(!existsSync(path))

  // A socket whose owner does not exist any more, as SIGKILL leaves it: a name without anybody behind it.
  const dead = createServer().listen(join(directory, 'dead.sock'))
  await once(dead, 'listening')
  const { linkSync } = await import('node:fs')
  linkSync(join(directory, 'dead.sock'), path)
  dead.close()
  await once(dead, 'close')
  const again = createListener(echo, { address: path, socketMode: 0o660 })
  await again.listen()
  assert.equal(statSync(path).mode & 0o777, 0o660)
  assert.deepEqual(await ask(), [200, 200])
  await again.close({ drainSeconds: 1 })

  writeFileSync(path, 'precious')
  await assert.rejects(createListener(echo, { address: path }).listen(), { code: 'EADDRINUSE' })
  assert.equal(readFileSync(path, 'utf8'), 'precious')
  rmSync(directory, { recursive: true })
})

/** One request by the TLS client of Node: status, headers and what the connection agreed on. */
async function ask(port: number, options: RequestOptions = {}) {
  const asked = httpsRequest({
    port,
    host: '127.0.0.1',
    path: '/v1/a',
    ca: readFileSync(certificates.caFile),
    agent: false,
    ...options,
  })
  asked.end()
  const [response] = await once(asked, 'response')
  response.resume()
  const socket = response.socket as TLSSocket
  const protocol = socket.getProtocol()
  const serverName = socket.getPeerCertificate().subject?.CN
  await once(response, 'end')
  return { status: response.statusCode, headers: response.headers, protocol, serverName }
}

test('TLS: verified by its authority, and told to be kept', async () => {
  await using server = await start({ tls: files() })
  const { status, headers, protocol } = await ask(server.port)
  assert.deepEqual([status, protocol], [200, 'TLSv1.3'])
  assert.equal(headers['strict-transport-security'], 'max-age=31536000; includeSubDomains')
  assert.equal(server.seen[0]!.remoteAddress, '127.0.0.1')
  assert.equal(server.seen[0]!.clientCertificates, undefined)
})

test('TLS: no version below the lowest', async () => {
  await using server = await start({ tls: files() })
  assert.equal((await ask(server.port, { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2')
  await assert.rejects(ask(server.port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
  await using strict = await start({ tls: { ...files(), minVersion: 'tls13' } })
  await assert.rejects(ask(strict.port, { maxVersion: 'TLSv1.2' }))
  assert.equal((await ask(strict.port)).protocol, 'TLSv1.3')
})

test('TLS: offers HTTP/1.1 and nothing else', async () => {
  await using server = await start({ tls: files() })
  const agreed = async (ALPNProtocols: string[]) => {
    const socket = connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols })
    await once(socket, 'secureConnect')
    socket.destroy()
    return socket.alpnProtocol
  }
  assert.equal(await agreed(['h2', 'http/1.1']), 'http/1.1')
  await assert.rejects(agreed(['h2']))
})

test('TLS: plain HTTP on its port is closed without an answer that could be mistaken', async () => {
  await using server = await start({ tls: files() })
  assert.deepEqual(await talk(server.port, [request('GET /v1/a')]).catch(() => []), [])
  assert.equal((await ask(server.port)).status, 200)
})

test('TLS: a handshake that is never finished is cut off', async () => {
  await using server = await start({ tls: files(), limits: { headerSeconds: 0.3 } })
  const startedAt = performance.now()
  await readAll(await open(server.port))
  assert.ok(performance.now() - startedAt < 1500)
})

test('TLS: a handshake under way does not keep a listener open for longer than it was given', async () => {
  const server = await start({ tls: files() })
  const socket = await open(server.port)
  const ended = readAll(socket)
  const startedAt = performance.now()
  await server.listener.close({ drainSeconds: 0.2 })
  assert.ok(performance.now() - startedAt < 1500)
  await ended
})

test('client certificates are handed on with their chain when shown, unverified, unless disabled', async () => {
  const client = { cert: readFileSync(certificates.clientCertFile), key: readFileSync(certificates.clientKeyFile) }
  await using server = await start({ tls: files() })
  await ask(server.port, client)
  const [certificate] = server.seen[0]!.clientCertificates!
  assert.ok(client.cert.toString().replaceAll('\n', '').includes(Buffer.from(certificate!).toString('base64')))
  await using deaf = await start({ tls: { ...files(), disableClientCerts: true } })
  await ask(deaf.port, client)
  assert.equal(deaf.seen[0]!.clientCertificates, undefined)
})

test('where client certificates are required, only those of the authority get in', async () => {
  using others = makeCertificates('others')
  await using server = await start({ tls: { ...files(), clientCaFile: certificates.caFile, requireClientCert: true } })
  const of = (from: Certificates) => ({
    cert: readFileSync(from.clientCertFile),
    key: readFileSync(from.clientKeyFile),
  })
  assert.equal((await ask(server.port, of(certificates))).status, 200)
  await assert.rejects(ask(server.port))
  await assert.rejects(ask(server.port, of(others)))
  assert.equal(server.seen.length, 1)
})

test('requirements that contradict each other are refused at once', () => {
  const tls = { ...files(), requireClientCert: true }
  assert.throws(() => createListener(echo, { address: ':0', tls }), /client CA/)
  assert.throws(
    () =>
      createListener(echo, {
        address: ':0',
        tls: { ...tls, clientCaFile: certificates.caFile, disableClientCerts: true },
      }),
    /client CA/,
  )
})

test('certificates are read again for new connections, and bad ones change nothing', async () => {
  using next = makeCertificates('next')
  using own = makeCertificates('first')
  await using server = await start({ tls: { certFile: own.certFile, keyFile: own.keyFile } })
  const trusting = { rejectUnauthorized: false }
  const kept = await open(server.port, true)
  assert.equal((await ask(server.port, trusting)).serverName, 'first')
  copyFileSync(next.certFile, own.certFile)
  await assert.rejects(server.listener.reloadTls(), /mismatch/)
  assert.equal((await ask(server.port, trusting)).serverName, 'first')
  copyFileSync(next.keyFile, own.keyFile)
  await server.listener.reloadTls()
  assert.equal((await ask(server.port, trusting)).serverName, 'next')
  // The connection from before goes on.
  kept.write(last('GET /v1/a'))
  assert.equal(parseAnswers(await readAll(kept)).length, 1)
  rmSync(own.certFile)
  await assert.rejects(server.listener.reloadTls(), { code: 'ENOENT' })
  assert.equal((await ask(server.port, trusting)).serverName, 'next')
})

test('a missing certificate is an error when listening', async () => {
  const listener = createListener(echo, { address: '127.0.0.1:0', tls: { certFile: '/nowhere', keyFile: '/nowhere' } })
  await assert.rejects(listener.listen(), { code: 'ENOENT' })
})
