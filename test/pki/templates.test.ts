import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestServer } from '#test/server.ts'
import { csr, makeRole, makeRoot, ok, refused, startPki } from './support.ts'

/** @returns a token of an entity with this name and metadata */
async function loginAs(server: TestServer, name: string, metadata: Record<string, string> = {}): Promise<string> {
  const role = `auth/approle/role/r${Buffer.from(name).toString('hex')}`
  ok200(await server.write(role, { token_policies: 'web' }))
  const { role_id } = ok(await server.read(`${role}/role-id`))
  const { secret_id } = ok(await server.write(`${role}/secret-id`, {}))
  const { auth } = (await server.write('auth/approle/login', { role_id, secret_id }, null)).body
  ok200(await server.write(`identity/entity/id/${auth.entity_id}`, { name, metadata }))
  return auth.client_token
}

function ok200({ status, text }: { status: number; text: string }): void {
  assert.ok(status === 200 || status === 204, text)
}

test('a role allows names by who asks: by name and metadata of the entity, and nobody without one', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await server.write('sys/auth/approle', { type: 'approle' })
  await server.send('PUT', 'sys/policies/acl/web', { policy: 'path "pki/*" { capabilities = ["update"] }' })
  const domains = ['{{identity.entity.name}}.example.com', '{{identity.entity.metadata.team}}.test']
  await makeRole(server, {
    allow_any_name: false,
    allowed_domains: domains,
    allowed_domains_template: true,
    allow_bare_domains: true,
    allow_glob_domains: true,
    allowed_uri_sans: 'spiffe://td/{{identity.entity.name}}',
    allowed_uri_sans_template: true,
  })
  const token = await loginAs(server, 'app1', { team: 'blue' })
  const ask = (common_name: string, as = token, more = {}) =>
    server.write('pki/issue/web', { common_name, ...more }, as)
  ok(await ask('app1.example.com'))
  ok(await ask('blue.test'))
  ok(await ask('app1.example.com', token, { uri_sans: 'spiffe://td/app1' }))
  refused(await ask('app1.example.com', token, { uri_sans: 'spiffe://td/app2' }), /which are not valid for this role/)
  refused(await ask('app2.example.com'), 'common name app2.example.com not allowed by this role')
  const { pem } = await csr('/CN=app1.example.com')
  ok(await server.write('pki/sign/web', { csr: pem }, token))
  refused(await ask('app1.example.com', server.root), 'common name app1.example.com not allowed by this role')
  refused(await ask('{{identity.entity.name}}.example.com', server.root), /not allowed by this role/)
  const star = await loginAs(server, '*')
  refused(await ask('any.example.com', star), 'common name any.example.com not allowed by this role')
  const teamless = await loginAs(server, 'app3')
  refused(await ask('.test', teamless), /idna: invalid label/)
  // Without the flag the braces are letters.
  await makeRole(server, { allow_any_name: false, allowed_domains: domains, allow_bare_domains: true })
  refused(await ask('app1.example.com'), 'common name app1.example.com not allowed by this role')
})
