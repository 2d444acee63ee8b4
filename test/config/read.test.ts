/** What is read from configuration files, in the forms in which they exist. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, test } from 'node:test'
import { ConfigError, parseConfig, readConfig, type ServerConfig, type Stanza } from '#boot/config.ts'
import { listenerOptions } from '#boot/listeners.ts'
import { sealConfig } from '#boot/seals.ts'
import { makeAuthority, makeCertificate } from './certificates.ts'
import { temporaryFolder } from './program.ts'

const LEASE_SECONDS = 768 * 3600
const tcp = 'listener "tcp" { tls_disable = true }'
const memory = 'storage "inmem" {}'

/** One line of a listener's stanza that was read. */
const firstListener = (config: ServerConfig): Stanza => config.listeners[0]!
const listenerWith = (options: string, type = 'tcp') =>
  firstListener(parseConfig(`${memory}\nlistener "${type}" {\n${options}\n}`, 'c.hcl'))
const refusedWith = (message: string | RegExp) => ({ name: 'ConfigError', message })

describe('one configuration in all its forms', () => {
  const expected = {
    storage: { type: 'sqlite', options: { path: '/data' } },
    ledgerFolder: undefined,
    auditDevices: [],
    userLockout: [],
    telemetry: undefined,
    seal: undefined,
    leavingSeal: undefined,
    defaultLeaseTtlSeconds: 3600,
    maxLeaseTtlSeconds: 86_400,
    clusterName: 'one',
    unauthedRekey: true,
    pidFile: undefined,
    workers: undefined,
    maxRequestSeconds: undefined,
    tellHostname: false,
    notices: [],
  }
  const tcpOptions = { address: '127.0.0.1:8300', tls_disable: 'true' }
  for (const [form, text] of Object.entries({
    hcl: `
      storage "sqlite" { path = "/data" }
      listener "tcp" {
        address     = "127.0.0.1:8300"
        tls_disable = true
      }
      default_lease_ttl = "1h"
      max_lease_ttl     = 86400
      cluster_name      = "one"
      disable_mlock     = true   # nothing to lock here
      api_addr          = "http://127.0.0.1:8300"`,
    'hcl with an old name': `
      backend "sqlite" { path = "/data" }
      listener "tcp" { address = "127.0.0.1:8300", tls_disable = "true" }
      default_lease_ttl = "60m"
      max_lease_ttl = "24h"
      cluster_name = "one"`,
    json: `{
      "storage": {"sqlite": {"path": "/data"}}, "listener": {"tcp": {"address": "127.0.0.1:8300", "tls_disable": true}},
      "default_lease_ttl": "1h", "max_lease_ttl": "24h", "cluster_name": "one", "ui": true, "disable_mlock": true}`,
    'json with lists': `{
      "backend": [{"sqlite": [{"path": "/data"}]}], "listener": [{"tcp": [{"address": "127.0.0.1:8300", "tls_disable": true}]}],
      "default_lease_ttl": 3600, "max_lease_ttl": "1d", "cluster_name": "one"}`,
    'json with null': `{
      "storage": {"sqlite": {"path": "/data"}}, "seal": [], "default_lease_ttl": "1h", "max_lease_ttl": "24h",
      "listener": [{"tcp": {"address": "127.0.0.1:8300", "tls_disable": true, "tls_cert_file": null}}], "cluster_name": "one"}`,
  })) {
    test(form, () => {
      const { listeners, apiAddress, scalars, ...rest } = parseConfig(text, 'c')
      assert.deepEqual(rest, expected)
      assert.equal(apiAddress, text.includes('api_addr') ? 'http://127.0.0.1:8300' : undefined)
      assert.equal(scalars['cluster_name']?.text, 'one')
      assert.deepEqual(
        listeners.map(({ type, options }) => ({ type, options })),
        [{ type: 'tcp', options: tcpOptions }],
      )
    })
  }
})

