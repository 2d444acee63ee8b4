/** What a listener's stanza and its neighbours do to a running server: proxies, TLS, redaction, files, signals. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { hostname } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { parseConfig, type Stanza } from '#boot/config.ts'
import { listenerOptions } from '#boot/listeners.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'
import { makeAuthority, makeCertificate } from './certificates.ts'
import { initialize, refusalOf, run, startConfigured, tcp, unseal, withToken } from './configured.ts'
import { Program, temporaryFolder, until } from './program.ts'
import { sendTls } from './requests.ts'

const memory = 'storage "inmem" {}\n'
const listener = (port: number, options: string) =>
  `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n  ${options}\n}\n`
const stanza = (options: string): Stanza =>
  parseConfig(`${memory}listener "tcp" {\n  tls_disable = true\n${options}\n}`, 'c.hcl').listeners[0]!

describe('proxies in the configuration', () => {
  test('the address that a proxy forwards is that of the audit, of bound tokens and of AppRole', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const options = 'x_forwarded_for_authorized_addrs = ["127.0.0.0/8"]\n  x_forwarded_for_reject_not_present = "false"'
    const config = `${memory}ledger { path = "trail" }\n${listener(port, options)}`
    await using _program = await startConfigured(folder.path, config)
    const { share, root } = await initialize(port)
    await unseal(port, share)
    const from = (address: string, token?: string) => ({
      'x-forwarded-for': address,
      ...(token !== undefined && withToken(token)),
    })
    const create = { policies: ['default'], ttl: '1h' }
    await sendTo(port, 'POST', 'auth/token/roles/bound', { token_bound_cidrs: ['192.0.2.0/24'] }, withToken(root))
    const { body } = await sendTo(port, 'POST', 'auth/token/create/bound', create, withToken(root))
    const token: string = body.auth.client_token
    const self = async (address: string) =>
      (await sendTo(port, 'GET', 'auth/token/lookup-self', undefined, from(address, token))).status
    assert.deepEqual([await self('192.0.2.9'), await self('192.0.3.9')], [200, 403])
    const direct = await sendTo(port, 'GET', 'auth/token/lookup-self', undefined, withToken(token))
    assert.equal(direct.status, 403)

    await sendTo(port, 'POST', 'sys/auth/approle', { type: 'approle' }, withToken(root))
    const role = { secret_id_bound_cidrs: ['198.51.100.0/24'] }
    await sendTo(port, 'POST', 'auth/approle/role/r', role, withToken(root))
    const roleId = (await sendTo(port, 'GET', 'auth/approle/role/r/role-id', undefined, withToken(root))).body.data
    const secretId = (await sendTo(port, 'POST', 'auth/approle/role/r/secret-id', {}, withToken(root))).body.data
    const login = async (address: string) => {
      const given = { role_id: roleId.role_id, secret_id: secretId.secret_id }
      return (await sendTo(port, 'POST', 'auth/approle/login', given, from(address))).status
    }
    assert.deepEqual([await login('198.51.100.7'), await login('192.0.2.9')], [200, 400])

    const trail = path.join(folder.path, 'trail')
    const names = (await readdir(trail)).filter((name) => name.endsWith('.jsonl'))
    const text = (await Promise.all(names.map((name) => readFile(path.join(trail, name), 'utf8')))).join('')
    for (const address of ['192.0.2.9', '192.0.3.9', '127.0.0.1', '198.51.100.7'])
      assert.ok(text.includes(`"remote_address":"${address}"`), address)
  })

  test('the address of a PROXY header reaches the audit too', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const options =
      'proxy_protocol_behavior = "deny_unauthorized"\n  proxy_protocol_authorized_addrs = "10.0.0.1, 127.0.0.1"'
    const config = `${memory}ledger { path = "trail" }\n${listener(port, options)}`
    await using _program = await startConfigured(folder.path, config)
    await unseal(port, (await initialize(port)).share)
    const socket = connect(port, '127.0.0.1')
    socket.write(
      'PROXY TCP4 192.0.2.77 127.0.0.1 4711 8200\r\nGET /v1/secret/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    )
    socket.resume()
    await once(socket, 'close')
    const trail = path.join(folder.path, 'trail')
    const text = await readFile(path.join(trail, (await readdir(trail))[0]!), 'utf8')
    assert.match(text, /"remote_address":"192\.0\.2\.77","remote_port":4711/)
  })

  test('what cannot be meant is refused with its place', () => {
    for (const [options, message] of [
      [
        'proxy_protocol_behavior = "always"',
        /^c\.hcl:2:1: listener "tcp": proxy_protocol_behavior is one of "use_always"/,
      ],
      ['proxy_protocol_behavior = "allow_authorized"', /needs proxy_protocol_authorized_addrs$/],
      [
        'proxy_protocol_behavior = "deny_unauthorized"\nproxy_protocol_authorized_addrs = []',
        /needs proxy_protocol_auth/,
      ],
      [
        'proxy_protocol_behavior = "allow_authorized"\nproxy_protocol_authorized_addrs = "lb"',
        /is a list of addresses/,
      ],
      ['x_forwarded_for_authorized_addrs = "10.0.0.0/33"', /x_forwarded_for_authorized_addrs is a list of addresses/],
      ['x_forwarded_for_authorized_addrs = "::1"\nx_forwarded_for_hop_skips = -1', /hop_skips is a whole number/],
      ['x_forwarded_for_authorized_addrs = "::1"\nx_forwarded_for_reject_not_present = "no"', /is true or false/],
      [
        'x_forwarded_for_authorized_addrs = "::1"\nx_forwarded_for_client_cert_header = "X-C"\nx_forwarded_for_client_cert_header_decoders = "PEM"',
        /unknown decode option specified: PEM/,
      ],
      ['redact_version = "juan"', /redact_version is true or false, not "juan"/],
    ] as const)
      assert.throws(() => listenerOptions(stanza(options)), { name: 'ConfigError', message }, options)
    // Turned on only by an address: without one, nobody is believed and nothing is refused.
    assert.equal(listenerOptions(stanza('x_forwarded_for_hop_skips = 1')).forwarding, undefined)
    const { forwarding } = listenerOptions(stanza('x_forwarded_for_authorized_addrs = "10.0.0.0/8,::1"'))
    assert.deepEqual(
      ['10.9.9.9', '::1', '::ffff:10.0.0.1', '11.0.0.1', ''].map((address) => forwarding!.trusts(address)),
      [true, true, true, false, false],
    )
    assert.deepEqual([forwarding!.rejectNotPresent, forwarding!.rejectNotAuthorized], [true, true])
  })
})

describe('TLS', () => {
  async function listening(folder: string, options: string) {
    const port = await freePort()
    const files = 'tls_cert_file = "server.pem"\n  tls_key_file = "server-key.pem"'
    const text = `${memory}listener "tcp" {\n  address = "127.0.0.1:${port}"\n  ${files}\n  ${options}\n}`
    const program = await startConfigured(folder, text)
    const agreed = async (options: { maxVersion?: 'TLSv1.2'; minVersion?: 'TLSv1.3'; ciphers?: string } = {}) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
      await once(socket, 'secureConnect')
      const agreement = `${socket.getProtocol()} ${socket.getCipher().name}`
      socket.destroy()
      return agreement
    }
    return { agreed, [Symbol.asyncDispose]: () => program.kill() }
  }

  test('a highest version holds, and a list of suites bounds TLS 1.2 and leaves 1.3 as it is', async () => {
    await using folder = await temporaryFolder()
    await makeAuthority(folder.path)
    await makeCertificate(folder.path, 'server', 'serverAuth')
    {
      await using server = await listening(folder.path, 'tls_max_version = "tls12"')
      assert.match(await server.agreed(), /^TLSv1\.2 /)
      await assert.rejects(server.agreed({ minVersion: 'TLSv1.3' }))
    }
    const suites = 'tls_cipher_suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"'
    await using server = await listening(folder.path, suites)
    assert.match(await server.agreed(), /^TLSv1\.3 /)
    assert.equal(await server.agreed({ maxVersion: 'TLSv1.2' }), 'TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384')
    await assert.rejects(server.agreed({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }))
  })

  test('versions and suites that are not there are refused', async () => {
    await using folder = await temporaryFolder()
    for (const [options, message] of [
      ['tls_max_version = "tls11"', /tls_max_version is "tls12" or "tls13", not "tls11"/],
      ['tls_min_version = "tls13"\ntls_max_version = "tls12"', /tls_max_version is below tls_min_version/],
      ['tls_cipher_suites = "TLS_RSA_WITH_RC4_128_SHA"', /unsupported cipher "TLS_RSA_WITH_RC4_128_SHA"/],
    ] as const) {
      const text = `${memory}listener "tcp" {\ntls_cert_file = "c"\ntls_key_file = "k"\n${options}\n}`
      const { code, output } = await refusalOf(await run(folder.path, text))
      assert.equal(code, 1)
      assert.match(output, message)
    }
  })
})

describe('what answers tell', () => {
  test('versions, names and addresses stay away from answers that need no token, where the listener says so', async () => {
    await using folder = await temporaryFolder()
    const [open, closed] = [await freePort(), await freePort()]
    const all = 'redact_version = true\n  redact_cluster_name = true\n  redact_addresses = true'
    await using _program = await startConfigured(folder.path, memory + tcp(open) + listener(closed, all))
    await unseal(open, (await initialize(open)).share)
    const ask = async (port: number, where: string) => (await sendTo(port, 'GET', where, undefined, {})).body
    const [told, hidden] = [await ask(open, 'sys/health'), await ask(closed, 'sys/health')]
    assert.match(told.version, /^\d/)
    assert.equal(hidden.version, '')
    assert.ok('cluster_name' in told && !('cluster_name' in hidden))
    assert.equal(hidden.cluster_id, told.cluster_id)
    const status = await ask(closed, 'sys/seal-status')
    assert.deepEqual([status.version, status.build_date, 'cluster_name' in status], ['', '', false])
    assert.equal(status.initialized, true)
    assert.equal((await ask(closed, 'sys/leader')).leader_address, '')
    const document = async (port: number) => await ask(port, 'sys/internal/specs/openapi')
    assert.equal((await document(open)).info.version, told.version)
    assert.equal((await document(closed)).info.version, '')
  })

  test('the name of the machine stands in every answer, also in refusals, when that is asked for', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    await using _program = await startConfigured(
      folder.path,
      `${memory}enable_response_header_hostname = true\n${tcp(port)}`,
    )
    for (const where of ['sys/health', 'sys/seal-status', 'no/such', '/nowhere'])
      assert.equal((await sendTo(port, 'GET', where, undefined, {})).headers['x-vault-hostname'], hostname(), where)
  })

  test('a time for requests counts for listeners that say none', () => {
    const config = parseConfig(`${memory}default_max_request_duration = "7s"\n${tcp(1)}`, 'c.hcl')
    assert.equal(config.maxRequestSeconds, 7)
    const of = (options: string) => listenerOptions(stanza(options), { maxRequestSeconds: 7 }).limits!.maxRequestSeconds
    assert.deepEqual([of(''), of('max_request_duration = "3s"')], [7, 3])
  })
})

describe('files and owners', () => {
  test('the number of the process is in its file while it runs', async () => {
    await using folder = await temporaryFolder()
    const file = path.join(folder.path, 'server.pid')
    const config = `storage "sqlite" { path = "data" }\npid_file = "${file}"\n`
    await using program = await startConfigured(folder.path, config + tcp(await freePort()))
    assert.equal(await readFile(file, 'utf8'), `${program.pid}\n`)
    // A second server that may not start leaves it alone.
    assert.equal((await refusalOf(await run(folder.path, config + tcp(await freePort())))).code, 1)
    assert.equal(await readFile(file, 'utf8'), `${program.pid}\n`)
    program.signal('SIGTERM')
    assert.equal((await program.ended()).code, 0)
    assert.equal(existsSync(file), false)
    const lost = await refusalOf(
      await run(folder.path, `${memory}pid_file = "/nowhere/x.pid"\n${tcp(await freePort())}`),
    )
    assert.equal(lost.code, 1)
    assert.match(lost.output, /pid_file \/nowhere\/x\.pid cannot be written: ENOENT/)
  })

  test('a unix socket is given to the user and group that are named', async () => {
    await using folder = await temporaryFolder()
    // Only root may give files away; anybody may name themselves.
    const isRoot = process.getuid!() === 0
    const owner = isRoot ? ['nobody', 'nogroup'] : [String(process.getuid!()), String(process.getgid!())]
    const config = `${memory}listener "unix" {\n  address = "./s.sock"\n  socket_user = "${owner[0]}"\n  socket_group = "${owner[1]}"\n  socket_mode = "660"\n}`
    await using _program = await startConfigured(folder.path, config)
    const { uid, gid, mode } = await stat(path.join(folder.path, 's.sock'))
    assert.deepEqual([uid, gid], isRoot ? [65_534, 65_534] : [process.getuid!(), process.getgid!()])
    assert.equal(mode & 0o777, 0o660)
    const unknown = config.replace(owner[0]!, 'nobody-of-this-name')
    const { output } = await refusalOf(await run(folder.path, unknown))
    assert.match(output, /socket_user "nobody-of-this-name" is not in \/etc\/passwd/)
  })
})

describe('signals', () => {
  test('a second SIGTERM does not wait for requests under way', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    await using program = await startConfigured(folder.path, memory + tcp(port))
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write('POST /v1/sys/init HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{')
    assert.equal((await sendTo(port, 'GET', 'sys/health', undefined, {})).status, 501)
    const closed = once(socket, 'close')
    program.signal('SIGTERM')
    await program.said(/SIGTERM: finishing/)
    const startedAt = performance.now()
    program.signal('SIGTERM')
    await closed
    assert.deepEqual(await program.ended(), { code: 0, signal: null })
    assert.ok(performance.now() - startedAt < 8000)
    assert.match(program.output, /what is under way is cut off/)
  })

  test('at SIGHUP a changed configuration is told to wait for the next start, a broken one is told too', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const text = memory + tcp(port)
    await using program = await startConfigured(folder.path, text)
    const hup = async (config: string, expected: RegExp) => {
      await writeFile(path.join(folder.path, 'config.hcl'), config)
      program.signal('SIGHUP')
      await program.said(expected)
    }
    await hup(`# nothing new\n${text}`, /SIGHUP: certificates and audit files are open anew/)
    assert.doesNotMatch(program.output, /takes effect at the next start/)
    await hup(`max_lease_ttl = "1h"\n${memory}${tcp(1)}`, /takes effect at the next start: .*listener.*, max_lease_ttl/)
    const headers = (value: string) =>
      `${memory}listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n  custom_response_headers {\n    "default" = { "X-Site" = ["${value}"] }\n  }\n}\n`
    const site = async () => (await sendTo(port, 'GET', 'sys/health', undefined, {})).headers['x-site']
    assert.equal(await site(), undefined)
    const told = program.output.split('takes effect').length
    for (const value of ['one', 'two']) {
      await writeFile(path.join(folder.path, 'config.hcl'), headers(value))
      program.signal('SIGHUP')
      await until('the new header', async () => ((await site()) === value ? true : undefined))
    }
    await writeFile(path.join(folder.path, 'config.hcl'), headers('bad\\n'))
    program.signal('SIGHUP')
    await program.said(/X-Site has no value that a header may have/)
    assert.equal(await site(), 'two')
    assert.equal(program.output.split('takes effect').length, told)
    await hup('storage {', /SIGHUP: the configuration cannot be read: config\.hcl:1:\d+/)
    await until('an answer', async () => sendTo(port, 'GET', 'sys/health', undefined, {}).catch(() => undefined))
  })
})

describe('client certificates', () => {
  test('are asked for, required and verified, or not even asked for, as the listener says', async () => {
    await using folder = await temporaryFolder()
    await makeAuthority(folder.path)
    await makeCertificate(folder.path, 'server', 'serverAuth')
    await makeCertificate(folder.path, 'client', 'clientAuth')
    const file = (name: string) => path.join(folder.path, name)
    const stanza = (port: number, options: string) =>
      `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_cert_file = "server.pem"\n  tls_key_file = "server-key.pem"\n  ${options}\n}\n`
    const [asked, required, disabled] = [await freePort(), await freePort(), await freePort()]
    await using _program = await startConfigured(
      folder.path,
      memory +
        stanza(asked, '') +
        stanza(required, 'tls_require_and_verify_client_cert = true\n  tls_client_ca_file = "ca.pem"') +
        stanza(disabled, 'tls_disable_client_certs = true'),
    )
    const without = { ca: file('ca.pem') }
    const own = { ...without, cert: file('client.pem'), key: file('client-key.pem') }
    const statuses = async (files: { ca: string; cert?: string; key?: string }) =>
      Promise.all(
        [asked, required, disabled].map((port) =>
          sendTls(port, 'GET', 'sys/init', files).then(
            ({ status }) => status,
            () => 'refused',
          ),
        ),
      )
    assert.deepEqual(await statuses(own), [200, 200, 200])
    assert.deepEqual(await statuses(without), [200, 'refused', 200])
    // Of another authority: refused where it must be verified, taken where it is only handed on.
    await using other = await temporaryFolder()
    await makeAuthority(other.path)
    await makeCertificate(other.path, 'client', 'clientAuth')
    const foreign = { cert: path.join(other.path, 'client.pem'), key: path.join(other.path, 'client-key.pem') }
    assert.deepEqual(await statuses({ ...without, ...foreign }), [200, 'refused', 200])
  })
})

test('the command line says of a server that does not tell its version that it does not', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  await using _program = await startConfigured(folder.path, memory + listener(port, 'redact_version = true'))
  const status = new Program(['status', `-address=http://127.0.0.1:${port}`])
  assert.equal((await status.ended()).code, 2)
  assert.match(status.output, /^Version\s+n\/a\nBuild Date\s+n\/a$/m)
})
