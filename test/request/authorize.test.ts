/** The order in which a request is judged, and what each refusal tells. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from '#test/server.ts'

test('who may not ask learns nothing of what was wrong with the question, or of what there is', async () => {
  await using server = await startServer({ secret: true })
  const token = await server.login(['default'])
  for (const [method, where, body] of [
    ['POST', 'sys/mounts/x', { type: 5, options: 'nonsense' }],
    ['POST', 'sys/mounts/secret/tune', { default_lease_ttl: 'soon' }],
    ['POST', 'identity/entity', { disabled: 'perhaps' }],
    ['LIST', 'secret/metadata?limit=nonsense', undefined],
    ['GET', 'sys/nothing', undefined],
    ['GET', 'nowhere/x', undefined],
    ['DELETE', 'sys/health-of-others', undefined],
  ] as const) {
    const answer = await server.send(method, where, body, { token })
    assert.equal(answer.status, 403, where)
    assert.match(answer.body.errors[0], /permission denied/, where)
  }
  assert.equal((await server.write('identity/entity', { disabled: 'perhaps' })).status, 400)
  assert.equal((await server.read('sys/nothing')).status, 404)
  assert.equal(
    (await server.read('nowhere/x')).body.errors[0],
    'no handler for route "nowhere/x". route entry not found.',
  )
})

test('the word max asks for as many as the policy allows', async () => {
  await using server = await startServer({ secret: true })
  for (let n = 0; n < 5; n += 1) await server.write(`secret/data/k${n}`, { data: { v: 1 } })
  await server.send('PUT', 'sys/policies/acl/few', {
    policy: 'path "secret/metadata/*" { capabilities = ["list"] pagination_limit = 2 }',
  })
  const token = await server.login(['few'])
  for (const query of ['?limit=max', '?limit=', '']) {
    assert.deepEqual((await server.list(`secret/metadata/${query}`, token)).body.data?.keys, ['k0', 'k1'], query)
  }
  assert.equal((await server.list('secret/metadata/?limit=max')).status, 400)
})

test('a limit on listings shortens the names everywhere in the answer', async () => {
  await using server = await startServer()
  for (const name of ['a', 'b', 'c']) {
    await server.send('PUT', `sys/policies/acl/${name}`, { policy: 'path "x" { capabilities = ["read"] }' })
  }
  await server.send('PUT', 'sys/policies/acl/some', {
    policy: `path "sys/policy" { capabilities = ["list"] list_scan_response_keys_filter_path = "sys/policy/{{ .key }}" }
             path "sys/policy/a" { capabilities = ["read"] }`,
  })
  const answer = await server.list('sys/policy', await server.login(['some']))
  assert.deepEqual([answer.body.data.keys, answer.body.data.policies, answer.body.policies], [['a'], ['a'], ['a']])
  for (const name of ['"b"', '"c"', '"some"']) assert.ok(!answer.text.includes(name))
})

test('a path that needs sudo is refused without it, whatever else is granted', async () => {
  await using server = await startServer()
  await server.send('PUT', 'sys/policies/acl/all', {
    policy: 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "patch", "scan"] }',
  })
  const token = await server.login(['all'])
  for (const [method, where] of [
    ['GET', 'sys/audit'],
    ['PUT', 'sys/audit/x'],
    ['DELETE', 'sys/auth/token'],
    ['POST', 'sys/auth/x'],
    ['POST', 'sys/auth/token/tune'],
    ['POST', 'sys/seal'],
    ['POST', 'sys/remount'],
    ['POST', 'sys/rotate'],
    ['LIST', 'sys/leases/lookup/x'],
    ['POST', 'sys/leases/revoke-prefix/x'],
    ['POST', 'sys/leases/revoke-force/x'],
    ['POST', 'sys/revoke-prefix/x'],
    ['POST', 'sys/revoke-force/x'],
    ['LIST', 'auth/token/accessors'],
  ] as const) {
    const body = method === 'POST' || method === 'PUT' ? {} : undefined
    assert.equal((await server.send(method, where, body, { token })).status, 403, `${method} ${where}`)
  }
  assert.equal((await server.read('sys/mounts', token)).status, 200)
})

test('a policy that asks for an approval or a second factor is not met by nothing', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  await server.send('PUT', 'sys/policies/acl/two', {
    policy: `path "secret/data/app" { capabilities = ["read"] control_group = { factor "ops" { identity { group_names = ["ops"] approvals = 1 } } } }
             path "secret/data/*" { capabilities = ["read"] mfa_methods = ["totp"] }`,
  })
  const token = await server.login(['two'])
  for (const where of ['secret/data/app', 'secret/data/other']) {
    const answer = await server.read(where, token)
    assert.equal(answer.status, 403)
    assert.doesNotMatch(answer.text, /opensesame/)
  }
})

test('a request for another namespace is never answered from this one', async () => {
  await using server = await startServer({ secret: true })
  await server.write('secret/data/app', { data: { password: 'opensesame' } })
  for (const namespace of ['team', 'team/', 'root/x', '../root']) {
    const answer = await server.send('GET', 'secret/data/app', undefined, {
      headers: { 'x-vault-namespace': namespace },
    })
    assert.ok(answer.status === 404 || answer.status === 400, namespace)
    assert.doesNotMatch(answer.text, /opensesame/)
  }
})

test('the reasons of refusals are on the ledger and nowhere else', async () => {
  await using server = await startServer({ secret: true })
  const token = await server.login(['default'])
  const answer = await server.read('secret/data/app', token)
  assert.deepEqual(answer.body, { errors: ['1 error occurred:\n\t* permission denied\n\n'] })
  const lines = await server.trail()
  const refused = lines.filter(({ request }) => request.path === 'secret/data/app')
  assert.deepEqual(
    refused.map(({ type }) => type),
    ['request', 'response'],
  )
  for (const line of refused) assert.equal(line.reason, 'no policy has a rule for this path')
})
