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
import { startWorkplace, type Workplace } from './harness.ts'
import { freePort } from '#test/port.ts'

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
    const plain = await read('', { STRONGROOM_ADDR: env.STRONGROOM_ADDR.replace('https:', 'http:') })
    assert.equal(plain.code, 2)
    assert.match(plain.stderr, /may expect TLS: try https/)
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

interface Request {
  line: string
  body: unknown
  token: string | undefined
}

/** A server that records what it is asked and answers what the test says, for what depends on engines of other rooms. */
async function startPeer(answer: (request: Request) => unknown) {
  const seen: Request[] = []
  const server = createHttpServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      const each = {
        line: `${request.method} ${request.url}`,
        body: body === '' ? undefined : JSON.parse(body),
        token: request.headers['x-vault-token']?.toString(),
      }
      seen.push(each)
      response.end(JSON.stringify({ request_id: 'r', ...(answer(each) as object) }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    seen,
    env: { STRONGROOM_ADDR: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a move asks until it is done, and its failure is one', async () => {
  let states = ['in-progress', 'success']
  await using peer = await startPeer(({ line }) => ({
    data: line.includes('status')
      ? { migration_id: 'm1', migration_info: { status: states.shift() } }
      : { migration_id: 'm1' },
  }))
  const moved = await workplace.sh('strongroom auth move old/ team/new', { env: peer.env })
  assert.equal(moved.code, 0, moved.stderr)
  assert.match(
    moved.stdout,
    /^Started moving auth method old\/ to team\/new\/, with migration ID m1\nSuccess! Finished moving /,
  )
  const poll = 'GET /v1/sys/remount/status/m1'
  assert.deepEqual(
    peer.seen.map(({ line }) => line),
    ['POST /v1/sys/remount', poll, poll],
  )
  assert.deepEqual(peer.seen[0]!.body, { from: 'auth/old/', to: 'auth/team/new/' })

  states = ['failure']
  const failed = await workplace.sh('strongroom secrets move old new', { env: peer.env })
  assert.equal(failed.code, 2)
  assert.match(failed.stderr, /^Failure! Error encountered moving secrets engine old\/ to new\//)
})

test('a user logs in with a name in the path and a password from standard input, and a wrapped log-in is unwrapped', async () => {
  const auth = {
    client_token: 'hvs.new',
    accessor: 'acc',
    policies: ['p'],
    token_policies: ['p'],
    metadata: { username: 'bob' },
    lease_duration: 3600,
    renewable: true,
  }
  await using peer = await startPeer(({ line }) =>
    line.includes('ann')
      ? {
          wrap_info: {
            token: 'hvs.wrapped',
            ttl: 60,
            accessor: 'a',
            creation_time: '2026-01-01T00:00:00Z',
            creation_path: 'x',
          },
        }
      : { auth },
  )
  const login = async (flags: string, input: string) =>
    await workplace.sh(`strongroom login ${flags}`, { env: { ...peer.env, STRONGROOM_TOKEN: undefined }, input })

  await writeFile(join(workplace.home, '.vault-token'), 'hvs.old')
  const bob = await login('-method=userpass -path=people username=bob', 'pass word\n')
  assert.equal(bob.code, 0, bob.stderr)
  assert.match(bob.stdout, /^token_duration +1h$/m)
  assert.match(bob.stdout, /^token_meta_username +bob$/m)
  assert.equal(peer.seen[0]!.line, 'PUT /v1/auth/people/login/bob')
  assert.deepEqual(peer.seen[0]!.body, { password: 'pass word' })
  assert.equal(peer.seen[0]!.token, undefined, 'the token of last time stays here')
  assert.equal(await readFile(join(workplace.home, '.vault-token'), 'utf8'), 'hvs.new')
  await workplace.sh('rm ~/.vault-token')

  const ann = await login('-method=userpass -wrap-ttl=60s -no-print username=ann password=-', 'secret')
  assert.deepEqual(ann, { code: 0, stdout: '', stderr: '' })
  assert.equal(peer.seen.at(-1)!.line, 'PUT /v1/sys/wrapping/unwrap')
  assert.equal(peer.seen.at(-1)!.token, 'hvs.wrapped')
  assert.equal(await readFile(join(workplace.home, '.vault-token'), 'utf8'), 'hvs.new')
  await workplace.sh('rm ~/.vault-token')

  assert.equal(
    (await login('-method=userpass -token-only -wrap-ttl=60s username=ann password=x', '')).stdout,
    'hvs.wrapped',
  )
  assert.equal((await login('-method=custom -token-only a=b', '')).stdout, 'hvs.new')
  assert.equal(peer.seen.at(-1)!.line, 'PUT /v1/auth/custom/login')
  assert.deepEqual(peer.seen.at(-1)!.body, { a: 'b' })
  assert.deepEqual(
    (await readdir(workplace.home)).filter((name) => name === '.vault-token'),
    [],
  )
})

test('where a second factor is needed the IDs for it are told, and on a terminal the passcode is asked for', async () => {
  const auth = {
    mfa_requirement: {
      mfa_request_id: 'req-1',
      mfa_constraints: { staff: { any: [{ type: 'totp', id: 'method-1', uses_passcode: true }] } },
    },
  }
  await using peer = await startPeer(({ line }) =>
    line.includes('mfa') ? { auth: { client_token: 'hvs.mfa', lease_duration: 0 } } : { auth },
  )
  const told = await workplace.sh('strongroom login -method=userpass username=bob password=x', {
    env: { ...peer.env, STRONGROOM_TOKEN: undefined },
  })
  assert.equal(told.code, 0)
  assert.match(told.stdout, /^mfa_request_id +req-1$/m)
  assert.match(told.stdout, /^mfa_constraint_staff_totp_id +method-1$/m)

  const shown = await onTerminal(
    'strongroom login -method=userpass -field=token username=bob password=x',
    '123456',
    peer.env,
  )
  assert.ok(shown.includes('Passcode of totp (will be hidden)') && !shown.includes('123456'), shown)
  assert.deepEqual(peer.seen.at(-1)!.body, { mfa_request_id: 'req-1', mfa_payload: { 'method-1': ['123456'] } })
  await workplace.sh('rm ~/.vault-token')
})

test('leases are looked up, renewed and revoked as asked', async () => {
  await using peer = await startPeer(({ line }) => {
    if (line.endsWith('lookup')) return { data: { id: 'db/creds/a/1', ttl: 592, renewable: true, last_renewal: null } }
    return line.endsWith('renew') ? { lease_id: 'db/creds/a/1', lease_duration: 3600, renewable: true, data: null } : {}
  })
  const run = async (words: string) => await workplace.sh(`strongroom lease ${words}`, { env: peer.env })
  assert.match((await run('lookup db/creds/a/1')).stdout, /^last_renewal +<nil>\nrenewable +true\nttl +9m52s$/m)
  assert.equal(
    (await run('renew -increment=1h db/creds/a/1')).stdout,
    'Key                Value\n---                -----\nlease_id           db/creds/a/1\nlease_duration     1h\nlease_renewable    true\n',
  )
  assert.equal((await run('revoke db/creds/a/1')).stdout, 'All revocation operations queued successfully!\n')
  assert.equal((await run('revoke -sync db/creds/a/1')).stdout, 'Success! Revoked lease: db/creds/a/1\n')
  assert.equal(
    (await run('revoke -prefix -sync db/creds')).stdout,
    'Success! Revoked any leases with prefix: db/creds\n',
  )
  const forced = await run('revoke -force -prefix db/creds')
  assert.equal(forced.stdout, 'Success! Force revoked any leases with prefix: db/creds\n')
  assert.match(forced.stderr, /lose track/)
  assert.deepEqual(
    peer.seen.map(({ line, body }) => `${line} ${JSON.stringify(body) ?? ''}`.trim()),
    [
      'PUT /v1/sys/leases/lookup {"lease_id":"db/creds/a/1"}',
      'PUT /v1/sys/leases/renew {"lease_id":"db/creds/a/1","increment":"1h"}',
      'PUT /v1/sys/leases/revoke {"lease_id":"db/creds/a/1","sync":false}',
      'PUT /v1/sys/leases/revoke {"lease_id":"db/creds/a/1","sync":true}',
      'PUT /v1/sys/leases/revoke-prefix/db/creds {"sync":true}',
      'PUT /v1/sys/leases/revoke-force/db/creds',
    ],
  )
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

test('on a terminal the password of a user is asked for and not shown', async () => {
  const made = await workplace.sh(
    'strongroom auth enable -path=typed userpass && strongroom write auth/typed/users/bob password=-',
    { input: 'correct-horse' },
  )
  assert.equal(made.code, 0, made.stderr)
  const login = 'strongroom login -method=userpass -path=typed -no-print username=bob'
  const shown = await onTerminal(login, 'correct-horse')
  assert.match(shown, /Password \(will be hidden\): /)
  assert.ok(!shown.includes('correct-horse'), 'what is typed must not be shown')
  assert.match(await readFile(join(workplace.home, '.vault-token'), 'utf8'), /^hvs\./)
  await workplace.sh('rm ~/.vault-token')
  assert.match(await onTerminal(login, 'wrong'), /invalid username or password/)
  assert.match(await onTerminal(`${login} -non-interactive`, ''), /-non-interactive forbids to ask/)
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
