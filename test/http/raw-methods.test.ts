/** LIST and SCAN as raw methods, over plain TCP and TLS, however the bytes are cut into packets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  echo,
  type Answer,
  type Certificates,
  json,
  last,
  makeCertificates,
  open,
  readAll,
  request,
  start,
  type Started,
  talk,
} from './harness.ts'

const chunked = (...parts: string[]) =>
  parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('') + '0\r\n\r\n'

/** Everything that may stand before, behind and around such a method, on one connection. */
const steps: { bytes: string; status: number; answer: object | undefined; method?: string }[] = [
  { bytes: request('LIST /v1/a'), status: 200, answer: { operation: 'list', path: 'a/', body: {} } },
  { bytes: request('GET /v1/slow/b'), status: 200, answer: { operation: 'read', path: 'slow/b', body: {} } },
  {
    bytes: request('SCAN /v1/c?after=x'),
    status: 200,
    answer: { operation: 'scan', path: 'c/', body: { after: 'x' } },
  },
  {
    bytes: request('POST /v1/d', {}, '{"text":"LIST /v1/x HTTP/1.1 SCAN "}'),
    status: 200,
    answer: { operation: 'update', path: 'd', body: { text: 'LIST /v1/x HTTP/1.1 SCAN ' } },
  },
  { bytes: request('LIST /v1/e/'), status: 200, answer: { operation: 'list', path: 'e/', body: {} } },
  { bytes: request('LINK /v1/f'), status: 405, answer: { errors: [] } },
  { bytes: request('SCAN /v1/slow/g'), status: 200, answer: { operation: 'scan', path: 'slow/g/', body: {} } },
  { bytes: request('LOCK /v1/h'), status: 405, answer: { errors: [] } },
  {
    bytes: `POST /v1/i HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('{"t":"', 'SCAN /', '\\nLIST /"}')}`,
    status: 200,
    answer: { operation: 'update', path: 'i', body: { t: 'SCAN /\nLIST /' } },
  },
  { bytes: request('LIST /v1/j'), status: 200, answer: { operation: 'list', path: 'j/', body: {} } },
  {
    bytes: request('LIST /v1/k', {}, 'LIST /v1/body of a LIST'),
    status: 200,
    answer: { operation: 'list', path: 'k/', body: {} },
  },
  { bytes: request('HEAD /v1/l'), status: 200, answer: undefined, method: 'HEAD' },
  {
    // The body ends in the letters that would make another method of the one behind it.
    bytes: request('PUT /v1/m', { 'Content-Type': 'application/x-www-form-urlencoded' }, 'a=UN'),
    status: 200,
    answer: { operation: 'update', path: 'm', body: { a: 'UN' } },
  },
  { bytes: request('LIST /v1/n'), status: 200, answer: { operation: 'list', path: 'n/', body: {} } },
  {
    bytes: request('GET /v1/o', { 'X-Text': 'LIST /v1/x HTTP/1.1' }),
    status: 200,
    answer: { operation: 'read', path: 'o', body: {} },
  },
  { bytes: `\r\n${request('LIST /v1/p')}`, status: 200, answer: { operation: 'list', path: 'p/', body: {} } },
  { bytes: last('SCAN /v1/q'), status: 200, answer: { operation: 'scan', path: 'q/', body: {} } },
]
const script = Buffer.from(steps.map(({ bytes }) => bytes).join(''))
const methods = steps.map(({ method }) => method ?? 'GET')

function check(answers: Answer[], how: string): void {
  assert.deepEqual(
    answers.map(({ status, body }) => ({ status, answer: body === '' ? undefined : JSON.parse(body) })),
    steps.map(({ status, answer }) => ({ status, answer })),
    how,
  )
}

/** Numbers that look random and are the same in each run (mulberry32). */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function cutAt(positions: number[]): Buffer[] {
  const cuts = [0, ...positions.toSorted((a, b) => a - b), script.length]
  return cuts
    .slice(1)
    .map((end, index) => script.subarray(cuts[index], end))
    .filter((piece) => piece.length > 0)
}

/** Whether one of the methods, or of their stand-ins, stands within five bytes. */
function isNearWord(at: number): boolean {
  return /LIST|SCAN|LINK|LOCK/.test(script.subarray(Math.max(0, at - 9), at + 9).toString('latin1'))
}

