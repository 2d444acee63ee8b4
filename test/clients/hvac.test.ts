/** hvac, the Python client, against a server in memory and against one that keeps its data. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { startDev, startKept, temporaryFolder } from '#test/config/program.ts'
import { install, runPython } from './installed.ts'
import { teamPolicy } from './policy.ts'

before(install)

/** What python/everyday.py saw at a server in memory. */
async function everydayInMemory(): Promise<any> {
  await using server = await startDev()
  return await runPython('everyday.py', [server.address, server.root, server.unsealKey, teamPolicy])
}

/** The same at a server that `start` made, with the root token and the unseal key that lie in its folder. */
async function everydayKept(): Promise<any> {
  await using folder = await temporaryFolder()
  await using server = await startKept(folder.path)
  const [rootToken, unsealKey] = await Promise.all(
    ['root-token', 'unseal-key'].map(async (name) => (await readFile(path.join(folder.path, name), 'utf8')).trim()),
  )
  return await runPython('everyday.py', [server.address, rootToken!, unsealKey!, teamPolicy])
}

const denied = { kind: 'Forbidden', errors: ['1 error occurred:\n\t* permission denied\n\n'] }
const noToken = { kind: 'Forbidden', errors: ['permission denied'] }
const notThere = { kind: 'InvalidPath', errors: [] }
const spent = { kind: 'InvalidRequest', errors: ['wrapping token is not valid or does not exist'] }

