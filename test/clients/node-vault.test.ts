/** node-vault, the client of JavaScript programs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import createClient from 'node-vault'
import { startDev } from '#test/config/program.ts'
import { teamPolicy } from './policy.ts'

// Its declarations know only some of the calls that it makes from its table of commands.
type Client = ReturnType<typeof createClient> & Record<string, (args?: object) => Promise<any>>

let server: Awaited<ReturnType<typeof startDev>>
let root: Client
let worker: Client

const clientOf = (token?: string) =>
  createClient({ endpoint: server.address, ...(token !== undefined && { token }) }) as unknown as Client

before(async () => {
  server = await startDev()
  root = clientOf(server.root)
  worker = clientOf()
})
after(() => server.program.kill())

/** The status and the text of a refusal, as this client tells them. */
async function refusalOf(call: Promise<unknown>): Promise<{ status: number; text: string }> {
  try {
    await call
  } catch (error) {
    const { message, response } = error as Error & { response: { statusCode: number } }
    return { status: response.statusCode, text: message }
  }
  throw new Error('was not refused')
}

test('node-vault reads health and seal status', async () => {
  const health = await root.health()
  assert.deepEqual([health.initialized, health.sealed, health.standby], [true, false, false])
  const { type, sealed, t, n } = await root.status()
  assert.deepEqual([type, sealed, t, n], ['shamir', false, 1, 1])
  assert.deepEqual(await root.initialized(), { initialized: true })
})

test('node-vault enables AppRole, makes a policy and a role, and logs in with a secret id that came wrapped', async () => {
  await root.enableAuth!({ mount_point: 'approle', type: 'approle' })
  assert.equal((await root.auths!())['approle/'].type, 'approle')
  await root.addPolicy!({ name: 'team', rules: teamPolicy })
  assert.equal((await root.getPolicy!({ name: 'team' })).rules, teamPolicy)
  assert.ok((await root.policies!()).policies.includes('team'))
  await root.addApproleRole!({ role_name: 'web', policies: 'team' })
  assert.deepEqual((await root.approleRoles!()).data.keys, ['web'])
  const { role_id } = (await root.getApproleRoleId!({ role_name: 'web' })).data
  const { wrap_info } = await root.write(
    'auth/approle/role/web/secret-id',
    {},
    { headers: { 'X-Vault-Wrap-TTL': '60s' } },
  )
  assert.equal(wrap_info.ttl, 60)
  const { secret_id } = (await clientOf(wrap_info.token).unwrap()).data
  assert.deepEqual(await refusalOf(clientOf(wrap_info.token).unwrap()), {
    status: 400,
    text: 'wrapping token is not valid or does not exist',
  })
  const login = await worker.approleLogin!({ role_id, secret_id })
  assert.equal(worker.token, login.auth.client_token)
  assert.deepEqual(login.auth.policies, ['default', 'team'])
  assert.deepEqual(await refusalOf(clientOf().approleLogin!({ role_id, secret_id: 'wrong' })), {
    status: 400,
    text: 'invalid role or secret ID',
  })
})

test('node-vault writes, patches, lists, deletes and undeletes versions of a secret', async () => {
  const at = 'secret/data/team/db'
  assert.equal((await worker.write(at, { data: { user: 'app', password: 'one' } })).data.version, 1)
  const patched = await worker.update(at, { data: { password: 'two' } })
  assert.equal(patched.data.version, 2)
  assert.deepEqual((await worker.read(at)).data.data, { user: 'app', password: 'two' })
  assert.deepEqual((await worker.read(`${at}?version=1`)).data.data, { user: 'app', password: 'one' })
  assert.deepEqual((await worker.list('secret/metadata/team')).data.keys, ['db'])
  await worker.delete(at)
  const deleted = await refusalOf(worker.read(at))
  assert.deepEqual(deleted, { status: 404, text: 'Status 404' })
  await worker.write('secret/undelete/team/db', { versions: [2] })
  assert.deepEqual((await worker.read(at)).data.data, { user: 'app', password: 'two' })
})

test('node-vault keeps unversioned secrets', async () => {
  await root.mount!({ mount_point: 'plain', type: 'kv', options: { version: '1' } })
  assert.equal((await root.mounts!())['plain/'].options.version, '1')
  await worker.write('plain/team/key', { value: 'v1' })
  const read = await worker.read('plain/team/key')
  assert.deepEqual([read.data, read.lease_duration], [{ value: 'v1' }, 2_764_800])
  assert.deepEqual((await worker.list('plain/team')).data.keys, ['key'])
  await worker.delete('plain/team/key')
  assert.deepEqual(await refusalOf(worker.read('plain/team/key')), { status: 404, text: 'Status 404' })
})

test('node-vault rejects with the status and the first text of a refusal', async () => {
  const denied = { status: 403, text: '1 error occurred:\n\t* permission denied\n\n' }
  assert.deepEqual(await refusalOf(worker.read('secret/data/other')), denied)
  assert.deepEqual(await refusalOf(clientOf('hvs.nobody').tokenLookupSelf()), {
    status: 403,
    text: 'permission denied',
  })
  assert.deepEqual(await refusalOf(root.read('nowhere/x')), {
    status: 404,
    text: 'no handler for route "nowhere/x". route entry not found.',
  })
  const broken = await refusalOf(root.addPolicy!({ name: 'broken', rules: 'path {' }))
  assert.equal(broken.status, 400)
})

test('node-vault makes, looks up, renews and revokes tokens', async () => {
  const maker = clientOf(server.root)
  const { auth } = await maker.tokenCreate({ policies: ['team'], ttl: '30m', renewable: true })
  // This client goes on with the token that it made.
  assert.equal(maker.token, auth.client_token)
  assert.equal((await maker.tokenLookupSelf()).data.path, 'auth/token/create')
  assert.equal((await maker.tokenRenewSelf({ increment: '1h' })).auth.lease_duration, 3600)
  assert.deepEqual((await root.tokenLookup({ token: auth.client_token })).data.policies, ['default', 'team'])
  assert.equal((await root.tokenLookupAccessor({ accessor: auth.accessor })).data.id, '')
  await root.tokenRevoke({ token: auth.client_token })
  assert.deepEqual(await refusalOf(maker.tokenLookupSelf()), { status: 403, text: 'permission denied' })
})

test('node-vault seals the server, is refused, and unseals it', async () => {
  await root.seal()
  assert.deepEqual(await refusalOf(root.read('secret/data/any')), { status: 503, text: 'Vault is sealed' })
  // Of health it gives the body, whatever the status.
  assert.equal((await root.health()).sealed, true)
  const { sealed } = await root.unseal({ key: server.unsealKey })
  assert.equal(sealed, false)
  assert.equal((await root.tokenLookupSelf()).data.display_name, 'root')
})