async function inBatches<T>(items: readonly T[], size: number, run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(run))
}

for (const tls of [false, true]) {
  describe(tls ? 'over TLS' : 'over plain TCP', () => {
    let server: Started
    let certificates: Certificates
    before(async () => {
      certificates = makeCertificates()
      server = await start(tls ? { tls: { certFile: certificates.certFile, keyFile: certificates.keyFile } } : {})
    })
    after(async () => {
      await server[Symbol.asyncDispose]()
      certificates[Symbol.dispose]()
    })

    test('a pipelined script in one packet gets all its answers in order', async () => {
      check(await talk(server.port, [script], { tls, methods }), 'in one packet')
    })

    test('one request a packet', async () => {
      check(
        await talk(
          server.port,
          steps.map(({ bytes }) => bytes),
          { tls, methods },
        ),
        'one request a packet',
      )
    })

    test('cut in two anywhere, the answers are the same', async () => {
      const positions = Array.from({ length: script.length - 1 }, (_, index) => index + 1).filter(
        (at) => isNearWord(at) || at % 10 === 0,
      )
      await inBatches(positions, 40, async (at) =>
        check(await talk(server.port, cutAt([at]), { tls, methods, pauseMs: 6 }), `cut at ${at}`),
      )
    })

    test('cut into many pieces at random, the answers are the same', async () => {
      const seeds = Array.from({ length: 60 }, (_, index) => index + 1)
      await inBatches(seeds, 20, async (seed) => {
        const random = numbers(seed)
        const next = () => 1 + Math.floor(random.next().value! * (script.length - 1))
        const cuts = Array.from({ length: 2 + (seed % 40) }, next)
        check(await talk(server.port, cutAt(cuts), { tls, methods }), `seed ${seed}`)
      })
    })

    test('byte by byte, the answers are the same', async () => {
      const all = Array.from({ length: script.length - 1 }, (_, index) => index + 1)
      check(await talk(server.port, cutAt(all), { tls, methods, pauseMs: 1 }), 'byte by byte')
    })

    test('many listings on one kept-alive connection', async () => {
      const socket = await open(server.port, tls)
      for (let round = 0; round < 300; round++) {
        socket.write(request(round % 2 === 0 ? `LIST /v1/round/${round}` : `SCAN /v1/round/${round}`))
        const [bytes] = (await once(socket, 'data')) as [Buffer]
        assert.match(bytes.toString(), new RegExp(`"path":"round/${round}/"`))
      }
      socket.destroy()
    })

    test('a thousand listings in one write', async () => {
      const lines = Array.from({ length: 1000 }, (_, index) => request(`LIST /v1/${index}`)).join('')
      const answers = await talk(server.port, [lines + last('GET /v1/end')], { tls })
      assert.deepEqual(
        answers.map(({ body }) => JSON.parse(body).path),
        [...Array.from({ length: 1000 }, (_, index) => `${index}/`), 'end'],
      )
    })

    for (const line of [
      'UNLIST /v1/a',
      'LISTS /v1/a',
      'LISTEN /v1/a',
      'list /v1/a',
      'SCANS /v1/a',
      'M-SCAN /v1/a',
      'LIS /v1/a',
      'XLIST /v1/a',
    ]) {
      test(`${line} is malformed`, async () => {
        const answers = await talk(server.port, [request(line) + request('GET /v1/behind')], { tls })
        assert.deepEqual(
          answers.map(({ status }) => status),
          [400],
        )
      })
    }

    test('nothing behind a request that ends the connection is carried out', async () => {
      const before = server.seen.length
      const answers = await talk(server.port, [last('LIST /v1/only') + request('LIST /v1/behind')], { tls })
      assert.equal(answers[0]?.status, 200)
      assert.ok(!server.seen.slice(before).some(({ path }) => path === 'behind/'))
    })
  })
}

