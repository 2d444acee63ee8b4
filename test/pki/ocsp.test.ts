import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { issue, makeRole, makeRoot, ok, openssl, refused, startPki } from './support.ts'

/** Asks as `openssl ocsp` does, over HTTP. */
async function asked(server: Awaited<ReturnType<typeof startPki>>, ca: string, leaf: string, ...hash: string[]) {
  const files = { 'ca.pem': `${ca}\n`, 'leaf.pem': `${leaf}\n` }
  const url = `${server.address}/v1/pki/ocsp`
  const args = ['ocsp', ...hash, '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-CAfile', 'ca.pem', '-url', url]
  return await openssl(files, ...args)
}

async function requestBytes(ca: string, leaf: string): Promise<Buffer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-ocsp-'))
  const out = path.join(folder, 'q.der')
  await writeFile(out, '')
  await openssl(
    { 'ca.pem': `${ca}\n`, 'leaf.pem': `${leaf}\n` },
    'ocsp',
    '-issuer',
    'ca.pem',
    '-cert',
    'leaf.pem',
    '-reqout',
    out,
  )
  const bytes = await readFile(out)
  await rm(folder, { recursive: true })
  return bytes
}

for (const key_type of ['ec', 'rsa']) {
  test(`openssl ocsp hears good, then revoked, and trusts both answers (${key_type})`, async () => {
    await using server = await startPki()
    const root = await makeRoot(server, { key_type })
    await makeRole(server)
    const leaf = await issue(server)
    const good = await asked(server, root.certificate, leaf.certificate, '-sha256')
    assert.match(good.out, /Response verify OK/)
    assert.match(good.out, /leaf\.pem: good/)
    assert.doesNotMatch(good.out, /WARNING: no nonce/)
    ok(await server.write('pki/revoke', { serial_number: leaf.serial_number }))
    const bad = await asked(server, root.certificate, leaf.certificate)
    assert.match(bad.out, /Response verify OK/)
    assert.match(bad.out, /leaf\.pem: revoked/)
  })
}

test('a request in the address is answered as one in the body; for how long, the configuration says', async () => {
  await using server = await startPki({ at: '2030-01-01T00:00:00Z' })
  const root = await makeRoot(server)
  await makeRole(server)
  const leaf = await issue(server)
  const request = await requestBytes(root.certificate, leaf.certificate)
  ok(await server.write('pki/config/crl', { ocsp_expiry: '2h' }))
  const answer = await fetch(`${server.address}/v1/pki/ocsp/${encodeURIComponent(request.toString('base64'))}`)
  assert.equal(answer.headers.get('content-type'), 'application/ocsp-response')
  const der = Buffer.from(await answer.arrayBuffer())
  const text = await openssl({ 'r.der': der }, 'ocsp', '-respin', 'r.der', '-resp_text', '-noverify')
  assert.match(text.out, /Cert Status: good/)
  assert.match(text.out, /Next Update: Jan {2}1 02:00:00 2030 GMT/)
})

test('what is no request, of no issuer here, or not wanted is refused in the words of the protocol', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server)
  const leaf = await issue(server)
  const request = await requestBytes(root.certificate, leaf.certificate)
  const send = async (body: Buffer) => {
    const headers = { 'content-type': 'application/ocsp-request' }
    const answer = await fetch(`${server.address}/v1/pki/ocsp`, { method: 'POST', headers, body: new Uint8Array(body) })
    return [answer.status, Buffer.from(await answer.arrayBuffer()).toString('hex')]
  }
  assert.equal((await send(request))[0], 200)
  for (const junk of [Buffer.alloc(0), Buffer.from('30'), request.subarray(0, -1), Buffer.alloc(20_000, 0x30)]) {
    assert.deepEqual(await send(junk), [400, '30030a0101'])
  }
  assert.equal((await server.read('pki/ocsp/!!', null)).status, 400)
  ok(await server.send('PATCH', 'pki/issuer/default', { usage: 'read-only,issuing-certificates,crl-signing' }))
  assert.deepEqual(await send(request), [401, '30030a0106'])
  ok(await server.send('PATCH', 'pki/issuer/default', { usage: 'read-only,ocsp-signing' }))
  assert.equal((await send(request))[0], 200)
  ok(await server.write('pki/config/crl', { ocsp_disable: true }))
  assert.deepEqual(await send(request), [401, '30030a0106'])
  await using other = await startPki()
  await makeRoot(other)
  assert.match((await asked(other, root.certificate, leaf.certificate)).out, /unauthorized|401/)
})

test('the key of a certificate is enough to revoke it, and no other key is', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server)
  const [leaf, other] = [await issue(server), await issue(server)]
  const { serial_number } = leaf
  const revoke = (fields: Record<string, unknown>) => server.write('pki/revoke-with-key', fields)
  refused(await revoke({ serial_number }), 'The private key must be provided.')
  refused(
    await revoke({ serial_number, private_key: other.private_key }),
    'provided private key does not match the certificate',
  )
  refused(
    await revoke({ serial_number, private_key: 'nonsense' }),
    'provided private key does not match the certificate',
  )
  assert.equal(ok(await server.read(`pki/cert/${serial_number}`)).revocation_time, 0)
  assert.equal(ok(await revoke({ serial_number, private_key: leaf.private_key })).state, 'revoked')
  assert.equal(ok(await revoke({ certificate: other.certificate, private_key: other.private_key })).state, 'revoked')
  const lines = JSON.stringify(await server.trail())
  assert.ok(!lines.includes(leaf.private_key.split('\n')[1]))
})
