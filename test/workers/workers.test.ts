/** A server with four threads that answer: what must hold whichever of them is asked. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseWorkers } from '#boot/workers/count.ts'
import { until } from '#test/config/program.ts'
import { sendTo, startServer, type TestServer } from '#test/server.ts'
import { killWorker, workerThreads } from './threads.ts'

const WORKERS = 4
/** Each on a connection of its own, which the kernel gives to one thread or another: that one is left out by all of so many is no risk. */
const MANY = 64

const start = (rest: Parameters<typeof startServer>[0] = {}) => startServer({ workers: WORKERS, secret: true, ...rest })

const statuses = async (server: TestServer, token: string | null, where = 'secret/data/a') =>
  new Set(
    (await Promise.all(Array.from({ length: MANY }, () => server.read(where, token)))).map(({ status }) => status),
  )

test('every thread answers, and what one acknowledged all others know', async () => {
  await using server = await start()
  assert.equal(workerThreads().length, WORKERS - 1)
  for (let round = 0; round < 20; round += 1) {
    await server.write('secret/data/a', { data: { round } })
    const answers = await Promise.all(Array.from({ length: 8 }, () => server.read('secret/data/a')))
    assert.deepEqual(new Set(answers.map(({ body }) => body.data.data.round)), new Set([round]))
  }
  await until('numbers of all threads', async () => {
    const { body } = await server.read('sys/metrics')
    const ok = body.Counters.find(({ Labels }: any) => Labels.code === '200')
    return ok ? true : undefined
  })
  const text = (await server.read('sys/metrics?format=prometheus')).text
  const counted = Number(/^vault_core_response_status_code\{code="200",type="2xx"\} (\d+)$/m.exec(text)?.[1])
  assert.ok(counted >= 180, `${counted} answers counted`)
})

test('a revoked token is refused by every thread from the answer on', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  await server.write('sys/policies/acl/reader', { policy: 'path "secret/data/*" { capabilities = ["read"] }' })
  for (let round = 0; round < 5; round += 1) {
    const token = await server.login(['reader'])
    assert.deepEqual(await statuses(server, token), new Set([200]))
    assert.equal((await server.write('auth/token/revoke', { token })).status, 204)
    assert.deepEqual(await statuses(server, token), new Set([403]))
  }
})

test('of a token with ten uses ten requests pass, however many threads are asked at once', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  await server.write('sys/policies/acl/reader', { policy: 'path "secret/data/*" { capabilities = ["read"] }' })
  const token = await server.login(['reader'], { num_uses: 10 })
  const answers = await Promise.all(Array.from({ length: MANY }, () => server.read('secret/data/a', token)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 10)
})

test('sealing refuses everywhere when it is answered, and unsealing opens everywhere', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  for (let round = 0; round < 3; round += 1) {
    assert.equal((await server.send('PUT', 'sys/seal')).status, 204)
    assert.deepEqual(await statuses(server, server.root), new Set([503]))
    assert.equal((await server.send('PUT', 'sys/unseal', { key: server.unsealKey })).body.sealed, false)
    assert.deepEqual(await statuses(server, server.root), new Set([200]))
  }
})

test('a rate quota counts the requests of all threads together', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  await server.write('sys/quotas/rate-limit/few', { path: 'secret', rate: 20, interval: '1h' })
  const answers = await Promise.all(Array.from({ length: MANY }, () => server.read('secret/data/a')))
  assert.equal(answers.filter(({ status }) => status === 200).length, 20)
  assert.equal(answers.filter(({ status }) => status === 429).length, MANY - 20)
})

test('of a lease quota no more leases are made than there may be', async () => {
  await using server = await start()
  await server.write('sys/auth/userpass', { type: 'userpass' })
  await server.write('auth/userpass/users/ann', { password: 'correct horse' })
  await server.write('sys/quotas/lease-count/few', { path: 'auth/userpass', max_leases: 5 })
  const logins = Array.from({ length: 12 }, () =>
    server.write('auth/userpass/login/ann', { password: 'correct horse' }, null),
  )
  const answers = await Promise.all(logins)
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
  assert.equal((await server.list('auth/token/accessors')).body.data.keys.length, 5 + 1)
})