test('a listing with two lengths is refused, as any request', async () => {
  await using server = await start()
  const answers = await talk(server.port, [
    request('LIST /v1/a', { 'Content-Length': '3', 'Transfer-Encoding': 'chunked' }, 'abc'),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [400],
  )
  assert.equal(server.seen.length, 0)
})

test('half a method waits for the other half no longer than headers may take', async () => {
  await using server = await start({ limits: { headerSeconds: 0.2 } })
  for (const half of ['LIS', 'LIST', 'SC', 'L', 'S']) {
    const startedAt = performance.now()
    const answers = await talk(server.port, [request('GET /v1/a') + half])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 408],
      half,
    )
    assert.ok(performance.now() - startedAt < 2000, `${half} kept the connection open`)
  }
})

test('a listing that waits for a slow answer before it is not late', async () => {
  await using server = await start({ limits: { headerSeconds: 0.2 } }, async ({ path }) => {
    if (path === 'slow') await sleep(800)
    return json({ path })
  })
  const answers = await talk(server.port, [request('GET /v1/slow') + last('LIST /v1/a')])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  )
})

test('a header of a listing that never ends is cut off in time', async () => {
  await using server = await start({ limits: { headerSeconds: 0.2 } })
  const answers = await talk(server.port, ['LIST /v1/a HTTP/1.1\r\nHost: a\r\nX-Slow: '])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [408],
  )
})

test('an idle connection is closed after a listing too', async () => {
  await using server = await start({ limits: { idleSeconds: 0.2 } })
  const startedAt = performance.now()
  const answers = await talk(server.port, [request('LIST /v1/a')])
  assert.equal(answers.length, 1)
  assert.ok(performance.now() - startedAt < 2000)
})

test('listings count as requests of their connection', async () => {
  await using server = await start({ limits: { maxRequestsPerConnection: 3 } })
  const answers = await talk(server.port, [request('LIST /v1/a').repeat(5)])
  assert.deepEqual(
    answers.map(({ headers }) => headers['connection']),
    ['keep-alive', 'keep-alive', 'close'],
  )
  assert.equal(server.seen.length, 3)
})

test('a connection taken over counts against the most connections', async () => {
  await using server = await start({ limits: { maxConnections: 1 } })
  const first = await open(server.port)
  first.write(request('LIST /v1/a'))
  await once(first, 'data')
  const second = await open(server.port)
  second.write(request('LIST /v1/a'))
  assert.equal((await readAll(second)).length, 0)
  first.destroy()
  await sleep(20)
  assert.equal((await talk(server.port, [last('LIST /v1/a')])).length, 1)
})

test('who sends listings without reading answers is not read from any more', async () => {
  const big = 'x'.repeat(100_000)
  await using server = await start({}, async () => json({ big }))
  const socket = await open(server.port)
  socket.pause()
  const one = request('LIST /v1/a')
  let sent = 0
  const all = 3000
  for (; sent < all; sent += 100) {
    if (!socket.write(one.repeat(100))) await Promise.race([once(socket, 'drain'), sleep(300)])
    if (socket.writableLength > 0) break
    await sleep(1)
  }
  await sleep(300)
  assert.ok(server.seen.length > 0)
  // 3,000 answers would be 300 MB. What the two kernels hold between them is a few megabytes.
  assert.ok(server.seen.length < 500, `${server.seen.length} requests were carried out for somebody who does not read`)
  socket.destroy()
})

test('listings leave nothing behind in memory', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await using server = await start({}, async () => json({}))
  const socket = await open(server.port)
  const list = async (count: number) => {
    for (let round = 0; round < count; round++) {
      socket.write(request('LIST /v1/a'))
      await once(socket, 'data')
    }
    server.seen.length = 0
    await sleep(20)
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await list(500)
  const grown = (await list(3000)) - before
  assert.ok(grown < 1_000_000, `${grown} bytes more after 3,000 listings`)
  socket.destroy()
})

test('a client that leaves between two listings leaves nothing behind', async () => {
  const answer = Promise.withResolvers<void>()
  await using server = await start({}, async (incoming) => {
    await answer.promise
    return echo(incoming)
  })
  const socket = await open(server.port)
  socket.write(request('GET /v1/a') + request('LIST /v1/b'))
  while (server.seen.length === 0) await sleep(5)
  socket.destroy()
  // Until the server has seen it, however busy the machine is.
  await once(socket, 'close')
  await sleep(100)
  answer.resolve()
  await sleep(50)
  assert.ok(!server.seen.some(({ path }) => path === 'b/'))
})
