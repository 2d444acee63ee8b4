/** `operator diagnose`: each mistake in a configuration and its surroundings is found, named, and told how to mend. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { describe, test } from 'node:test'
import { diagnose } from '#boot/diagnose.ts'
import { exitCode, type Finding } from '#boot/diagnosis.ts'
import { freePort } from '#test/port.ts'
import { makeAuthority, makeCertificate } from './certificates.ts'
import { startConfigured } from './configured.ts'
import { launcher, temporaryFolder } from './program.ts'

const left = new Set(['system'])

async function place() {
  const folder = await temporaryFolder()
  const at = (...names: string[]) => path.join(folder.path, ...names)
  await makeAuthority(folder.path)
  await makeCertificate(folder.path, 'server', 'serverAuth')
  await chmod(at('server-key.pem'), 0o600)
  const port = await freePort()
  const text = (changes: { listener?: string; more?: string; key?: string; cert?: string; data?: string } = {}) =>
    `storage "sqlite" { path = "${at(changes.data ?? 'data')}" }\nlistener "tcp" {\n  address = "127.0.0.1:${port}"\n` +
    `  tls_cert_file = "${at(changes.cert ?? 'server.pem')}"\n  tls_key_file = "${at(changes.key ?? 'server-key.pem')}"\n` +
    `  ${changes.listener ?? ''}\n}\n${changes.more ?? ''}\n`
  const look = async (changes?: Parameters<typeof text>[0]) => {
    await writeFile(at('server.hcl'), typeof changes === 'object' ? text(changes) : text(), { mode: 0o640 })
    const chapters = await diagnose([at('server.hcl')], left)
    return { code: exitCode(chapters), findings: chapters.flatMap(({ findings }) => findings) }
  }
  return { at, port, text, look, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

/** The only finding that is not well. */
function only(findings: readonly Finding[], status: 'warn' | 'fail'): Finding {
  const found = findings.filter((each) => each.status === status)
  assert.equal(found.length, 1, JSON.stringify(findings, undefined, 1))
  assert.ok(found[0]!.advice, 'with a way to mend it')
  return found[0]!
}

// An authority of the tests is good for two days only, which is a warning of its own.
const isSoon = ({ message }: Finding) => /expires in [12] days/.test(message)

test('what is in order is told to be, and nothing is made or changed', async () => {
  await using here = await place()
  const before = await readdir(here.at())
  const { findings } = await here.look()
  assert.deepEqual(
    findings.filter((each) => ['warn', 'fail'].includes(each.status) && !isSoon(each)),
    [],
  )
  for (const name of ['Parse', 'Permissions', 'Store', 'Store: room', 'Seal', 'Address', 'Chain', 'Key file', 'Names'])
    assert.ok(
      findings.some((each) => each.name === name && each.status === 'ok'),
      name,
    )
  assert.deepEqual((await readdir(here.at())).toSorted(), [...before, 'server.hcl'].toSorted())
})

