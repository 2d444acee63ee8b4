/** Nothing is answered that was not recorded, and the record tells no secret. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { startServer } from '#test/server.ts'

test('the ledger tells who did what, from the first request on, and its chain holds', async () => {
  await using server = await startServer({ secret: true })
  await server.send('PUT', 'sys/policies/acl/app', { policy: 'path "secret/data/app" { capabilities = ["read"] }' })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  const token = await server.login(['app'], { display_name: 'web' })
  await server.read('secret/data/app', token)
  await server.read('secret/data/other', token)

  const trail = await server.trail()
  const [read, answered, refused, told] = trail.slice(-4)
  assert.deepEqual(
    [read.type, read.request.operation, read.request.path, read.auth.display_name],
    ['request', 'read', 'secret/data/app', 'token-web'],
  )
  assert.deepEqual(
    read.auth.policy_results.granting_policies.map((each: any) => each.name),
    ['app'],
  )
  assert.equal(answered.request.id, read.request.id)
  assert.match(answered.response.data.data.password, /^hmac-sha256:[0-9a-f]{64}$/)
  assert.deepEqual([refused.type, told.type, refused.auth.policy_results.allowed], ['request', 'response', false])
  assert.match(refused.error, /permission denied/)
  assert.deepEqual((await verifyLedger(server.ledgerFolder)).problems, [])
})

test('no secret, token or share stands in the ledger or the log in clear', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { password: 'opensesame', pin: 271828182845 } })
  await server.write('secret/data/app', { data: { password: 'opensesame' }, options: { cas: 'opensesame' } })
  await server.read('secret/data/app')
  const token = await server.login(['default'])
  await server.read('secret/data/app', token)
  await server.send('PUT', 'sys/unseal', { key: server.unsealKey })
  const wrapped = await server.send('GET', 'secret/data/app', undefined, { headers: { 'x-vault-wrap-ttl': '60' } })
  await server.write('sys/wrapping/unwrap', { token: wrapped.body.wrap_info.token }, null)
  const files = await readdir(server.ledgerFolder)
  const all =
    (await Promise.all(files.map((name) => readFile(path.join(server.ledgerFolder, name), 'utf8')))).join('') +
    server.logged.join('')
  for (const secret of ['opensesame', '271828182845', token, server.unsealKey, wrapped.body.wrap_info.token]) {
    assert.ok(!all.includes(secret), 'a secret stands in clear')
  }
})

test('with a ledger that cannot be written nothing is done and nothing is told; it goes on when it can be', async () => {
  await using server = await startServer({ secret: true, workers: 1 })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  const ledger = server.node.ledger!
  const write = ledger.write.bind(ledger)
  ledger.write = async () => {
    throw new Error('no space left on device')
  }
  const denied = await server.write('secret/data/app', { data: { password: 'changed' } })
  assert.equal(denied.status, 500)
  const read = await server.read('secret/data/app')
  assert.equal(read.status, 500)
  assert.doesNotMatch(read.text, /opensesame/)
  ledger.write = write
  assert.deepEqual((await server.read('secret/data/app')).body.data.data, { password: 'opensesame' })
})

test('a log-in whose answer cannot be recorded gives nobody a token, and leaves none behind', async () => {
  await using server = await startServer({ secret: true, workers: 1 })
  const ledger = server.node.ledger!
  const write = ledger.write.bind(ledger)
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.write('auth/approle/role/app', { token_policies: 'default' })
  const { role_id } = (await server.read('auth/approle/role/app/role-id')).body.data
  const { secret_id } = (await server.write('auth/approle/role/app/secret-id', {})).body.data
  const before = (await server.list('auth/token/accessors')).body.data.keys
  let lines = 0
  ledger.write = async (line: string) => {
    lines += 1
    if (lines > 1) throw new Error('no space left on device')
    return write(line)
  }
  const answer = await server.write('auth/approle/login', { role_id, secret_id }, null)
  assert.equal(answer.status, 500)
  assert.doesNotMatch(answer.text, /hvs\./)
  ledger.write = write
  assert.deepEqual((await server.list('auth/token/accessors')).body.data.keys, before)
})
