/** Servers with a configuration, as processes: what they listen on, what they keep, what signals do, what they refuse. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { describe, test } from 'node:test'
import { sendTo } from '#test/server.ts'
import { makeAuthority, makeCertificate } from './certificates.ts'
import { Program, startDev, startKept, temporaryFolder, until } from './program.ts'
import { freePort } from '#test/port.ts'
import { sendTls, sendUnix } from './requests.ts'
import { initialize, refusalOf, run, startConfigured, tcp, unseal, withToken } from './configured.ts'

describe('listeners', () => {
  test('one server listens on two TCP ports and a unix socket, which only its owner may use', async () => {
    await using folder = await temporaryFolder()
    const [one, two] = [await freePort(), await freePort()]
    const socket = 'listener "unix" {\n  address = "s.sock"\n}\n'
    await using program = await startConfigured(folder.path, `storage "inmem" {}\n${tcp(one)}${tcp(two)}${socket}`)
    for (const port of [one, two]) assert.equal((await sendTo(port, 'GET', 'sys/init', undefined, {})).status, 200)
    const at = path.join(folder.path, 's.sock')
    assert.deepEqual(await sendUnix(at, 'sys/init'), { status: 200, body: { initialized: false } })
    assert.equal((await stat(at)).mode & 0o777, 0o600)
    program.signal('SIGTERM')
    assert.deepEqual(await program.ended(), { code: 0, signal: null })
  })

  test('a socket whose server was killed is taken over by the next', async () => {
    await using folder = await temporaryFolder()
    const config = `storage "inmem" {}\nlistener "unix" {\n  address = "./s.sock"\n  socket_mode = "660"\n}`
    const first = await startConfigured(folder.path, config)
    await first.kill()
    await using _second = await startConfigured(folder.path, config)
    const at = path.join(folder.path, 's.sock')
    assert.equal((await sendUnix(at, 'sys/health')).status, 501)
    assert.equal((await stat(at)).mode & 0o777, 0o660)
  })

  test('TLS has the least version that is asked for', async () => {
    await using folder = await temporaryFolder()
    await makeAuthority(folder.path)
    await makeCertificate(folder.path, 'server', 'serverAuth')
    const port = await freePort()
    await using _program = await startConfigured(
      folder.path,
      `storage "inmem" {}\nlistener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_cert_file = "server.pem"\n` +
        '  tls_key_file = "server-key.pem"\n  tls_min_version = "tls13"\n}',
    )
    const files = { ca: path.join(folder.path, 'ca.pem') }
    assert.equal((await sendTls(port, 'GET', 'sys/init', files)).protocol, 'TLSv1.3')
    await assert.rejects(sendTls(port, 'GET', 'sys/init', files, { maxVersion: 'TLSv1.2' }), {
      message: /alert protocol version/,
    })
  })

  test('after SIGHUP new connections get the new certificate; a broken one changes nothing', async () => {
    await using folder = await temporaryFolder()
    await makeAuthority(folder.path)
    for (const name of ['server', 'old', 'new']) await makeCertificate(folder.path, name, 'serverAuth')
    const file = (name: string) => path.join(folder.path, name)
    const install = async (name: string) => {
      await copyFile(file(`${name}.pem`), file('server.pem'))
      await copyFile(file(`${name}-key.pem`), file('server-key.pem'))
    }
    await install('old')
    const port = await freePort()
    const listener = { tls_cert_file: 'server.pem', tls_key_file: 'server-key.pem', address: `127.0.0.1:${port}` }
    const config = JSON.stringify({ backend: { inmem: {} }, listener: { tcp: listener } })
    await using program = await startConfigured(folder.path, config)
    const serial = async () => (await sendTls(port, 'GET', 'sys/init', { ca: file('ca.pem') })).serial
    const before = await serial()
    await install('new')
    assert.equal(await serial(), before)
    program.signal('SIGHUP')
    const after = await until('the new certificate', async () => {
      const now = await serial()
      return now === before ? undefined : now
    })
    await writeFile(file('server-key.pem'), 'no key')
    program.signal('SIGHUP')
    await until('word of the second SIGHUP', async () => (program.output.split('SIGHUP').length > 2 ? true : undefined))
    assert.equal(program.running, true)
    assert.match(program.output, new RegExp(`SIGHUP: the certificate of 127\\.0\\.0\\.1:${port} stays as it was: `))
    assert.equal(await serial(), after)
  })

  test('-dev-tls serves with a certificate for this machine, which clients can check', async () => {
    const port = await freePort()
    const root = ['-dev-no-store-token', '-dev-root-token-id=root']
    const flags = ['server', '-dev', '-dev-tls', ...root, `-dev-listen-address=127.0.0.1:${port}`]
    await using program = new Program(flags)
    const [, ca] = await program.said(/VAULT_CACERT='([^']+)'/)
    await program.said(/^Root Token: root$/m)
    assert.match(program.output, new RegExp(`VAULT_ADDR='https://127\\.0\\.0\\.1:${port}'`))
    const answer = await sendTls(port, 'GET', 'auth/token/lookup-self', { ca: ca! }, { token: 'root' })
    assert.deepEqual([answer.status, answer.body.data.policies], [200, ['root']])
    await assert.rejects(sendTo(port, 'GET', 'sys/health', undefined, {}), { code: 'ECONNRESET' })
    for (const name of await readdir(path.dirname(ca!))) {
      const { mode } = await stat(path.join(path.dirname(ca!), name))
      if (name.includes('key')) assert.equal(mode & 0o077, 0)
    }
  })
})

describe('what is refused at the start', () => {
  test('a mistake in a file is told in one line, and nothing is made', async () => {
    await using folder = await temporaryFolder()
    const { code, output } = await refusalOf(
      await run(folder.path, 'storage "sqlite" { path = "data" }\nlistener "udp" {}'),
    )
    assert.equal(code, 1)
    assert.equal(output, 'strongroom: config.hcl:2:1: listener "udp" is not known: use "tcp" or "unix"\n')
    assert.deepEqual(await readdir(folder.path), ['config.hcl'])
  })

  test('a certificate that is not there is told before the store is made', async () => {
    await using folder = await temporaryFolder()
    const listener = 'listener "tcp" {\n  tls_cert_file = "c.pem"\n  tls_key_file = "k.pem"\n}'
    const { code, output } = await refusalOf(await run(folder.path, `storage "sqlite" { path = "data" }\n${listener}`))
    assert.equal(code, 1)
    assert.match(
      output,
      /^strongroom: config\.hcl:2:1: listener "tcp": tls_cert_file c\.pem cannot be read: no such file$/m,
    )
    assert.deepEqual(await readdir(folder.path), ['config.hcl'])
  })

  test('unknown keys are told, and the server starts', async () => {
    await using folder = await temporaryFolder()
    await using program = await startConfigured(
      folder.path,
      `storage "inmem" {}\nmax_leese_ttl = "1h"\n${tcp(await freePort())}`,
    )
    assert.match(program.output, /config\.hcl:2:1: unknown key "max_leese_ttl" is ignored/)
  })

  test('a port that is taken', async () => {
    await using folder = await temporaryFolder()
    await using server = await startDev()
    const { code, output } = await refusalOf(await run(folder.path, `storage "inmem" {}\n${tcp(server.port)}`))
    assert.equal(code, 1)
    assert.match(output, new RegExp(`^strongroom: another program listens on 127\\.0\\.0\\.1:${server.port}`, 'm'))
    assert.doesNotMatch(output, /\n\s+at /)
  })

  test('a socket that another server listens on', async () => {
    await using folder = await temporaryFolder()
    const config = 'storage "inmem" {}\nlistener "unix" {\n  address = "./s.sock"\n}'
    await using _first = await startConfigured(folder.path, config)
    const { code, output } = await refusalOf(await run(folder.path, config))
    assert.equal(code, 1)
    assert.match(output, /^strongroom: another program listens on \.\/s\.sock;/m)
  })

  test('a data folder that another server has open', async () => {
    await using folder = await temporaryFolder()
    const data = path.join(folder.path, 'data')
    await using first = await startKept(data)
    const again = new Program(['start', `-data=${data}`, `-address=127.0.0.1:${await freePort()}`])
    const byStart = await refusalOf(again)
    const byConfig = await refusalOf(
      await run(folder.path, `storage "file" { path = "data" }\n${tcp(await freePort())}`),
    )
    for (const { code, output } of [byStart, byConfig]) {
      assert.equal(code, 1)
      assert.match(output, /^strongroom: .*another .*(?:server|process)/m)
      assert.ok(output.includes(data), output)
      assert.doesNotMatch(output, /\n\s+at /)
    }
    assert.equal((await sendTo(first.port, 'GET', 'sys/health', undefined, {})).status, 200)
  })
})

describe('a seal that opens by itself', () => {
  const config = (port: number, key: string, id = 'k1') =>
    `storage "sqlite" { path = "data" }\n${tcp(port)}seal "static" {\n  current_key_id = "${id}"\n  current_key = "${key}"\n}`
  const initAuto = (port: number) => sendTo(port, 'PUT', 'sys/init', {}, {})

  test('a server with a key in a file or in the environment is unsealed when it starts; with a wrong key it does not start', async () => {
    await using folder = await temporaryFolder()
    const key = randomBytes(32)
    await writeFile(path.join(folder.path, 'key'), key, { mode: 0o600 })
    const port = await freePort()
    let root: string
    {
      await using program = await startConfigured(folder.path, config(port, `file://${path.join(folder.path, 'key')}`))
      assert.match(program.output, /not initialised/)
      const made = await initAuto(port)
      assert.deepEqual([made.status, made.body.keys], [200, []])
      root = made.body.root_token
      assert.equal((await sendTo(port, 'GET', 'sys/seal-status', undefined, {})).body.sealed, false)
      assert.equal((await sendTo(port, 'POST', 'cubbyhole/a', { v: 1 }, withToken(root))).status, 204)
      program.signal('SIGTERM')
      assert.equal((await program.ended()).code, 0)
    }
    {
      const env = { UNSEAL_KEY: key.toString('base64') }
      await using program = await startConfigured(folder.path, config(port, 'env://UNSEAL_KEY'), env)
      assert.match(program.output, /listening on .*; unsealed/)
      const { type, sealed, recovery_seal } = (await sendTo(port, 'GET', 'sys/seal-status', undefined, {})).body
      assert.deepEqual([type, sealed, recovery_seal], ['static', false, true])
      assert.deepEqual((await sendTo(port, 'GET', 'cubbyhole/a', undefined, withToken(root))).body.data, { v: 1 })
      await program.kill()
    }
    const wrong = randomBytes(32).toString('hex')
    const refused = await refusalOf(await run(folder.path, config(port, 'env://UNSEAL_KEY'), { UNSEAL_KEY: wrong }))
    assert.equal(refused.code, 1)
    assert.match(refused.output, /^strongroom: seal "static": key "k1" does not open the root key/m)
    assert.ok(!refused.output.includes(wrong))
    const renamed = await refusalOf(await run(folder.path, config(port, key.toString('hex'), 'k2')))
    assert.match(renamed.output, /^strongroom: seal "static": the root key was sealed with key "k1"/m)
    // Without its seal the store is not taken for one with shares.
    const without = await refusalOf(await run(folder.path, `storage "sqlite" { path = "data" }\n${tcp(port)}`))
    assert.equal(without.code, 1)
    assert.match(without.output, /^strongroom: .*static/m)
  })

  test('a key that cannot be had is told by its option, never by its text', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    for (const [key, message] of [
      ['env://NO_SUCH_VARIABLE', /seal "static": current_key: the environment variable NO_SUCH_VARIABLE is not set/],
      ['file:///no/such/key', /seal "static": current_key: the file cannot be read/],
      ['much-too-short', /seal "static": current_key is not a key of 32 bytes/],
    ] as const) {
      const { code, output } = await refusalOf(await run(folder.path, config(port, key)))
      assert.equal(code, 1)
      assert.match(output, message)
      assert.doesNotMatch(output, /much-too-short|\n\s+at /)
    }
  })
})

describe('what is kept', () => {
  test('start again goes on with the data, after SIGTERM and after SIGKILL, and its files are for its owner only', async () => {
    await using folder = await temporaryFolder()
    const data = path.join(folder.path, 'data')
    const write = (port: number, root: string, value: number) =>
      sendTo(port, 'POST', 'secret/data/app', { data: { value } }, withToken(root))
    const read = async (port: number, root: string) =>
      (await sendTo(port, 'GET', 'secret/data/app', undefined, withToken(root))).body.data
    let root: string
    {
      await using first = await startKept(data)
      root = (await readFile(path.join(data, 'root-token'), 'utf8')).trim()
      assert.equal((await write(first.port, root, 1)).status, 200)
      first.program.signal('SIGTERM')
      assert.deepEqual(await first.program.ended(), { code: 0, signal: null })
    }
    {
      await using second = await startKept(data)
      assert.match(second.program.output, /goes on/)
      assert.deepEqual((await read(second.port, root)).data, { value: 1 })
      assert.equal((await write(second.port, root, 2)).status, 200)
      // What was acknowledged is there after the process was killed right then.
      second.program.signal('SIGKILL')
      assert.deepEqual(await second.program.ended(), { code: null, signal: 'SIGKILL' })
    }
    await using third = await startKept(data)
    const { data: value, metadata } = await read(third.port, root)
    assert.deepEqual([value, metadata.version], [{ value: 2 }, 2])
    assert.equal((await readFile(path.join(data, 'root-token'), 'utf8')).trim(), root)
    const all = await readdir(data, { recursive: true, withFileTypes: true })
    assert.ok(all.length > 4)
    for (const entry of all) {
      const { mode } = await stat(path.join(entry.parentPath, entry.name))
      assert.equal((mode & 0o777).toString(8), entry.isDirectory() ? '700' : '600', entry.name)
    }
    assert.equal((await stat(data)).mode & 0o777, 0o700)
  })

  test('a configured server keeps its data, sealed until a share is given', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const config = `storage "raft" {\n  path = "data"\n  node_id = "n1"\n}\nledger { path = "trail" }\n${tcp(port)}`
    let keys: { share: string; root: string }
    {
      await using program = await startConfigured(folder.path, config)
      keys = await initialize(port)
      assert.equal((await unseal(port, keys.share)).body.sealed, false)
      assert.equal((await sendTo(port, 'POST', 'cubbyhole/a', { v: 1 }, withToken(keys.root))).status, 204)
      await program.kill()
    }
    assert.ok((await readdir(path.join(folder.path, 'trail'))).length > 0)
    await using _program = await startConfigured(folder.path, config)
    assert.equal((await sendTo(port, 'GET', 'cubbyhole/a', undefined, withToken(keys.root))).status, 503)
    await unseal(port, keys.share)
    assert.deepEqual((await sendTo(port, 'GET', 'cubbyhole/a', undefined, withToken(keys.root))).body.data, { v: 1 })
  })

  test('times to live of the file are those of tokens and mounts', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const ttls = 'default_lease_ttl = "10m"\nmax_lease_ttl = "20m"\ncluster_name = "blue"\n'
    await using _program = await startConfigured(folder.path, `storage "inmem" {}\n${ttls}${tcp(port)}`)
    const { share, root } = await initialize(port)
    assert.equal((await unseal(port, share)).body.cluster_name, 'blue')
    const create = async (ttl?: string) => {
      const answer = await sendTo(port, 'POST', 'auth/token/create', { policies: ['default'], ttl }, withToken(root))
      return answer.body.auth.lease_duration
    }
    assert.deepEqual([await create(), await create('2h')], [600, 1200])
    const tune = await sendTo(port, 'GET', 'sys/mounts/cubbyhole/tune', undefined, withToken(root))
    assert.deepEqual([tune.body.default_lease_ttl, tune.body.max_lease_ttl], [600, 1200])
  })
})

describe('signals', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends the server after the request under way, and lets no new one in`, async () => {
      await using server = await startDev()
      const body = JSON.stringify({ data: { value: 'x'.repeat(100) } })
      const head = `POST /v1/secret/data/late HTTP/1.1\r\nHost: h\r\nX-Vault-Token: root\r\nContent-Length: ${body.length}\r\n\r\n`
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      // A connection without a request does not hold the server up.
      const idle = connect(server.port, '127.0.0.1')
      await once(idle, 'connect')
      const idleClosed = once(idle, 'close')
      socket.write(head + body.slice(0, 20))
      // Answered after those bytes have come: the server is in the middle of the request.
      assert.equal((await sendTo(server.port, 'GET', 'sys/health', undefined, {})).status, 200)
      server.program.signal(signal)
      await server.program.said(new RegExp(`${signal}: finishing`))
      await until('refused connections', async () => {
        const answer = await sendTo(server.port, 'GET', 'sys/health', undefined, {}).catch((error: Error) => error)
        return answer instanceof Error ? true : undefined
      })
      await idleClosed
      assert.equal(server.program.running, true)
      let text = ''
      socket.setEncoding('utf8').on('data', (part: string) => (text += part))
      socket.write(body.slice(20))
      await once(socket, 'close')
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
      assert.match(text, /\r\nConnection: close\r\n/i)
      assert.equal(JSON.parse(text.slice(text.indexOf('\r\n\r\n'))).data.version, 1)
      assert.deepEqual(await server.program.ended(), { code: 0, signal: null })
    })
  }
})
