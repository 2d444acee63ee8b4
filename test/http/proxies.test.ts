/** Proxies in front of a listener: PROXY headers before everything else, and what X-Forwarded-For is worth. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { Forwarding } from '#http/forwarded.ts'
import { cidrTest } from '#lib/cidr.ts'
import {
  type Certificates,
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

const all = { trusts: () => true, denyOthers: false }
const v1 = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'
const v2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000201c6336401dc0401bb', 'hex')

test('a PROXY header tells whose connection it is, for all its requests, also LIST, in one packet or byte by byte', async () => {
  await using server = await start({ proxyProtocol: all })
  const requests = request('GET /v1/a') + request('LIST /v1/b') + last('POST /v1/c', {}, '{"x":1}')
  for (const header of [Buffer.from(v1), v2]) {
    for (const size of [1, 7, 1000]) {
      server.seen.length = 0
      const bytes = Buffer.concat([header, Buffer.from(requests)])
      const packets = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      )
      const answers = await talk(server.port, packets, { pauseMs: 0 })
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
      )
      assert.deepEqual(
        server.seen.map(({ operation, remoteAddress, remotePort }) => [operation, remoteAddress, remotePort]),
        ['read', 'list', 'update'].map((operation) => [operation, '192.0.2.1', 56324]),
      )
    }
  }
})

test('without a header, or with one that names nobody, the address is that of the connection', async () => {
  await using server = await start({ proxyProtocol: all })
  for (const header of ['', 'PROXY UNKNOWN\r\n', Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')]) {
    server.seen.length = 0
    const [answer] = await talk(server.port, [Buffer.concat([Buffer.from(header), Buffer.from(last('GET /v1/a'))])])
    assert.equal(answer!.status, 200)
    assert.equal(server.seen[0]!.remoteAddress, '127.0.0.1')
  }
})

test('a header that is not well formed ends the connection without an answer, and is told', async () => {
  await using server = await start({ proxyProtocol: all })
  assert.deepEqual(await talk(server.port, [`PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n${last('GET /v1/a')}`]), [])
  assert.equal(server.seen.length, 0)
  assert.match(server.logged[0]!, /PROXY header .*"problem":"addresses"/)
})

test('a second header is none: it belongs to the request, which it breaks', async () => {
  await using server = await start({ proxyProtocol: all })
  const [answer] = await talk(server.port, [v1 + v1 + last('GET /v1/a')])
  assert.equal(answer!.status, 400)
  assert.equal(server.seen.length, 0)
})

test('whoever sends half a header, or nothing, is cut off in time', async () => {
  await using server = await start({ proxyProtocol: all, limits: { headerSeconds: 0.3 } })
  for (const packets of [[], [v1.slice(0, 20)], [v2.subarray(0, 13)]]) {
    const socket = await open(server.port)
    for (const packet of packets) socket.write(packet)
    const startedAt = performance.now()
    assert.equal((await readAll(socket)).length, 0)
    assert.ok(performance.now() - startedAt < 1500)
  }
})

test('closing does not wait for a header', async () => {
  const server = await start({ proxyProtocol: all })
  const socket = await open(server.port)
  socket.write('PROXY ')
  const ended = readAll(socket)
  await sleep(50)
  const startedAt = performance.now()
  await server.listener.close({ drainSeconds: 20 })
  assert.ok(performance.now() - startedAt < 1500)
  await ended
})

test('a header comes before TLS, whose handshake may begin in the same packet', async () => {
  const tls = { certFile: certificates.certFile, keyFile: certificates.keyFile }
  await using server = await start({ proxyProtocol: all, tls })
  for (const [header, apart] of [
    [v1, false],
    [v2, false],
    ['', false],
    [v1, true],
    [v2, true],
  ] as const) {
    server.seen.length = 0
    await using proxy = await prefixing(server.port, header, apart)
    const socket = connectTls({ port: proxy.port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const received = readAll(socket)
    socket.write(request('LIST /v1/a') + last('GET /v1/b'))
    assert.equal(parseAnswers(await received).length, 2)
    const expected = header === '' ? '127.0.0.1' : '192.0.2.1'
    assert.deepEqual(
      server.seen.map(({ remoteAddress }) => remoteAddress),
      [expected, expected],
    )
  }
})

test('of others, a header is not looked at: it breaks their request; or they are not let in at all', async () => {
  const nobody = { trusts: cidrTest(['203.0.113.0/24'])!, denyOthers: false }
  await using server = await start({ proxyProtocol: nobody })
  assert.deepEqual(
    (await talk(server.port, [v1 + last('GET /v1/a')])).map(({ status }) => status),
    [400],
  )
  assert.equal((await talk(server.port, [last('GET /v1/a')]))[0]!.status, 200)
  assert.deepEqual(
    server.seen.map(({ remoteAddress }) => remoteAddress),
    ['127.0.0.1'],
  )
  await using strict = await start({ proxyProtocol: { ...nobody, denyOthers: true } })
  for (const bytes of [v1 + last('GET /v1/a'), last('GET /v1/a')])
    assert.deepEqual(await talk(strict.port, [bytes]).catch(() => []), [])
  assert.equal(strict.seen.length, 0)
  // Both were refused; the log is not for strangers to fill.
  assert.equal(strict.logged.length, 1)
  assert.match(strict.logged[0]!, /may not speak for others/)
})

/** A proxy that puts the header before the first bytes of each connection, in one packet or in one of its own. */
async function prefixing(port: number, header: string | Buffer, apart: boolean) {
  const proxy = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    client.once('data', (first: Buffer) => {
      client.pause()
      if (apart) upstream.write(header)
      const goOn = () => {
        upstream.write(apart ? first : Buffer.concat([Buffer.from(header as Buffer), first]))
        client.pipe(upstream)
      }
      setTimeout(goOn, apart ? 30 : 0)
    })
    upstream.pipe(client)
    for (const each of [client, upstream]) each.on('error', () => each.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port: own } = proxy.address() as AddressInfo
  return { port: own, [Symbol.asyncDispose]: async () => void proxy.close() }
}