test('without times to live they are 32 days, as on every server of this API; a longest one also bounds the usual one', () => {
  const ttls = (text: string) => {
    const { defaultLeaseTtlSeconds, maxLeaseTtlSeconds } = parseConfig(`${memory}\n${tcp}\n${text}`, 'c.hcl')
    return [defaultLeaseTtlSeconds, maxLeaseTtlSeconds]
  }
  assert.deepEqual(ttls(''), [LEASE_SECONDS, LEASE_SECONDS])
  assert.deepEqual(ttls('default_lease_ttl = 0'), [LEASE_SECONDS, LEASE_SECONDS])
  assert.deepEqual(ttls('max_lease_ttl = "2h"'), [7200, 7200])
  assert.throws(
    () => ttls('default_lease_ttl = "2h"\nmax_lease_ttl = "1h"'),
    refusedWith(/^c\.hcl: default_lease_ttl is longer/),
  )
})

test('stores of other servers are taken as the embedded one, and it is told', () => {
  for (const type of ['file', 'raft']) {
    const { storage, notices } = parseConfig(`storage "${type}" {\n  path = "d"\n  node_id = "n1"\n}\n${tcp}`, 'c.hcl')
    assert.deepEqual(storage, { type: 'sqlite', options: { path: 'd' } })
    assert.deepEqual(notices, [
      `c.hcl:1:1: storage "${type}" is taken as the embedded store in the same folder; data of another server there is not read`,
    ])
  }
  for (const type of ['inmem', 'memory']) {
    assert.deepEqual(parseConfig(`storage "${type}" {}\n${tcp}`, 'c').storage, { type: 'memory', options: {} })
  }
})

test('rekeying without a token is closed at every door when one says so, or the top', () => {
  const key = 'disable_unauthed_rekey_endpoints'
  const config = (top: string, ...listeners: string[]) =>
    parseConfig(
      [memory, top, ...listeners.map((each) => `listener "unix" {\n address = "/s"\n${each}\n}`)].join('\n'),
      'c',
    )
  assert.equal(config('', '', '').unauthedRekey, true)
  assert.equal(config('', '', `${key} = false`).unauthedRekey, true)
  assert.equal(config('', '', `${key} = true`).unauthedRekey, false)
  assert.equal(config(`${key} = true`, '').unauthedRekey, false)
  assert.equal(config(`${key} = "1"`, `${key} = false`).unauthedRekey, false)
  assert.deepEqual(config(`${key} = true`, `${key} = true`).notices, [])
  assert.throws(() => config(`${key} = "perhaps"`, ''), refusedWith(/is true or false, not "perhaps"/))
})

test('unknown keys are told with their place, and so are keys that do nothing here', () => {
  const { notices } = parseConfig(
    `storage "sqlite" {\n  path = "d"\n  pathh = "e"\n}\ndefault_lease_tll = "1h"\n` +
      `listener "tcp" {\n  tls_disable = 1\n  adress = ":1"\n  tls_acme_email = "e"\n}\n  allow_audit_log_prefixing = "p"\nledger {\n path = "l"\n size = 1\n}`,
    'c.hcl',
  )
  assert.deepEqual(notices.toSorted(), [
    'c.hcl:11:3: "allow_audit_log_prefixing" has no effect in this version',
    'c.hcl:12:1: unknown key "size" of ledger is ignored',
    'c.hcl:1:1: unknown key "pathh" of storage "sqlite" is ignored',
    'c.hcl:5:1: unknown key "default_lease_tll" is ignored',
    'c.hcl:6:1: listener "tcp": "tls_acme_email" has no effect in this version',
    'c.hcl:6:1: listener "tcp": unknown key "adress" is ignored',
  ])
})

