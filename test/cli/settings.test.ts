/** Environment and flags, formats, failures on the way to the server, and what is asked on a terminal. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { freePort, startWorkplace, type Workplace } from './harness.ts'

let workplace: Workplace
before(async () => {
  workplace = await startWorkplace()
  await workplace.sh('strongroom kv put secret/app user=web')
})
after(async () => await workplace[Symbol.asyncDispose]())

test('of the variables STRONGROOM_ wins over BAO_, BAO_ over VAULT_, a flag over all, and an empty one is none', async () => {
  const nowhere = 'http://127.0.0.1:1'
  const address = workplace.address
  const none = { STRONGROOM_ADDR: undefined, STRONGROOM_TOKEN: undefined }
  const cases: [Record<string, string | undefined>, string][] = [
    [{ STRONGROOM_ADDR: address, BAO_ADDR: nowhere, VAULT_ADDR: nowhere }, ''],
    [{ STRONGROOM_ADDR: '', BAO_ADDR: address, VAULT_ADDR: nowhere }, ''],
    [{ VAULT_ADDR: address }, ''],
    [{ STRONGROOM_ADDR: nowhere, BAO_ADDR: nowhere, VAULT_ADDR: nowhere }, `-address=${address}`],
  ]
  for (const [env, flag] of cases) {
    const outcome = await workplace.sh(`strongroom kv get ${flag} -field=user secret/app`, {
      env: { ...none, VAULT_TOKEN: 'root', ...env },
    })
    assert.deepEqual(outcome, { code: 0, stdout: 'web', stderr: '' })
  }
  const token = { ...none, STRONGROOM_ADDR: address, BAO_TOKEN: 'root', VAULT_TOKEN: 'hvs.wrong' }
  assert.equal((await workplace.sh('strongroom print token', { env: token })).stdout, 'root\n')
  const format = { STRONGROOM_FORMAT: 'json', VAULT_FORMAT: 'yaml' }
  assert.equal((await workplace.sh('strongroom kv list secret', { env: format })).stdout, '[\n  "app"\n]\n')
  assert.equal((await workplace.sh('strongroom kv list -format=yaml secret', { env: format })).stdout, '- app\n')
})

test('a token in ~/.vault-token is used, and one in the environment wins', async () => {
  await writeFile(join(workplace.home, '.vault-token'), 'root\n')
  assert.equal(
    (await workplace.sh('strongroom kv get -field=user secret/app', { env: { STRONGROOM_TOKEN: undefined } })).stdout,
    'web',
  )
  const other = await workplace.sh('strongroom kv get -field=user secret/app', {
    env: { STRONGROOM_TOKEN: 'hvs.wrong' },
  })
  assert.equal(other.code, 2)
  await chmod(join(workplace.home, '.vault-token'), 0o600)
  await workplace.sh('rm ~/.vault-token')
})

test('a log-in replaces a token file that others may read by one they may not', async () => {
  const path = join(workplace.home, '.vault-token')
  await writeFile(path, 'old', { mode: 0o644 })
  assert.equal(
    (await workplace.sh('strongroom login -no-print root', { env: { STRONGROOM_TOKEN: undefined } })).code,
    0,
  )
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal(await readFile(path, 'utf8'), 'root')
  assert.deepEqual(
    (await readdir(workplace.home)).filter((name) => name.includes('tmp')),
    [],
  )
  await workplace.sh('rm ~/.vault-token')
})

test('wrong settings are told with the name of the variable, and nothing is sent', async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ STRONGROOM_ADDR: '127.0.0.1:8200' }, /"127.0.0.1:8200" is no address: expected http/],
    [{ VAULT_SKIP_VERIFY: 'perhaps' }, /VAULT_SKIP_VERIFY must be true or false/],
    [{ BAO_MAX_RETRIES: 'many' }, /BAO_MAX_RETRIES must be a number/],
    [{ VAULT_CLIENT_TIMEOUT: 'soon' }, /VAULT_CLIENT_TIMEOUT must be a duration/],
    [{ VAULT_FORMAT: 'xml' }, /invalid output format "xml"/],
    [{ STRONGROOM_ADDR: 'https://127.0.0.1:1', STRONGROOM_CACERT: '/no/such/file' }, /ENOENT.*\/no\/such\/file/],
    [{ STRONGROOM_ADDR: 'https://127.0.0.1:1', STRONGROOM_CLIENT_CERT: '/etc/hostname' }, /needs its key/],
  ]
  for (const [env, message] of cases) {
    const outcome = await workplace.sh('strongroom kv get secret/app', { env })
    assert.equal(outcome.code, 1, outcome.stderr)
    assert.match(outcome.stderr, message)
    assert.equal(outcome.stdout, '')
  }
})

test('a server that is not there is told by its address and where that came from', async () => {
  const port = await freePort()
  const outcome = await workplace.sh(`strongroom kv get -address=http://127.0.0.1:${port} secret/app`)
  assert.equal(outcome.code, 2)
  assert.match(outcome.stderr, new RegExp(`Nothing listens at http://127.0.0.1:${port}`))
  assert.match(outcome.stderr, /taken from -address/)
  const byVariable = await workplace.sh('strongroom status', {
    env: { STRONGROOM_ADDR: undefined, VAULT_ADDR: `http://127.0.0.1:${port}` },
  })
  assert.equal(byVariable.code, 1)
  assert.match(byVariable.stderr, /taken from VAULT_ADDR/)
})

test('https to a server without TLS says to use http', async () => {
  const outcome = await workplace.sh(
    `strongroom kv get -address=${workplace.address.replace('http:', 'https:')} secret/app`,
  )
  assert.equal(outcome.code, 2)
  assert.match(outcome.stderr, /does not speak TLS.*http:\/\//)
})

test('without a token the way to one is told', async () => {
  const outcome = await workplace.sh('strongroom kv get secret/app', { env: { STRONGROOM_TOKEN: undefined } })
  assert.equal(outcome.code, 2)
  assert.match(outcome.stderr, /No token was sent\. Run "strongroom login"/)
})

test('TLS: an unknown authority is refused with advice; its file, its directory, its name or no check let it pass', async () => {
  const at = (name: string) => join(workplace.directory, name)
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at('key.pem'),
      '-out',
      at('cert.pem'),
      '-days',
      '2',
      '-subj',
      '/CN=vault.test',
      '-addext',
      'subjectAltName=DNS:vault.test',
    ],
    { stdio: 'ignore' },
  )
  const options = {
    key: await readFile(at('key.pem')),
    cert: await readFile(at('cert.pem')),
    requestCert: true,
    ca: await readFile(at('cert.pem')),
    rejectUnauthorized: false,
  }
  const server = createTlsServer(options, (request, response) => {
    const known = 'authorized' in request.socket && request.socket.authorized === true
    response.end(JSON.stringify({ data: { client: known ? 'known' : 'unknown' } }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const env = { STRONGROOM_ADDR: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
    const read = async (flags: string, more: Record<string, string> = {}) =>
      await workplace.sh(`strongroom read ${flags} -field=client x`, { env: { ...env, ...more } })

    const refused = await read('')
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /-ca-cert=FILE or STRONGROOM_CACERT/)
    const misnamed = await read('-ca-cert=cert.pem')
    assert.equal(misnamed.code, 2)
    assert.match(misnamed.stderr, /-tls-server-name/)
    assert.equal((await read('-ca-cert=cert.pem -tls-server-name=vault.test')).stdout, 'unknown')
    assert.equal((await read('', { VAULT_CACERT: 'cert.pem', VAULT_TLS_SERVER_NAME: 'vault.test' })).stdout, 'unknown')
    await workplace.sh('mkdir -p ca && cp cert.pem ca/')
    assert.equal((await read('-ca-path=ca -tls-server-name=vault.test')).stdout, 'unknown')
    assert.equal((await read('-tls-skip-verify')).stdout, 'unknown')
    assert.equal((await read('', { STRONGROOM_SKIP_VERIFY: 'true' })).stdout, 'unknown')
    assert.equal((await read('-tls-skip-verify=false', { STRONGROOM_SKIP_VERIFY: 'true' })).code, 2)
    assert.equal((await read('-tls-skip-verify -client-cert=cert.pem -client-key=key.pem')).stdout, 'known')
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('headers, namespace, MFA and time limits reach the wire, and no header may take a name of ours', async () => {
  let headers: Record<string, unknown> = {}
  let calls = 0
  const server = createHttpServer((request, response) => {
    headers = request.headers
    calls += 1
    if (request.url!.includes('slow')) return
    response.writeHead(request.url!.includes('busy') ? 503 : 200).end('{"data":{"a":1}}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const env = { STRONGROOM_ADDR: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    await workplace.sh(
      'strongroom read -ns=/team/a/ -header=X-Trace=1 -header=x-trace=2 -mfa=totp:123 -wrap-ttl=5m -policy-override x',
      { env },
    )
    assert.equal(headers['x-vault-namespace'], 'team/a/')
    assert.equal(headers['x-vault-mfa'], 'totp:123')
    assert.equal(headers['x-vault-wrap-ttl'], '5m')
    assert.equal(headers['x-vault-token'], 'root')
    assert.equal(headers['x-vault-policy-override'], 'true')
    await workplace.sh('strongroom read x', { env: { ...env, BAO_NAMESPACE: 'n', VAULT_WRAP_TTL: '1m' } })
    assert.equal(headers['x-vault-namespace'], 'n/')
    assert.equal(headers['x-vault-wrap-ttl'], '1m')

    const reserved = await workplace.sh('strongroom read -header=X-Vault-Token=x y', { env })
    assert.equal(reserved.code, 1)
    assert.match(reserved.stderr, /reserved/)

    const slow = await workplace.sh('strongroom read slow', { env: { ...env, VAULT_CLIENT_TIMEOUT: '1s' } })
    assert.equal(slow.code, 2)
    assert.match(slow.stderr, /no answer within 1 s/)

    calls = 0
    assert.equal((await workplace.sh('strongroom read busy', { env })).code, 2)
    assert.equal(calls, 1, 'without the variable there is one attempt')
    assert.equal((await workplace.sh('strongroom read busy', { env: { ...env, VAULT_MAX_RETRIES: '1' } })).code, 2)
    assert.equal(calls, 3)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

/** Runs a command on a terminal and types a line when it asks. Returns all that the terminal showed. */
async function onTerminal(command: string, typed: string, env: Record<string, string> = {}): Promise<string> {
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: workplace.directory,
    env: {
      PATH: `${new URL('../../bin', import.meta.url).pathname}:/usr/bin:/bin`,
      HOME: workplace.home,
      TERM: 'xterm',
      STRONGROOM_ADDR: workplace.address,
      ...env,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  let sent = false
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk
    if (!sent && shown.includes('will be hidden')) {
      sent = true
      child.stdin.write(`${typed}\r`)
    }
  })
  await once(child, 'close')
  return shown
}

