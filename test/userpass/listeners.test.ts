/** One log-in by every kind of listener, at a server that was configured when to lock out. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { parseConfig } from '#boot/config.ts'
import { lockoutConfig, lockoutDisabled } from '#boot/config-lockout.ts'
import { makeAuthority, makeCertificate } from '#test/config/certificates.ts'
import { Program, temporaryFolder } from '#test/config/program.ts'
import { sendTls, sendUnix } from '#test/config/requests.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'

interface Request {
  method: string
  where: string
  token?: string
  body?: unknown
}

type Send = (request: Request) => Promise<{ status: number; body: any }>

const tls = 'tls_cert_file = "server.pem"\n  tls_key_file = "server-key.pem"'

function configOf([plain, secure, mutual]: readonly number[]): string {
  return `storage "inmem" {}
user_lockout "all" { lockout_threshold = "9" }
user_lockout "userpass" { lockout_threshold = "2" }
listener "tcp" {
  address = "127.0.0.1:${plain}"
  tls_disable = true
}
listener "tcp" {
  address = "127.0.0.1:${secure}"
  ${tls}
}
listener "tcp" {
  address = "127.0.0.1:${mutual}"
  ${tls}
  tls_client_ca_file = "ca.pem"
  tls_require_and_verify_client_cert = true
}
listener "unix" {
  address = "s.sock"
}
`
}

/** The server's ways in, by name. */
async function ways(folder: string, [plain, secure, mutual]: readonly number[]): Promise<Record<string, Send>> {
  const file = (name: string) => path.join(folder, name)
  const ca = file('ca.pem')
  const client = { ca, cert: file('client.pem'), key: file('client-key.pem') }
  return {
    'plain TCP': ({ method, where, token, body }) =>
      sendTo(plain!, method, where, body, { ...(token !== undefined && { 'x-vault-token': token }) }),
    TLS: ({ method, where, ...rest }) => sendTls(secure!, method, where, { ca }, rest),
    'TLS with a certificate of the client': ({ method, where, ...rest }) =>
      sendTls(mutual!, method, where, client, rest),
    'a unix socket': ({ where, ...rest }) => sendUnix(file('s.sock'), where, rest),
  }
}

test('people log in by plain TCP, TLS, TLS with a certificate of the client, and a unix socket', async () => {
  await using folder = await temporaryFolder()
  await makeAuthority(folder.path)
  await makeCertificate(folder.path, 'server', 'serverAuth')
  await makeCertificate(folder.path, 'client', 'clientAuth')
  const ports = [await freePort(), await freePort(), await freePort()]
  await writeFile(path.join(folder.path, 'config.hcl'), configOf(ports))
  await using program = new Program(['server', '-config=config.hcl'], { cwd: folder.path })
  await program.said(/listening on/)
  const all = await ways(folder.path, ports)
  const admin = all['plain TCP']!
  const made = await admin({ method: 'PUT', where: 'sys/init', body: { secret_shares: 1, secret_threshold: 1 } })
  const { root_token: token, keys } = made.body
  await admin({ method: 'PUT', where: 'sys/unseal', body: { key: keys[0] } })
  await admin({ method: 'POST', where: 'sys/auth/userpass', token, body: { type: 'userpass' } })
  const user = { method: 'POST', where: 'auth/userpass/users/bob', token, body: { password: 'pw' } }
  assert.equal((await admin(user)).status, 204)

  for (const [name, send] of Object.entries(all)) {
    const logIn = (password: string) => send({ method: 'PUT', where: 'auth/userpass/login/bob', body: { password } })
    const refused = await logIn('wrong')
    assert.deepEqual([refused.status, refused.body.errors], [400, ['invalid username or password']], name)
    const { status, body } = await logIn('pw')
    assert.deepEqual([status, body.auth.metadata], [200, { username: 'bob' }], name)
    const own = await send({ method: 'GET', where: 'auth/token/lookup-self', token: body.auth.client_token })
    assert.deepEqual([own.status, own.body.data.display_name], [200, 'userpass-bob'], name)
  }
  // What one way in counted, every other knows.
  await all['TLS']!({ method: 'PUT', where: 'auth/userpass/login/bob', body: { password: 'wrong' } })
  await all['a unix socket']!({ method: 'PUT', where: 'auth/userpass/login/bob', body: { password: 'wrong' } })
  assert.equal((await admin({ method: 'PUT', where: 'auth/userpass/login/bob', body: { password: 'pw' } })).status, 403)
})

function lockoutOf(text: string) {
  const notices: string[] = []
  const parsed = parseConfig(`storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n${text}`, 'c.hcl')
  const config = lockoutConfig(parsed.userLockout, notices)
  return { config, notices: [...parsed.notices, ...notices] }
}

test('stanzas of user_lockout are read, in HCL and in JSON, and unknown keys are told', () => {
  const { config, notices } = lockoutOf(`
    user_lockout "all" {
      lockout_duration = "10m"
      lockout_counter_reset = 300
      lockout_threshold = ""
    }
    user_lockout "userpass" { lockout_threshold = 25 }
    user_lockout "ldap" {
      disable_lockout = "true"
      lockout_treshold = 3
    }`)
  assert.deepEqual(config, {
    all: { durationSeconds: 600, counterResetSeconds: 300 },
    userpass: { threshold: 25 },
    ldap: { disabled: true },
  })
  assert.deepEqual(notices, ['c.hcl:10:5: unknown key "lockout_treshold" of user_lockout is ignored'])
  const json = '{"storage":{"inmem":{}},"listener":{"tcp":{}},"user_lockout":{"approle":{"lockout_threshold":"4"}}}'
  assert.deepEqual(lockoutConfig(parseConfig(json, 'c.json').userLockout, []), { approle: { threshold: 4 } })
})

test('a stanza of user_lockout that cannot be used keeps the server from starting', () => {
  for (const [text, why] of [
    ['user_lockout "jwt" {}', /user_lockout "jwt" is not known/],
    ['user_lockout "all" {}\nuser_lockout "all" {}', /more than one user_lockout "all"/],
    ['user_lockout "all" { lockout_threshold = "0" }', /lockout_threshold is a count/],
    ['user_lockout "all" { lockout_duration = "soon" }', /lockout_duration is a duration/],
    ['user_lockout "all" { lockout_counter_reset = "-1s" }', /lockout_counter_reset is a duration/],
    ['user_lockout "all" { disable_lockout = "perhaps" }', /disable_lockout is true or false/],
    ['user_lockout {}', /has one label/],
  ] as const) {
    assert.throws(() => lockoutOf(text), why)
  }
})

test('a variable of the environment turns the lock-out off, by the first of its names that is set', () => {
  assert.equal(lockoutDisabled({}), false)
  assert.equal(lockoutDisabled({ VAULT_DISABLE_USER_LOCKOUT: 'true' }), true)
  assert.equal(lockoutDisabled({ VAULT_DISABLE_USER_LOCKOUT: '1', BAO_DISABLE_USER_LOCKOUT: 'false' }), false)
  assert.equal(lockoutDisabled({ STRONGROOM_DISABLE_USER_LOCKOUT: '', BAO_DISABLE_USER_LOCKOUT: 'true' }), true)
  assert.throws(() => lockoutDisabled({ STRONGROOM_DISABLE_USER_LOCKOUT: 'perhaps' }), /DISABLE_USER_LOCKOUT/)
})