test('what cannot be used is refused with file, line and column', () => {
  for (const [text, message] of [
    [`${memory}\nlistener "tcp" {`, 'c:2:17: object expected closing RBRACE got: EOF'],
    [`${memory}\n  listener "udp" {}`, 'c:2:3: listener "udp" is not known: use "tcp" or "unix"'],
    [`${memory}\nlistener {}`, 'c:2:1: listener has one label, its type; given: none'],
    [`${memory}\nlistener "tcp" "a" {}`, 'c:2:1: listener has one label, its type; given: "tcp" "a"'],
    [`${tcp}\nstorage = "inmem"`, 'c:2:1: storage is a block: storage "type" { … }'],
    [
      `${tcp}\n storage "etcd" {}`,
      'c:2:2: storage "etcd" is not known: use "sqlite" { path = "…" }, "postgres" { connection_url = "…" } or "inmem" {}',
    ],
    [`${tcp}\nstorage "sqlite" {}`, 'c:2:1: storage "sqlite" needs a path'],
    [`${tcp}\n${memory}\n${memory}`, 'c:3:1: more than one storage is configured; the first is at c:2:1'],
    [`${tcp}\n${memory}\nbackend "inmem" {}`, 'c:3:1: more than one storage is configured; the first is at c:2:1'],
    [`${tcp}\n${memory}\nseal "a" {}\nseal "b" {}`, 'c:4:1: more than one seal is configured; the first is at c:3:1'],
    [`${tcp}\n${memory}\nmax_lease_ttl = "soon"`, 'c:3:1: max_lease_ttl is a duration such as "768h", not "soon"'],
    [`${tcp}\n${memory}\nmax_lease_ttl = "-1h"`, 'c:3:1: max_lease_ttl is a duration such as "768h", not "-1h"'],
    [`${tcp}\n${memory}\nmax_lease_ttl = true`, 'c:3:1: max_lease_ttl is a text or a number'],
    [`${tcp}\n${memory}\nledger {}`, 'c:3:1: ledger needs a path'],
    [
      `{"storage": {"inmem": {}},\n "listener": {"udp": {}}}`,
      'c:2:15: listener "udp" is not known: use "tcp" or "unix"',
    ],
    [`{"storage": {"inmem": {}},\n}`, 'c:2:1: expected: STRING got: RBRACE'],
    [tcp, 'c: no storage is configured: add storage "sqlite" { path = "…" }'],
    [memory, 'c: no listener is configured: add listener "tcp" { address = "127.0.0.1:8200" … }'],
    ['', 'c: no storage is configured: add storage "sqlite" { path = "…" }'],
  ] as const) {
    assert.throws(() => parseConfig(text, 'c'), refusedWith(message), text)
  }
})

test('a listener has the address, limits and times that it is given', () => {
  const options = listenerOptions(
    listenerWith(`
      address = "[::1]:8400"
      tls_disable = "1"
      max_request_size = 1048576
      max_request_duration = "30s"
      max_json_depth = 50
      max_json_string_value_length = 1000
      max_json_object_entry_count = 0
      http_read_header_timeout = "5s"
      http_idle_timeout = "1m"`),
  )
  assert.deepEqual(options, {
    address: '[::1]:8400',
    limits: {
      maxRequestBytes: 1_048_576,
      maxRequestSeconds: 30,
      maxJsonDepth: 50,
      maxJsonStringBytes: 1000,
      headerSeconds: 5,
      idleSeconds: 60,
    },
  })
  assert.equal(listenerOptions(listenerWith('tls_disable = true')).address, '127.0.0.1:8200')
})

test('a unix socket has its path and mode', () => {
  const options = listenerOptions(listenerWith('address = "/run/s.sock"\nsocket_mode = "660"', 'unix'))
  assert.deepEqual(options, { address: '/run/s.sock', socketMode: 0o660, limits: {} })
  // A bare name is a file in the working directory, not a host.
  assert.equal(listenerOptions(listenerWith('address = "s.sock"', 'unix')).address, './s.sock')
})