test('every line of every thread is in the ledger before the answer, in one chain', async () => {
  await using server = await start()
  const answers = await Promise.all(
    Array.from({ length: MANY }, (_, n) => server.write(`secret/data/${n}`, { data: { n } })),
  )
  const trail = await server.trail()
  for (const { body } of answers) {
    const types = trail.filter(({ request }) => request.id === body.request_id).map(({ type }) => type)
    assert.deepEqual(types, ['request', 'response'])
  }
  const { verifyLedger } = await import('#audit/ledger/verify.ts')
  assert.deepEqual((await verifyLedger(server.ledgerFolder)).problems, [])
})

test('an audit device gets the lines of all threads from when it is enabled until it is disabled', async () => {
  await using server = await start({ storage: 'sqlite' })
  const file = path.join(server.folder!, 'audit.log')
  const lines = async () => (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  assert.equal((await server.write('sys/audit/file', { type: 'file', options: { file_path: file } })).status, 204)
  const before = (await lines()).length
  await statuses(server, server.root, 'auth/token/lookup-self')
  assert.equal((await lines()).length, before + 2 * MANY)
  assert.equal((await server.delete('sys/audit/file')).status, 204)
  const after = (await lines()).length
  await statuses(server, server.root, 'auth/token/lookup-self')
  assert.equal((await lines()).length, after)
  assert.deepEqual(
    server.logged.filter((line) => line.includes('audit device')),
    [],
  )
})

test('a mount that is disabled answers nowhere any more', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  assert.equal((await server.delete('sys/mounts/secret')).status, 204)
  assert.deepEqual(await statuses(server, server.root), new Set([404]))
})

test('after the root key was rotated all threads go on, also when the key of the barrier is then rotated', async () => {
  await using server = await start()
  assert.equal((await server.send('POST', 'sys/rotate/root')).status, 204)
  assert.equal((await server.send('PUT', 'sys/rotate')).status, 204)
  await server.write('secret/data/a', { data: { a: 1 } })
  assert.deepEqual(await statuses(server, server.root), new Set([200]))
  const writes = Array.from({ length: MANY }, (_, n) => server.write(`secret/data/${n}`, { data: { n } }))
  assert.deepEqual(new Set((await Promise.all(writes)).map(({ status }) => status)), new Set([200]))
  // Each was written by one thread, with its newest key, and most are read by another.
  const reads = Array.from({ length: MANY }, (_, n) => server.read(`secret/data/${n}`))
  assert.deepEqual(new Set((await Promise.all(reads)).map(({ status }) => status)), new Set([200]))
  assert.equal((await server.read('sys/health')).body.warnings, undefined)
})

test('a thread that fails is replaced while requests go on, and what was acknowledged is there', async () => {
  await using server = await start()
  const acknowledged = new Map<number, number>()
  let going = true
  let lost = 0
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let n = 1; going; n += 1) {
      try {
        const { status } = await server.write(`secret/data/c${client}`, { data: { n } })
        if (status === 200) acknowledged.set(client, n)
      } catch {
        lost += 1
      }
    }
  })
  for (let round = 0; round < 3; round += 1) {
    await sleep(200)
    const [victim] = workerThreads()
    await killWorker(victim!)
    await until('a new thread', async () => (workerThreads().length === WORKERS - 1 ? true : undefined))
    await until('all threads', async () => ((await server.read('sys/health')).body.warnings ? undefined : true))
  }
  going = false
  await Promise.all(clients)
  for (const [client, n] of acknowledged) {
    const { body } = await server.read(`secret/data/c${client}`)
    assert.ok(body.data.data.n >= n, `client ${client}: ${body.data.data.n} of ${n}`)
  }
  assert.ok(acknowledged.size === 8)
  assert.ok(lost < 100, `${lost} requests failed`)
  assert.ok(server.logged.includes('another worker took its place'))
  assert.deepEqual(await statuses(server, server.root, 'secret/data/c1'), new Set([200]))
})

test('a thread that is started while the server is sealed stays sealed', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  assert.equal((await server.send('PUT', 'sys/seal')).status, 204)
  await killWorker(workerThreads()[0]!)
  await until('a new thread', async () => (workerThreads().length === WORKERS - 1 ? true : undefined))
  assert.deepEqual(await statuses(server, server.root), new Set([503]))
  await server.send('PUT', 'sys/unseal', { key: server.unsealKey })
  assert.deepEqual(await statuses(server, server.root), new Set([200]))
})

