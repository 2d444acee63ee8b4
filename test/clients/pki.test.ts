/** The PKI engine by way of hvac, the Python client; OpenSSL judges what it got. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { startDev } from '#test/config/program.ts'
import { verifies } from '#test/pki/support.ts'
import { install, runPython } from './installed.ts'

let seen: any

before(async () => {
  await install()
  await using server = await startDev()
  seen = await runPython('pki.py', [server.address, server.root])
})

test('hvac sets up a root and a CA below it, and reads both', () => {
  assert.equal(seen.issuers, 2)
  assert.deepEqual([seen.urls, seen.ca, seen.chain], [true, true, true])
})

test('hvac gets a certificate that OpenSSL trusts, and revokes it so that it does not', async () => {
  const chain = { ca: seen.root, between: seen.below, leaf: seen.leaf }
  const { code, out } = await verifies(chain)
  assert.equal(code, 0, out)
  assert.match((await verifies({ ...chain, crl: seen.crl })).out, /certificate revoked/)
})

test('hvac handles roles, lists and tidying, and understands refusals', () => {
  assert.deepEqual([seen.roles, seen.role], [['web'], ['example.com']])
  assert.deepEqual([seen.read, seen.listed, seen.expiry, seen.tidy], [true, true, '96h', 202])
  assert.deepEqual(seen.refused, {
    kind: 'InvalidRequest',
    errors: ['common name a.example.org not allowed by this role'],
  })
  assert.deepEqual(seen.gone, { kind: 'InvalidPath', errors: [] })
})
