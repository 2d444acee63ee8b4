/** The API client in Go, by the program in go/. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { startDev } from '#test/config/program.ts'
import { install, runGo } from './installed.ts'

let seen: any

before(async () => {
  await install()
  await using server = await startDev()
  seen = await runGo([server.address, server.root, server.unsealKey])
})

const refusal = (status: number, name: string, text: string) => ({ status, name, errors: [text] })

test('the Go client reads health and seal status', () => {
  const { version, ...rest } = seen.health
  assert.match(version, /^\d+\.\d+\.\d+/)
  assert.deepEqual(rest, { initialized: true, sealed: false, standby: false })
  assert.deepEqual(seen.sealStatus, { type: 'shamir', sealed: false, t: 1, n: 1 })
})

test('the Go client enables AppRole and a KV mount and writes a policy', () => {
  assert.equal(seen.authType, 'approle')
  assert.equal(seen.policyIsAsWritten, true)
  assert.deepEqual(seen.mounts, { plain: '1', secret: '2' })
})

test('the Go client logs in with a secret id that came wrapped', () => {
  assert.deepEqual(seen.wrapped, { ttl: 300, path: 'auth/approle/role/web/secret-id', data: null })
  assert.deepEqual(seen.unwrappedAgain, refusal(400, 'Bad Request', 'wrapping token is not valid or does not exist'))
  assert.deepEqual(seen.login, { policies: ['default', 'team'], ttl: 3600, renewable: true, role: 'web' })
  assert.deepEqual(seen.loginWrong, refusal(400, 'Bad Request', 'invalid role or secret ID'))
})

test('the Go client keeps a user, logs in by name and password, and is locked out as it was tuned', () => {
  assert.deepEqual(seen.person, { policies: ['default', 'team'], ttl: 3600, renewable: true, user: 'bob' })
  const wrong = refusal(400, 'Bad Request', 'invalid username or password')
  assert.deepEqual(seen.personRefused, [wrong, wrong, refusal(403, 'Forbidden', 'permission denied')])
})

test('the Go client writes, patches, deletes and undeletes versions of a secret', () => {
  assert.deepEqual(seen.versions, [1, 2])
  assert.deepEqual(seen.old, { user: 'app', password: 'one', port: 5432 })
  assert.deepEqual(seen.patched, { user: 'app', password: 'two' })
  assert.deepEqual(
    seen.conflict,
    refusal(400, 'Bad Request', 'check-and-set parameter did not match the current version'),
  )
  assert.deepEqual(seen.deleted, { data: null, marked: true })
  assert.deepEqual(seen.undeleted, seen.patched)
  assert.deepEqual(seen.list, ['db'])
  assert.deepEqual(seen.metadata, { current: 2, versions: 2 })
  assert.equal(seen.gone, true)
})

test('the Go client keeps unversioned secrets', () => {
  assert.deepEqual(seen.plain, { data: { value: 'v1' }, keys: ['key'], gone: true })
})

test('the Go client tells refusals by their status', () => {
  assert.deepEqual(seen.forbidden, refusal(403, 'Forbidden', '1 error occurred:\n\t* permission denied\n\n'))
  assert.equal(seen.invalid.status, 400)
  // For what is not there this client has no error: it gives nothing.
  assert.deepEqual(seen.missing, { secret: null, error: null })
})

test('the Go client makes, looks up, renews and revokes a token', () => {
  assert.deepEqual(seen.token, {
    policies: ['default', 'team'],
    ttlIsInRange: true,
    metadata: { for: 'test' },
    renewed: 3600,
    revoked: refusal(403, 'Forbidden', 'bad token'),
    refused: refusal(403, 'Forbidden', 'permission denied'),
  })
})

test('the Go client seals the server, is refused, and unseals it', () => {
  assert.deepEqual(seen.sealed, refusal(503, 'Service Unavailable', 'Vault is sealed'))
  assert.equal(seen.sealedHealth, true)
  assert.equal(seen.unsealed, true)
})