test('requests under way are told whichever thread has them, and the log can be followed through any', async () => {
  await using server = await start()
  await server.write('sys/auth/userpass', { type: 'userpass' })
  await server.write('auth/userpass/users/ann', { password: 'correct horse' })
  const logins = Array.from({ length: 24 }, () => server.write('auth/userpass/login/ann', { password: 'wrong' }, null))
  const told = await until('several at once', async () => {
    const { body } = await server.read('sys/in-flight-req')
    const paths = Object.values(body).map(({ request_path }: any) => request_path)
    return paths.filter((each) => each === '/v1/auth/userpass/login/ann').length > 12 ? paths : undefined
  })
  assert.ok(told.includes('/v1/sys/in-flight-req'))
  await Promise.all(logins)
  // Ends with the seal, as on a server with one thread.
  const following = Array.from({ length: 8 }, () =>
    sendTo(server.port, 'GET', 'sys/monitor', undefined, { 'x-vault-token': server.root }),
  )
  await sleep(200)
  await server.send('PUT', 'sys/seal')
  for (const { text } of await Promise.all(following)) assert.match(text, /ending monitor session/)
})

test('with a ledger that cannot be written no thread does or tells anything; all go on when it can be', async () => {
  await using server = await start()
  await server.write('secret/data/a', { data: { a: 1 } })
  const ledger = server.node.ledger!
  const write = ledger.write.bind(ledger)
  const writeAll = ledger.writeAll.bind(ledger)
  ledger.write = ledger.writeAll = async () => {
    throw new Error('no space left on device')
  }
  const writes = Array.from({ length: MANY }, () => server.write('secret/data/a', { data: { a: 2 } }))
  assert.deepEqual(new Set((await Promise.all(writes)).map(({ status }) => status)), new Set([500]))
  assert.deepEqual(await statuses(server, server.root), new Set([500]))
  Object.assign(ledger, { write, writeAll })
  const answers = await Promise.all(Array.from({ length: MANY }, () => server.read('secret/data/a')))
  assert.deepEqual(new Set(answers.map(({ body }) => body.data.data.a)), new Set([1]))
})

test('a mount is not disabled before the requests to it are answered that any thread has under way', async () => {
  await using server = await start()
  await server.write('sys/mounts/other', { type: 'kv' })
  const ledger = server.node.ledger!
  const released = Promise.withResolvers<void>()
  const held = (line: Buffer) => line.includes('"path":"other/slow"')
  const writeAll = ledger.writeAll.bind(ledger)
  let waiting = 0
  ledger.writeAll = async (lines) => {
    const slow = lines.filter(held)
    waiting += slow.length
    if (slow.length > 0) await released.promise
    await writeAll(lines)
  }
  // Those of the main thread are answered at once: only other threads have any under way.
  let answered = 0
  const slow = Array.from({ length: 16 }, async () => {
    const answer = await server.write('other/slow', { a: 1 })
    answered += 1
    return answer
  })
  await until('all of them', async () => (waiting > 0 && waiting + answered === 16 ? true : undefined))
  let disabled = false
  const disabling = server.delete('sys/mounts/other').then((answer) => {
    disabled = true
    return answer
  })
  // It is tainted first, and from then on refused: then it waits.
  await until('a mount that is closed', async () => ((await server.read('other/b')).body.errors[0] ? true : undefined))
  await sleep(300)
  assert.equal(disabled, false)
  released.resolve()
  assert.deepEqual(new Set((await Promise.all(slow)).map(({ status }) => status)), new Set([204]))
  assert.equal((await disabling).status, 204)
})

test('how many threads there are is told by the flag, the configuration, or the number of cores', () => {
  assert.equal(parseWorkers(undefined), undefined)
  assert.equal(parseWorkers('4'), 4)
  assert.ok((parseWorkers('auto') as number) >= 1)
  for (const text of ['0', '65', '-1', '1.5', 'many', '']) assert.equal(parseWorkers(text), 'unusable', text)
})