test('on a terminal the token is asked for and not shown, -field ends in a line break, and there is colour unless NO_COLOR is set', async () => {
  const { stdout } = await workplace.sh('strongroom token create -field=token')
  const shown = await onTerminal('strongroom login -no-print', stdout)
  assert.match(shown, /Token \(will be hidden\): /)
  assert.ok(!shown.includes(stdout.slice(4)), 'what is typed must not be shown')
  assert.equal(await readFile(join(workplace.home, '.vault-token'), 'utf8'), stdout)

  assert.equal(await onTerminal('strongroom kv get -field=user secret/app', ''), 'web\r\n')
  assert.ok((await onTerminal('strongroom kv get secret/none', '')).includes('\u001B[31mNo value found'))
  assert.ok(!(await onTerminal('strongroom kv get secret/none', '', { NO_COLOR: '1' })).includes('\u001B'))
  assert.match(await onTerminal('strongroom login -non-interactive', ''), /-non-interactive forbids to ask/)
  await workplace.sh('rm ~/.vault-token')
})

test('control characters in a secret do not reach a terminal, but do reach a pipe', async () => {
  await workplace.sh(String.raw`printf 'a\033]0;title\007b' | strongroom kv put secret/odd v=-`)
  const shown = await onTerminal('strongroom kv get secret/odd', '', { STRONGROOM_TOKEN: 'root', NO_COLOR: '1' })
  assert.ok(!shown.includes('\u001B'), shown)
  assert.ok(shown.includes(String.raw`a\u001b]0;title\u0007b`), shown)
  assert.equal((await workplace.sh('strongroom kv get -field=v secret/odd')).stdout, 'a\u001B]0;title\u0007b')
})

test('a reader that stops early is no error', async () => {
  const outcome = await workplace.sh(
    `strongroom kv put -field=version secret/big v=${'x'.repeat(100_000)} >/dev/null; strongroom kv get secret/big | head -1`,
  )
  assert.equal(outcome.stderr, '')
  assert.equal(outcome.code, 0)
})

test('without a cache directory of its own, compiled code goes below the home directory and nowhere else', async () => {
  await workplace.sh('strongroom version >/dev/null; strongroom kv get secret/app >/dev/null', {
    env: { NODE_COMPILE_CACHE: undefined },
  })
  assert.ok((await readdir(join(workplace.home, '.cache/strongroom'))).length > 0)
  const outcome = await workplace.sh('strongroom kv get -field=user secret/app', {
    env: { NODE_COMPILE_CACHE: undefined, HOME: '/proc/none' },
  })
  assert.deepEqual(outcome, { code: 0, stdout: 'web', stderr: '' })
})