for (const { name, storageType, everyday } of [
  { name: 'a server in memory', storageType: 'inmem', everyday: everydayInMemory },
  { name: 'a server with the embedded store', storageType: 'sqlite', everyday: everydayKept },
]) {
  describe(`hvac at ${name}`, () => {
    let seen: any
    before(async () => {
      seen = await everyday()
    })

    test('reads health and seal status', () => {
      assert.equal(seen.health_head, 200)
      assert.match(seen.health.version, /^\d+\.\d+\.\d+/)
      assert.deepEqual([seen.health.initialized, seen.health.sealed, seen.health.standby], [true, false, false])
      const { type, sealed, t, n, progress, storage_type } = seen.seal_status
      assert.deepEqual([type, sealed, t, n, progress, storage_type], ['shamir', false, 1, 1, 0, storageType])
      assert.deepEqual([seen.initialized, seen.sealed], [true, false])
      assert.equal(seen.seal_status.cluster_id, seen.health.cluster_id)
    })

    test('enables AppRole and a KV mount, writes a policy and a role', () => {
      assert.equal(seen.auth_type, 'approle')
      assert.deepEqual(seen.enabled_twice, { kind: 'InvalidRequest', errors: ['path is already in use at approle/'] })
      assert.equal(seen.policy_is_as_written, true)
      assert.deepEqual(seen.policies, ['default', 'team', 'root'])
      assert.equal(seen.plain_version, '1')
      assert.deepEqual(seen.roles, ['web'])
      const { token_policies, token_ttl, token_max_ttl, secret_id_num_uses, bind_secret_id, token_type } = seen.role
      assert.deepEqual([token_policies, token_ttl, token_max_ttl], [['team'], 3600, 14_400])
      assert.deepEqual([secret_id_num_uses, bind_secret_id, token_type], [5, true, 'default'])
    })

    test('gets a secret id wrapped, unwraps it once and logs in with it', () => {
      assert.deepEqual(seen.wrapped, { ttl: 300, path: 'auth/approle/role/web/secret-id', data: null, auth: null })
      assert.deepEqual(seen.secret_id_fields, [
        'secret_id',
        'secret_id_accessor',
        'secret_id_num_uses',
        'secret_id_ttl',
      ])
      assert.deepEqual(seen.unwrapped_again, spent)
      assert.deepEqual(seen.unwrapped_again_by_root, spent)
      const { client_token, policies, lease_duration, renewable, metadata, token_type, orphan } = seen.login
      assert.match(client_token, /^hvs\.[A-Za-z0-9]+$/)
      assert.deepEqual([policies, lease_duration, renewable], [['default', 'team'], 3600, true])
      assert.deepEqual([metadata, token_type, orphan], [{ host: 'h1', role_name: 'web' }, 'service', true])
      assert.equal(seen.authenticated, true)
      assert.deepEqual(seen.login_wrong, { kind: 'InvalidRequest', errors: ['invalid role or secret ID'] })
      assert.equal(seen.secret_id.secret_id_num_uses, 4)
      assert.equal(seen.accessors, true)
    })

    test('keeps users, and logs in by name and password', () => {
      assert.deepEqual(seen.users, ['bob'])
      assert.deepEqual([seen.user.token_policies, seen.user.policies], [['team'], ['team']])
      const { policies, metadata, token_type, orphan } = seen.user_login
      assert.deepEqual(
        [policies, metadata, token_type, orphan],
        [['default', 'team'], { username: 'bob' }, 'service', true],
      )
      assert.equal(seen.user_authenticated, true)
      const wrong = { kind: 'InvalidRequest', errors: ['invalid username or password'] }
      assert.deepEqual([seen.user_wrong, seen.user_unknown, seen.user_deleted], [wrong, wrong, wrong])
    })

    test('writes, patches, deletes and undeletes versions of a secret', () => {
      assert.deepEqual(seen.versions, [1, 2])
      assert.deepEqual(seen.old, { user: 'app', password: 'one', port: 5432 })
      assert.deepEqual(seen.patched, { user: 'app', password: 'two', port: 5432 })
      const conflict = 'check-and-set parameter did not match the current version'
      assert.deepEqual(seen.conflict, { kind: 'InvalidRequest', errors: [conflict] })
      // Deleted is told by 404 with a body, which has no texts of errors.
      assert.deepEqual(seen.deleted, { kind: 'InvalidPath', errors: null })
      assert.deepEqual(seen.deleted_marked, [null, true])
      assert.deepEqual(seen.undeleted, seen.patched)
      assert.deepEqual(seen.metadata, { current: 2, deleted: ['1'] })
      assert.deepEqual(seen.list, ['db'])
      assert.deepEqual(seen.list_again, ['db'])
      assert.deepEqual(seen.gone, notThere)
    })

    test('keeps unversioned secrets', () => {
      assert.deepEqual(seen.plain, { value: 'v1', count: 3 })
      assert.deepEqual(seen.plain_list, ['key'])
      assert.deepEqual(seen.plain_gone, notThere)
      assert.deepEqual(seen.plain_empty, notThere)
    })

    test('raises the exception that belongs to each refusal', () => {
      assert.deepEqual(seen.forbidden, denied)
      assert.deepEqual(seen.forbidden_list, denied)
      assert.deepEqual(seen.missing, notThere)
      const unknown = 'no handler for route "nowhere/data/x". route entry not found.'
      assert.deepEqual(seen.unknown_mount, { kind: 'InvalidPath', errors: [unknown] })
      assert.equal(seen.invalid.kind, 'InvalidRequest')
      assert.match(seen.invalid.errors[0], /^failed to parse policy: /)
      assert.deepEqual(seen.no_token, noToken)
      assert.deepEqual(seen.bad_token, noToken)
      assert.equal(seen.stranger_authenticated, false)
    })

    test('makes, looks up, renews and revokes tokens', () => {
      const { policies, lease_duration, num_uses, metadata, orphan } = seen.token
      assert.deepEqual([policies, lease_duration, num_uses], [['default', 'team'], 1800, 20])
      assert.deepEqual([metadata, orphan], [{ for: 'test' }, false])
      const { id, display_name, path: madeAt, ttl, type, accessor } = seen.token_lookup
      assert.deepEqual([id, accessor], [seen.token.client_token, seen.token.accessor])
      assert.deepEqual([display_name, madeAt, type], ['token-py', 'auth/token/create', 'service'])
      assert.ok(ttl > 1740 && ttl <= 1800)
      // Who has only the accessor must not get the token.
      assert.equal(seen.token_by_accessor.id, '')
      assert.equal(seen.token_listed, true)
      assert.deepEqual([seen.token_renewed, seen.token_renewed_self], [3600, 7200])
      assert.deepEqual(seen.token_refused, noToken)
      assert.deepEqual(seen.token_unknown, { kind: 'Forbidden', errors: ['bad token'] })
      assert.deepEqual(seen.token_refused_by_accessor, noToken)
    })

    test('meets a sealed server as one that is down, and unseals it', () => {
      assert.equal(seen.is_sealed, true)
      assert.deepEqual(seen.sealed_read, { kind: 'VaultDown', errors: ['Vault is sealed'] })
      assert.equal(seen.sealed_health, 503)
      assert.equal(seen.unsealed, false)
      assert.equal(seen.root_after_unseal, true)
    })
  })
}
