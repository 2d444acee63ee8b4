/** The API as curl speaks it: methods, headers and bodies as they are, against `server -dev`. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startDev } from '#test/config/program.ts'
import { sendTo } from '#test/server.ts'
import { teamPolicy } from './policy.ts'

let server: Awaited<ReturnType<typeof startDev>>
let worker = ''

before(async () => {
  server = await startDev()
})
after(() => server.program.kill())

const send = (
  method: string,
  where: string,
  token: string | undefined,
  body?: unknown,
  headers: Record<string, string> = {},
) => sendTo(server.port, method, where, body, { ...(token !== undefined && { 'X-Vault-Token': token }), ...headers })
const asRoot = (method: string, where: string, body?: unknown, headers?: Record<string, string>) =>
  send(method, where, server.root, body, headers)
const asWorker = (method: string, where: string, body?: unknown, headers?: Record<string, string>) =>
  send(method, where, worker, body, headers)

const noContent = { status: 204, text: '' }
const statusAndText = ({ status, text }: { status: number; text: string }) => ({ status, text })
const statusAndErrors = ({ status, body }: { status: number; body: any }) => ({ status, errors: body.errors })

test('health and seal status are told without a token, also to HEAD', async () => {
  const health = await send('GET', 'sys/health', undefined)
  assert.equal(health.status, 200)
  assert.deepEqual([health.body.initialized, health.body.sealed, health.body.standby], [true, false, false])
  assert.equal(health.headers['content-type'], 'application/json')
  const head = await send('HEAD', 'sys/health', undefined)
  assert.deepEqual(statusAndText(head), { status: 200, text: '' })
  assert.equal((await send('GET', 'sys/health?activecode=299', undefined)).status, 299)
  const status = (await send('GET', 'sys/seal-status', undefined)).body
  assert.deepEqual(
    [status.type, status.sealed, status.t, status.n, status.storage_type],
    ['shamir', false, 1, 1, 'inmem'],
  )
})

test('AppRole is enabled, and a role logs in with a secret id that came wrapped', async () => {
  assert.deepEqual(statusAndText(await asRoot('POST', 'sys/auth/approle', { type: 'approle' })), noContent)
  assert.deepEqual(statusAndText(await asRoot('PUT', 'sys/policies/acl/team', { policy: teamPolicy })), noContent)
  const role = { token_policies: 'team', token_ttl: '1h' }
  assert.deepEqual(statusAndText(await asRoot('POST', 'auth/approle/role/web', role)), noContent)
  const { role_id } = (await asRoot('GET', 'auth/approle/role/web/role-id')).body.data
  const wrapped = await asRoot('PUT', 'auth/approle/role/web/secret-id', undefined, { 'X-Vault-Wrap-TTL': '60' })
  assert.equal(wrapped.status, 200)
  assert.equal(wrapped.body.data, null)
  const { token, ttl } = wrapped.body.wrap_info
  assert.equal(ttl, 60)
  // The wrapping token stands for itself: it is the token of the request.
  const looked = await send('POST', 'sys/wrapping/lookup', undefined, { token })
  assert.equal(looked.body.data.creation_path, 'auth/approle/role/web/secret-id')
  const { secret_id } = (await send('POST', 'sys/wrapping/unwrap', token)).body.data
  assert.equal((await send('POST', 'sys/wrapping/unwrap', token)).status, 400)
  const login = await send('POST', 'auth/approle/login', undefined, { role_id, secret_id })
  assert.deepEqual(login.body.auth.policies, ['default', 'team'])
  worker = login.body.auth.client_token
})

test('a bearer token is as good as the header of Vault', async () => {
  const answer = await send('GET', 'auth/token/lookup-self', undefined, undefined, {
    Authorization: `Bearer ${worker}`,
  })
  assert.equal(answer.body.data.path, 'auth/approle/login')
})

test('a versioned secret is written, patched, listed, deleted and undeleted', async () => {
  const at = 'secret/data/team/db'
  const written = await asWorker('PUT', at, { data: { user: 'app', password: 'one' }, options: { cas: 0 } })
  assert.deepEqual([written.status, written.body.data.version], [200, 1])
  const again = await asWorker('POST', at, { data: {}, options: { cas: 0 } })
  assert.deepEqual(statusAndErrors(again), {
    status: 400,
    errors: ['check-and-set parameter did not match the current version'],
  })
  const patch = { data: { password: 'two', user: null } }
  assert.equal((await asWorker('PATCH', at, patch)).body.data.version, 2)
  assert.deepEqual((await asWorker('GET', at)).body.data.data, { password: 'two' })
  assert.deepEqual((await asWorker('GET', `${at}?version=1`)).body.data.data, { user: 'app', password: 'one' })
  for (const listing of [
    await asWorker('LIST', 'secret/metadata/team'),
    await asWorker('GET', 'secret/metadata/team?list=true'),
    await asWorker('LIST', 'secret/metadata/team/'),
  ]) {
    assert.deepEqual([listing.status, listing.body.data], [200, { keys: ['db'] }])
  }
  assert.deepEqual(statusAndText(await asWorker('DELETE', at)), noContent)
  const deleted = await asWorker('GET', at)
  assert.equal(deleted.status, 404)
  assert.equal(deleted.body.data.data, null)
  assert.notEqual(deleted.body.data.metadata.deletion_time, '')
  assert.deepEqual(statusAndText(await asWorker('POST', 'secret/undelete/team/db', { versions: [2] })), noContent)
  assert.equal((await asWorker('GET', at)).body.data.metadata.deletion_time, '')
})

test('an unversioned secret is written, read, listed and deleted', async () => {
  const options = { type: 'kv', options: { version: '1' } }
  assert.deepEqual(statusAndText(await asRoot('POST', 'sys/mounts/plain', options)), noContent)
  assert.deepEqual(statusAndText(await asWorker('POST', 'plain/team/key', { value: 'v1' })), noContent)
  const read = (await asWorker('GET', 'plain/team/key')).body
  assert.deepEqual([read.data, read.lease_duration, read.renewable], [{ value: 'v1' }, 2_764_800, false])
  assert.deepEqual((await asWorker('LIST', 'plain/team')).body.data, { keys: ['key'] })
  assert.deepEqual(statusAndText(await asWorker('DELETE', 'plain/team/key')), noContent)
  assert.deepEqual(statusAndErrors(await asWorker('GET', 'plain/team/key')), { status: 404, errors: [] })
})

test('a token is made, looked up, renewed and revoked', async () => {
  const { auth } = (await asRoot('POST', 'auth/token/create', { policies: ['team'], ttl: '30m' })).body
  const looked = (await asRoot('POST', 'auth/token/lookup', { token: auth.client_token })).body.data
  assert.deepEqual([looked.policies, looked.creation_ttl], [['default', 'team'], 1800])
  const renewed = await send('POST', 'auth/token/renew-self', auth.client_token, { increment: '1h' })
  assert.equal(renewed.body.auth.lease_duration, 3600)
  assert.deepEqual(statusAndText(await asRoot('POST', 'auth/token/revoke', { token: auth.client_token })), noContent)
  const revoked = await send('GET', 'auth/token/lookup-self', auth.client_token)
  assert.deepEqual(statusAndErrors(revoked), { status: 403, errors: ['permission denied'] })
})

test('refusals have the statuses and texts of the Vault API', async () => {
  const denied = '1 error occurred:\n\t* permission denied\n\n'
  for (const [answer, status, text] of [
    [await asWorker('GET', 'secret/data/other'), 403, denied],
    [await send('GET', 'secret/data/team/db', undefined), 403, 'permission denied'],
    [await asRoot('GET', 'nowhere/x'), 404, 'no handler for route "nowhere/x". route entry not found.'],
    [
      await asRoot('POST', 'sys/auth/other', { type: 'no-such-method' }),
      400,
      'plugin not found in the catalog: no-such-method',
    ],
  ] as const) {
    assert.deepEqual(statusAndErrors(answer), { status, errors: [text] })
  }
  assert.equal((await asRoot('POST', 'secret/data/team/db', '{"data": ')).status, 400)
  assert.deepEqual(statusAndErrors(await asRoot('LIST', 'secret/metadata/empty')), { status: 404, errors: [] })
})

test('a sealed server answers 503 to all but what unseals it', async () => {
  assert.deepEqual(statusAndText(await asRoot('PUT', 'sys/seal')), noContent)
  assert.deepEqual(statusAndErrors(await asWorker('GET', 'secret/data/team/db')), {
    status: 503,
    errors: ['Vault is sealed'],
  })
  assert.equal((await send('GET', 'sys/health', undefined)).status, 503)
  assert.equal((await send('GET', 'sys/health?sealedcode=200', undefined)).body.sealed, true)
  const opened = await send('PUT', 'sys/unseal', undefined, { key: server.unsealKey })
  assert.equal(opened.body.sealed, false)
  assert.equal((await asWorker('GET', 'secret/data/team/db')).body.data.data.password, 'two')
})