const trusting: Forwarding = {
  trusts: cidrTest(['127.0.0.1'])!,
  hopSkips: 0,
  rejectNotAuthorized: true,
  rejectNotPresent: true,
  clientCertificate: undefined,
}

/** @returns the address that was seen, or the status and the error */
async function addressSeen(forwarding: Forwarding, headers: readonly string[]): Promise<string> {
  await using server = await start({ forwarding })
  const lines = headers.map((value) => `X-Forwarded-For: ${value}\r\n`).join('')
  const bytes = `GET /v1/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${lines}\r\n`
  const [answer] = await talk(server.port, [bytes])
  return server.seen[0]?.remoteAddress ?? `${answer!.status} ${JSON.parse(answer!.body).errors[0]}`
}

test('X-Forwarded-For of a proxy that is named gives the address: the last of the list, but for those to be skipped', async () => {
  for (const [headers, hopSkips, seen] of [
    [['1.2.3.4'], 0, '1.2.3.4'],
    [['1.2.3.4, 2.3.4.5,3.4.5.6 '], 0, '3.4.5.6'],
    [['1.2.3.4, 2.3.4.5, 3.4.5.6, 4.5.6.7'], 1, '3.4.5.6'],
    [['1.2.3.4', '2.3.4.5, 3.4.5.6'], 2, '1.2.3.4'],
    [['2001:db8::1'], 0, '2001:db8::1'],
    [['[2001:db8::1]:99'], 0, '2001:db8::1'],
    [['1.2.3.4:5678'], 0, '1.2.3.4'],
    [['::ffff:1.2.3.4'], 0, '1.2.3.4'],
  ] as const)
    assert.equal(await addressSeen({ ...trusting, hopSkips }, headers), seen)
})

test('requests that it would be wrong to believe are refused, in the words of a Vault listener', async () => {
  const missing = '400 missing x-forwarded-for header and configured to reject when not present'
  const others = '400 client address not authorized for x-forwarded-for and configured to reject connection'
  const foreign = { ...trusting, trusts: cidrTest(['203.0.113.1'])! }
  assert.equal(await addressSeen(trusting, []), missing)
  assert.equal(await addressSeen(trusting, ['']), missing)
  assert.equal(await addressSeen(foreign, []), missing)
  assert.equal(await addressSeen(foreign, ['1.2.3.4']), others)
  assert.equal(
    await addressSeen({ ...trusting, hopSkips: 4 }, ['1.2.3.4, 2.3.4.5, 3.4.5.6, 4.5.6.7']),
    '400 malformed x-forwarded-for configuration or request, hops to skip (4) would skip before earliest chain link (chain length 4)',
  )
  for (const text of ['localhost', '1.2.3', '1.2.3.4 5.6.7.8', 'fe80::1%eth0', '1.2.3.4:70000', '1.2.3.4,', '"x"'])
    assert.match(await addressSeen(trusting, [text]), /^400 malformed x-forwarded-for header/, text)
})