test('a listener that cannot be used is refused with its place', () => {
  for (const [options, message] of [
    ['', 'needs tls_cert_file and tls_key_file; only for tests: tls_disable = true'],
    ['tls_cert_file = "/nowhere.pem"\ntls_key_file = "k"', 'tls_cert_file /nowhere.pem cannot be read: no such file'],
    ['tls_disable = true\naddress = "127.0.0.1"', 'address is host:port, such as "127.0.0.1:8200", not "127.0.0.1"'],
    ['tls_disable = true\naddress = "/tmp/x"', 'address is host:port, such as "127.0.0.1:8200", not "/tmp/x"'],
    ['tls_disable = true\naddress = "a:70000"', 'address is host:port, such as "127.0.0.1:8200", not "a:70000"'],
    ['tls_disable = true\nmax_request_size = "big"', 'max_request_size is a whole number, not "big"'],
    ['tls_disable = true\nhttp_idle_timeout = "x"', 'http_idle_timeout is a duration such as "90s", not "x"'],
    ['tls_disable = true\nchroot_namespace = "team"', 'chroot_namespace is not available in this version'],
  ] as const) {
    assert.throws(
      () => listenerOptions(listenerWith(options)),
      refusedWith(`c.hcl:2:1: listener "tcp": ${message}`),
      options,
    )
  }
  // Neither true nor false must not mean either of them.
  assert.throws(
    () => listenerOptions(listenerWith('tls_disable = "yes"')),
    refusedWith('c.hcl:2:1: tls_disable is true or false, not "yes"'),
  )
  assert.throws(
    () => listenerOptions(listenerWith('', 'unix')),
    refusedWith('c.hcl:2:1: listener "unix": needs an address: the path of the socket'),
  )
  assert.throws(() => listenerOptions(listenerWith('address = "./s"\nsocket_mode = "rw"', 'unix')), ConfigError)
})

test('certificates are judged before anything is opened, each file by its name', async () => {
  await using folder = await temporaryFolder()
  await makeAuthority(folder.path)
  await makeCertificate(folder.path, 'server', 'serverAuth')
  await makeCertificate(folder.path, 'client', 'clientAuth')
  const file = (name: string) => path.join(folder.path, name)
  await writeFile(file('text.pem'), 'not PEM')
  const stanza = (cert: string, key: string, more = '') =>
    listenerWith(`tls_cert_file = "${file(cert)}"\ntls_key_file = "${file(key)}"\n${more}`)
  assert.deepEqual(listenerOptions(stanza('server.pem', 'server-key.pem', 'tls_min_version = "tls13"')).tls, {
    certFile: file('server.pem'),
    keyFile: file('server-key.pem'),
    minVersion: 'tls13',
    requireClientCert: false,
    disableClientCerts: false,
  })
  for (const [cert, key, more, message] of [
    ['text.pem', 'server-key.pem', '', /: tls_cert_file \S+text\.pem holds no certificate in PEM form$/],
    ['server.pem', 'text.pem', '', /: tls_key_file \S+text\.pem holds no private key in PEM form/],
    ['server.pem', 'client-key.pem', '', /: tls_key_file \S+client-key\.pem is not the key of the certificate/],
    [
      'server.pem',
      'server-key.pem',
      `tls_client_ca_file = "${file('text.pem')}"`,
      /: tls_client_ca_file \S+text\.pem holds no/,
    ],
    [
      'server.pem',
      'server-key.pem',
      'tls_min_version = "tls10"',
      /: tls_min_version is "tls12" or "tls13", not "tls10"$/,
    ],
    ['server.pem', 'server-key.pem', 'tls_require_and_verify_client_cert = true', /needs tls_client_ca_file/],
    [
      'server.pem',
      'server-key.pem',
      'tls_require_and_verify_client_cert = true\ntls_disable_client_certs = true',
      /exclude each other/,
    ],
  ] as const) {
    assert.throws(() => listenerOptions(stanza(cert, key, more)), refusedWith(message))
  }
})

