import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { Client } from '#client/client.ts'
import { tellCurl, tellPolicy } from './tell.ts'

test('the curl command never holds the token, and survives any quote in the data', () => {
  const client = new Client({ address: 'https://host:8200', token: 'hvs.secret' })
  const text = tellCurl(
    client.prepare('PUT', 'secret/data/a', { body: { v: `it's "$HOME" \`x\`` }, wrapTtl: '60s' }),
    false,
  )
  assert.ok(!text.includes('hvs.secret'))
  assert.match(text, /^curl -X PUT /)
  assert.ok(text.includes(`-H 'X-Vault-Wrap-TTL: 60s'`))
  // Let a shell read it: what follows -d is what would be sent.
  const words = execFileSync('sh', ['-c', `strongroom() { echo TOKEN; }; curl() { printf '%s\\n' "$@"; }; ${text}`], {
    encoding: 'utf8',
  }).split('\n')
  assert.equal(words[words.indexOf('-d') + 1], JSON.stringify({ data: undefined, v: `it's "$HOME" \`x\`` }))
  assert.ok(words.includes('X-Vault-Token: TOKEN'))
  assert.ok(words.includes('https://host:8200/v1/secret/data/a'))
})

test('the policy has what the request needs, sudo included', () => {
  assert.equal(tellPolicy('GET', 'secret/data/a'), 'path "secret/data/a" {\n  capabilities = ["read"]\n}')
  assert.match(tellPolicy('PUT', 'secret/data/a'), /\["create", "update"\]/)
  assert.match(tellPolicy('PUT', 'sys/audit/file'), /\["create", "update", "sudo"\]/)
  assert.match(tellPolicy('LIST', 'auth/token/accessors'), /\["list", "sudo"\]/)
  assert.match(tellPolicy('PATCH', 'secret/data/a'), /\["patch"\]/)
})