test('where they are not to be refused, their own address counts, never the header', async () => {
  const lenient = { ...trusting, rejectNotPresent: false, rejectNotAuthorized: false }
  assert.equal(await addressSeen(lenient, []), '127.0.0.1')
  assert.equal(await addressSeen({ ...lenient, trusts: cidrTest(['203.0.113.1'])! }, ['1.2.3.4']), '127.0.0.1')
  assert.equal(await addressSeen(lenient, ['1.2.3.4']), '1.2.3.4')
})

test('the proxy that counts is the one that the PROXY header names', async () => {
  const forwarding = { ...trusting, trusts: cidrTest(['192.0.2.0/24'])! }
  await using server = await start({ proxyProtocol: all, forwarding })
  const asked = last('GET /v1/a', { 'X-Forwarded-For': '1.2.3.4' })
  assert.equal((await talk(server.port, [v1 + asked]))[0]!.status, 200)
  assert.equal(server.seen[0]!.remoteAddress, '1.2.3.4')
  assert.equal((await talk(server.port, [asked]))[0]!.status, 400)
})

test('the client certificate comes from the header, however the proxy wraps it, and never from the proxy itself', async () => {
  const pem = readFileSync(certificates.clientCertFile, 'utf8')
  const base64 = pem.replaceAll(/-----[^-]+-----|\s/g, '')
  const ca = readFileSync(certificates.caFile, 'utf8').replaceAll(/-----[^-]+-----|\s/g, '')
  const tls = { certFile: certificates.certFile, keyFile: certificates.keyFile }
  for (const [decoders, value, expected] of [
    [['BASE64'], base64, [base64]],
    [['BASE64'], `${base64},${ca}`, [base64, ca]],
    [['URL', 'DER'], encodeURIComponent(pem), [base64]],
    [['URL'], encodeURIComponent(pem), [base64]],
    [['BASE64', 'DER'], Buffer.from(pem).toString('base64'), [base64]],
    [['BASE64'], undefined, undefined],
    [['BASE64'], '%%%', 'failed to base64 decode the client certificate'],
    [['BASE64'], 'AAAA', 'failed to parse the client certificate'],
    [['URL'], '%zz', 'failed to url unescape the client certificate'],
    [['DER'], base64, 'failed to convert the client certificate to DER format'],
  ] as const) {
    const clientCertificate = { header: 'x-client', decoders }
    await using server = await start({ tls, forwarding: { ...trusting, clientCertificate } })
    const socket = connectTls({
      port: server.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      cert: readFileSync(certificates.certFile),
      key: readFileSync(certificates.keyFile),
    })
    await once(socket, 'secureConnect')
    const received = readAll(socket)
    socket.write(last('GET /v1/a', { 'X-Forwarded-For': '1.2.3.4', ...(value !== undefined && { 'X-Client': value }) }))
    const [answer] = parseAnswers(await received)
    const seen = server.seen[0]?.clientCertificates?.map((each) => Buffer.from(each).toString('base64'))
    if (typeof expected === 'string') assert.deepEqual(JSON.parse(answer!.body), { errors: [expected] })
    else assert.deepEqual(seen, expected)
  }
})

test('a certificate in the header of somebody else is not looked at', async () => {
  const clientCertificate = { header: 'x-client', decoders: ['BASE64'] } as const
  const foreign = { ...trusting, trusts: cidrTest(['203.0.113.1'])!, rejectNotAuthorized: false, clientCertificate }
  await using server = await start({ forwarding: foreign })
  await talk(server.port, [last('GET /v1/a', { 'X-Forwarded-For': '1.2.3.4', 'X-Client': 'AAAA' })])
  assert.equal(server.seen[0]!.clientCertificates, undefined)
})