describe('what is wrong is found', () => {
  const wrong = (
    name: string,
    status: 'warn' | 'fail',
    message: RegExp,
    make: (here: Awaited<ReturnType<typeof place>>) => Promise<Parameters<typeof here.look>[0]>,
  ) =>
    test(name, async () => {
      await using here = await place()
      const { findings, code } = await here.look(await make(here))
      const finding = only(
        findings.filter((each) => !isSoon(each)),
        status,
      )
      assert.match(`${finding.name}: ${finding.message}`, message)
      assert.equal(code, status === 'fail' ? 1 : 2)
    })

  wrong('an unknown key', 'warn', /Keys: .*unknown key "max_leese_ttl"/, async () => ({ more: 'max_leese_ttl = "1h"' }))
  wrong('a value that cannot be', 'fail', /Parse: .*max_lease_ttl is a duration/, async () => ({
    more: 'max_lease_ttl = "soon"',
  }))
  wrong('an option of a listener', 'fail', /Options: .*socket_mode is three octal digits/, async () => ({
    listener: 'socket_mode = "rw"',
  }))
  wrong('a certificate that is not there', 'fail', /Options: .*none\.pem cannot be read: no such file/, async () => ({
    cert: 'none.pem',
  }))
  wrong('a key of another certificate', 'fail', /Options: .*is not the key of the certificate/, async () => ({
    key: 'ca-key.pem',
  }))
  wrong('a key that everybody may read', 'fail', /Key file: everybody may read/, async ({ at }) => {
    await chmod(at('server-key.pem'), 0o644)
    return {}
  })
  wrong('an address of another program', 'fail', /Address: .*is taken by another program/, async ({ port, at }) => {
    const other = createServer().listen(port, '127.0.0.1')
    other.unref()
    await once(other, 'listening')
    await mkdir(at('data'), { mode: 0o700 })
    return {}
  })
  wrong('an address of another machine', 'fail', /Address: .*is no address of this machine/, async () => ({
    more: 'listener "tcp" {\n address = "192.0.2.1:8200"\n tls_cert_file = "server.pem"\n tls_disable = true\n}',
  }))
  wrong('secrets in clear text', 'warn', /TLS: off: tokens and secrets travel/, async () => ({
    more: `listener "tcp" {\n address = "0.0.0.0:${await freePort()}"\n tls_disable = true\n}`,
  }))
  wrong('a folder that others may look into', 'warn', /Store: others may look into/, async ({ at }) => {
    await mkdir(at('data'))
    await chmod(at('data'), 0o755)
    return {}
  })
  wrong('a folder that is a link', 'warn', /Store: .*is a symbolic link/, async ({ at }) => {
    await mkdir(at('real'), { mode: 0o700 })
    await symlink(at('real'), at('data'))
    return {}
  })
  wrong('a file in place of the folder', 'fail', /Store: .*is no folder/, async ({ at }) => {
    await writeFile(at('data'), '')
    return {}
  })
  wrong('a store that is none', 'fail', /Contents: .*is not a database/, async ({ at }) => {
    await mkdir(at('data'), { mode: 0o700 })
    await writeFile(at('data', 'store.db'), 'this is not a database', { mode: 0o600 })
    return {}
  })
  wrong('a store from the future', 'warn', /Clock: .*is still to come/, async ({ at }) => {
    await mkdir(at('data'), { mode: 0o700 })
    await writeFile(at('data', 'store.db'), '', { mode: 0o600 })
    const later = new Date(Date.now() + 3600_000)
    await utimes(at('data', 'store.db'), later, later)
    return {}
  })
  wrong('a folder in memory', 'warn', /file system: .*tmpfs/, async () => ({
    more: 'ledger { path = "/dev/shm/strongroom-diagnose-none" }',
  }))
  wrong('a seal without its key', 'fail', /Seal: .*NO_SUCH_VARIABLE is not set/, async () => ({
    more: 'seal "static" {\n current_key_id = "a"\n current_key = "env://NO_SUCH_VARIABLE"\n}',
  }))
  wrong('a seal whose server does not answer', 'fail', /Seal: (?!.*not-to-be-told).*/, async ({ at, text }) => {
    await writeFile(at('server.hcl'), text())
    await chmod(at('server.hcl'), 0o600)
    return {
      more: 'seal "transit" {\n address = "http://127.0.0.1:1"\n token = "not-to-be-told"\n key_name = "k"\n mount_path = "transit/"\n}',
    }
  })
  wrong('an audit file that cannot be written', 'fail', /disk\/: \/nowhere is not there/, async () => ({
    more: 'audit "file" "disk" {\n options { file_path = "/nowhere/a.log" }\n}',
  }))
})

test('certificates: expired, soon to expire, out of order, weak, without names', async () => {
  await using here = await place()
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: here.at(), stdio: 'pipe' })
  const make = (name: string, days: string, ...more: string[]) => {
    openssl(
      'req',
      '-x509',
      '-nodes',
      '-subj',
      '/CN=x',
      '-days',
      days,
      '-keyout',
      `${name}-key.pem`,
      '-out',
      `${name}.pem`,
      ...more,
    )
  }
  const names = ['-addext', 'subjectAltName=DNS:localhost']
  const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  make('soon', '10', ...p256, ...names)
  make('nameless', '100', ...p256)
  make('weak', '100', '-newkey', 'rsa:1024', ...names)
  // Only `openssl ca` makes what was good in the past.
  await writeFile(
    here.at('ca.cnf'),
    '[ca]\ndefault_ca = it\n[it]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n' +
      'policy = any\nx509_extensions = names\n[any]\ncommonName = supplied\n[names]\nsubjectAltName = DNS:localhost\n',
  )
  await writeFile(here.at('index'), '')
  openssl('req', '-new', '-nodes', '-subj', '/CN=x', '-keyout', 'old-key.pem', '-out', 'old.csr', ...p256)
  const past = ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z']
  const own = ['-selfsign', '-keyfile', 'old-key.pem', '-in', 'old.csr', '-out', 'old.pem', '-notext']
  openssl('ca', '-batch', '-config', 'ca.cnf', ...past, ...own)
  const at = async (name: string) => {
    await chmod(here.at(`${name}-key.pem`), 0o600)
    const { findings, code } = await here.look({ cert: `${name}.pem`, key: `${name}-key.pem` })
    return {
      code,
      told: findings
        .filter((each) => each.status !== 'ok')
        .map((each) => `${each.name}: ${each.message}`)
        .join('\n'),
    }
  }
  assert.match((await at('soon')).told, /Certificate: expires in (?:9|10) days\nChain: the certificate is self-signed/)
  assert.equal((await at('soon')).code, 2)
  assert.match((await at('nameless')).told, /Names: the certificate has no subject alternative name/)
  assert.match((await at('old')).told, /Certificate: expired \d+ days ago/)
  assert.match((await at('weak')).told, /Key: rsa of 1024 bits|Options: .*ee key too small/)
  const { execSync } = await import('node:child_process')
  execSync('cat server.pem soon.pem > mixed.pem && cp server-key.pem mixed-key.pem', { cwd: here.at() })
  assert.match((await at('mixed')).told, /Chain: certificate 1 is not issued by the one behind it/)
})