test('the seal is read with its options, and the disabled one beside it; an unknown one is refused', () => {
  const sealOf = (text: string, env = {}) => sealConfig(parseConfig(`${memory}\n${tcp}\n${text}`, 'c.hcl'), env)
  assert.deepEqual(sealOf(''), { type: 'shamir' })
  assert.deepEqual(sealOf('seal "static" {\n current_key_id = "a"\n current_key = "env://K"\n}'), {
    type: 'static',
    options: { current_key_id: 'a', current_key: 'env://K' },
  })
  const disabled = { disabled: 'true', current_key_id: 'a' }
  const old = 'seal "static" {\n disabled = "true"\n current_key_id = "a"\n}'
  assert.deepEqual(sealOf(old), { type: 'shamir', leaving: { type: 'static', options: disabled } })
  assert.deepEqual(sealOf(`${old}\nseal "static" {\n current_key_id = "b"\n}`), {
    type: 'static',
    options: { current_key_id: 'b' },
    leaving: { type: 'static', options: disabled },
  })
  assert.deepEqual(sealOf('seal "shamir" {\n disabled = "true"\n}'), { type: 'shamir' })
  assert.throws(() => sealOf(`${old}\n${old}`), refusedWith(/more than one disabled seal is configured/))
  const both = 'seal "static" {}\nseal "static" {}'
  assert.throws(() => sealOf(both), refusedWith(/more than one seal is configured/))
  assert.deepEqual(sealOf('', { VAULT_SEAL_TYPE: 'static' }), { type: 'static', options: {} })
  assert.deepEqual(sealOf(old, { BAO_SEAL_TYPE: 'shamir' }).type, 'shamir')
  assert.throws(
    () => sealOf('seal "static" {}', { VAULT_SEAL_TYPE: 'shamir' }),
    refusedWith(/has seal "static", VAULT_SEAL_TYPE says "shamir"/),
  )
  assert.throws(
    () => sealOf('', { STRONGROOM_SEAL_TYPE: 'enigma' }),
    refusedWith(/STRONGROOM_SEAL_TYPE: seal "enigma" is not known/),
  )
  assert.throws(
    () => sealOf('seal "enigma" {}'),
    refusedWith(/^c\.hcl:3:1: seal "enigma" is not known: use .*"static"/),
  )
})

test('a directory is read file by file in the order of their names, and what editors leave is not', async () => {
  await using folder = await temporaryFolder()
  const put = (name: string, text: string) => writeFile(path.join(folder.path, name), text)
  await put('20-storage.json', '{"storage": {"file": {"path": "d"}}, "max_lease_ttl": "2h"}')
  await put('10-listeners.hcl', `${tcp}\nmax_lease_ttl = "1h"`)
  await put('30-socket.hcl', 'listener "unix" {\n  address = "./s"\n}')
  await put('.10-listeners.hcl.hcl', 'not to be read {')
  await put('notes.txt', 'not to be read {')
  await mkdir(path.join(folder.path, 'more.hcl'))
  const { listeners, storage, maxLeaseTtlSeconds, notices } = readConfig([folder.path])
  assert.deepEqual(storage.options, { path: 'd' })
  assert.equal(maxLeaseTtlSeconds, 7200)
  assert.deepEqual(
    listeners.map(({ type, at }) => [type, path.basename(at)]),
    [
      ['tcp', '10-listeners.hcl:1:1'],
      ['unix', '30-socket.hcl:1:1'],
    ],
  )
  assert.match(notices[0]!, /20-storage\.json:1:14: storage "file" is taken/)
  await put('40-broken.hcl', 'seal {')
  assert.throws(() => readConfig([folder.path]), refusedWith(/40-broken\.hcl:1:7: /))
})

test('files that are not there or hold nothing are told', async () => {
  await using folder = await temporaryFolder()
  assert.throws(() => readConfig([folder.path]), refusedWith(`no .hcl or .json file in ${folder.path}`))
  assert.throws(
    () => readConfig([path.join(folder.path, 'no.hcl')]),
    refusedWith(`cannot read the configuration ${path.join(folder.path, 'no.hcl')}: no such file or folder`),
  )
})
