/** Tokens of AppRole that want to go on: what the role says then counts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestServer } from '#test/server.ts'
import { logIn, makeRole, makeSecret, startAppRole } from './support.ts'

const ROLE = 'auth/approle/role/web'

async function tokenOf(server: TestServer, fields: Record<string, unknown>): Promise<string> {
  const roleId = await makeRole(server, 'web', fields)
  const { secret_id: secretId } = await makeSecret(server, 'web')
  return (await logIn(server, roleId, secretId)).body.auth.client_token
}

const renew = (server: TestServer, token: string) => server.write('auth/token/renew-self', {}, token)

test('a renewal takes the times that the role has by then, and leaves the policies as they were', async () => {
  await using server = await startAppRole()
  const token = await tokenOf(server, { token_ttl: 60, token_policies: 'a' })
  await server.write(ROLE, { token_ttl: 90, token_max_ttl: 100, token_policies: 'b' })
  server.tick(50)
  const { status, body } = await renew(server, token)
  assert.equal(status, 200)
  assert.equal(body.auth.lease_duration, 50)
  assert.deepEqual(body.auth.policies, ['a', 'default'])
  assert.deepEqual(body.auth.metadata, { role_name: 'web' })
  assert.match(body.warnings[0], /max_ttl/)
  await server.write(ROLE, { token_max_ttl: 0 })
  server.tick(30)
  assert.equal((await renew(server, token)).body.auth.lease_duration, 90)
})

test('a renewal takes the period that the role has by then', async () => {
  await using server = await startAppRole()
  const token = await tokenOf(server, { token_period: 60 })
  server.tick(50)
  assert.equal((await renew(server, token)).body.auth.lease_duration, 60)
  await server.write(`${ROLE}/period`, { token_period: 120 })
  assert.equal((await renew(server, token)).body.auth.lease_duration, 120)
  server.tick(119)
  assert.equal((await renew(server, token)).status, 200)
})

test('no renewal without the role; the token ends when it would have ended', async () => {
  await using server = await startAppRole()
  const token = await tokenOf(server, { token_ttl: 60 })
  assert.equal((await server.delete(ROLE)).status, 204)
  const { status, body } = await renew(server, token)
  assert.deepEqual([status, body.errors], [400, ['role "web" does not exist during renewal']])
  server.tick(59)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 200)
  server.tick(1)
  assert.equal((await server.read('auth/token/lookup-self', token)).status, 403)
})