test('beside a running server its address and folder are told to be its own', async () => {
  await using here = await place()
  await writeFile(here.at('config.hcl'), here.text())
  await using _server = await startConfigured(here.at(), here.text())
  const { findings } = await here.look()
  const messages = findings.map(({ message }) => message).join('\n')
  assert.match(messages, /a server runs with this folder/)
  assert.match(messages, /is taken; a server runs with this configuration's data/)
  assert.equal(findings.filter(({ status }) => status === 'fail').length, 0)
})

test('a configuration that others may change is refused', async () => {
  await using here = await place()
  await writeFile(here.at('server.hcl'), here.text())
  await chmod(here.at('server.hcl'), 0o666)
  const [chapter] = await diagnose([here.at('server.hcl')], left)
  assert.match(only(chapter!.findings, 'fail').message, /others may write to/)
  // Of a folder, each of its files.
  await mkdir(here.at('conf.d'))
  await writeFile(here.at('conf.d', 'a.hcl'), here.text())
  await writeFile(here.at('conf.d', 'b.hcl'), 'max_lease_ttl = "2h"')
  await chmod(here.at('conf.d', 'b.hcl'), 0o664)
  const [ofFolder] = await diagnose([here.at('conf.d')], left)
  assert.match(only(ofFolder!.findings, 'fail').message, /others may write to .*b\.hcl/)
})

test('the command prints it as text and as JSON, leaves parts out, and its exit tells how it is', async () => {
  await using here = await place()
  await writeFile(here.at('good.hcl'), here.text())
  await writeFile(here.at('bad.hcl'), here.text({ more: 'seal "enigma" {}' }), { mode: 0o600 })
  const run = (...words: string[]) => spawnSync(launcher, ['operator', 'diagnose', ...words], { encoding: 'utf8' })
  const good = run(`-config=${here.at('good.hcl')}`, '-debug')
  assert.equal(good.status, 2, good.stderr)
  assert.match(good.stdout, /^\[ ok \] Configuration \(\d+ ms\)\n {2}\[ ok \] Parse: /)
  assert.match(good.stdout, /^\[(?: ok |warn)\] Operating system/m)
  for (const name of ['User', 'Open files', 'Swap', 'Core dumps', 'Clock', 'Randomness'])
    assert.match(good.stdout, new RegExp(`^ {2}\\[(?: ok |warn)\\] ${name}: `, 'm'))
  const bad = run(`-config=${here.at('bad.hcl')}`, '-format=json', '-skip=system', '-skip=listener')
  assert.equal(bad.status, 1)
  const told = JSON.parse(bad.stdout)
  assert.equal(told.status, 'fail')
  const seal = told.children.find((each: any) => each.name === 'Seal')
  assert.equal(seal.children[0].status, 'fail')
  assert.match(seal.children[0].message, /seal "enigma" is not known/)
  assert.deepEqual(
    told.children.map((each: any) => each.status),
    ['ok', 'skip', 'ok', 'fail', 'skip', 'ok'],
  )
  for (const [words, message] of [
    [[], /say which configuration: -config=FILE/],
    [[`-config=${here.at('good.hcl')}`, '-skip=moon'], /-skip is one of system, listener/],
  ] as const) {
    const { status, stderr } = run(...words)
    assert.equal(status, 1)
    assert.match(stderr, message)
  }
  const none = run('-config=/no/such.hcl')
  assert.equal(none.status, 1)
  assert.match(none.stdout, /\[fail\] Parse: cannot read the configuration \/no\/such\.hcl/)
})
