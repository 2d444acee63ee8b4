import assert from 'node:assert/strict'
import test from 'node:test'
import { crlText, issue, makeRole, makeRoot, ok, refused, startPki, verifies } from './support.ts'

const crlOf = async (server: Awaited<ReturnType<typeof startPki>>): Promise<string> =>
  (await server.read('pki/crl/pem', null)).text
const serialsIn = async (crl: string): Promise<string[]> =>
  [...(await crlText(crl)).matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial]) => serial!.toLowerCase())
const inOrder = (...certificates: { serial_number: string }[]): string[] =>
  certificates.map((each) => each.serial_number).toSorted()
const plain = (serial: string): string => serial.replaceAll(':', '')

for (const key_type of ['ec', 'rsa', 'ed25519']) {
  test(`a revoked certificate is on the list that the CA signs (${key_type}), and OpenSSL refuses it`, async () => {
    await using server = await startPki()
    const root = await makeRoot(server, { key_type })
    await makeRole(server)
    const good = await issue(server)
    const bad = await issue(server)
    const revoked = ok(await server.write('pki/revoke', { serial_number: bad.serial_number }))
    assert.equal(revoked.state, 'revoked')
    const crl = await crlOf(server)
    assert.deepEqual(await serialsIn(crl), [plain(bad.serial_number)])
    assert.equal((await verifies({ ca: root.certificate, leaf: good.certificate, crl })).code, 0)
    assert.match((await verifies({ ca: root.certificate, leaf: bad.certificate, crl })).out, /certificate revoked/)
    const read = ok(await server.read(`pki/cert/${bad.serial_number}`, null))
    assert.equal(read.revocation_time, revoked.revocation_time)
    assert.equal(ok(await server.read(`pki/cert/${good.serial_number.replaceAll(':', '-')}`, null)).revocation_time, 0)
    assert.deepEqual(ok(await server.list('pki/certs/revoked')).keys, [bad.serial_number])
    const keys = ok(await server.list('pki/certs')).keys
    assert.deepEqual(keys, inOrder(root, good, bad))
  })
}

test('the first revocation counts: a second one tells of its time and changes no list', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server)
  const { serial_number } = await issue(server)
  const first = ok(await server.write('pki/revoke', { serial_number }))
  const list = await crlOf(server)
  server.tick(60)
  assert.deepEqual(ok(await server.write('pki/revoke', { serial_number })), first)
  assert.equal(await crlOf(server), list)
})

test('what cannot be revoked is refused, each with its reason', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server, { ttl: '1h' })
  const leaf = await issue(server)
  const revoke = (fields: Record<string, unknown>) => server.write('pki/revoke', fields)
  refused(await revoke({}), 'The serial number or certificate to revoke must be provided.')
  refused(
    await revoke({ serial_number: leaf.serial_number, certificate: leaf.certificate }),
    'Must provide either the certificate or the serial to revoke; not both.',
  )
  refused(await revoke({ serial_number: '01:02' }), 'certificate with serial 01:02 not found.')
  refused(await revoke({ serial_number: '../key' }), 'certificate with serial ../key not found.')
  refused(await revoke({ certificate: 'nothing' }), 'certificate contains no PEM data')
  refused(await revoke({ serial_number: root.serial_number }), /^adding issuer \(.*\) to its own CRL is not allowed$/)
  assert.equal((await server.write('pki/revoke', { serial_number: leaf.serial_number }, 'wrong')).status, 403)
  server.tick(3601)
  const late = await revoke({ serial_number: leaf.serial_number })
  assert.deepEqual(late.body.warnings, [
    `certificate with serial ${leaf.serial_number} already expired; refusing to add to CRL`,
  ])
  ok(await server.write('pki/config/crl', { allow_expired_cert_revocation: true }))
  assert.equal(ok(await revoke({ serial_number: leaf.serial_number })).state, 'revoked')
})

test('a certificate that is not kept can be shown to be revoked, if it was issued here', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, { no_store: true })
  const leaf = await issue(server)
  assert.equal((await server.read(`pki/cert/${leaf.serial_number}`)).status, 404)
  ok(await server.write('pki/revoke', { certificate: leaf.certificate }))
  assert.deepEqual(await serialsIn(await crlOf(server)), [plain(leaf.serial_number)])
  await using other = await startPki()
  await makeRoot(other)
  refused(
    await other.write('pki/revoke', { certificate: leaf.certificate }),
    /^unable to verify signature on presented cert/,
  )
  assert.deepEqual(await serialsIn(await crlOf(other)), [])
})

test('a hundred revocations at once are all on the list, in few lists of rising numbers', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server)
  const serials: string[] = []
  for (let index = 0; index < 100; index += 1) serials.push((await issue(server)).serial_number)
  const answers = await Promise.all(serials.map((serial_number) => server.write('pki/revoke', { serial_number })))
  for (const answer of answers) ok(answer)
  const crl = await crlOf(server)
  assert.deepEqual((await serialsIn(crl)).toSorted(), serials.map(plain).toSorted())
  const number = Number(/X509v3 CRL Number:\s+(\d+)/.exec(await crlText(crl))![1])
  assert.ok(number > 1 && number < 100, `list ${number}`)
})

test('a list that is over is made anew, and one that is disabled is empty until it is enabled', async () => {
  await using server = await startPki({ at: new Date().toISOString() })
  const root = await makeRoot(server)
  await makeRole(server)
  const { serial_number, certificate } = await issue(server)
  ok(await server.write('pki/revoke', { serial_number }))
  ok(await server.write('pki/config/crl', { disable: true }))
  assert.deepEqual(await serialsIn(await crlOf(server)), [])
  ok(await server.write('pki/config/crl', { disable: false }))
  const before = await crlOf(server)
  assert.deepEqual(await serialsIn(before), [plain(serial_number)])
  assert.match((await verifies({ ca: root.certificate, leaf: certificate, crl: before })).out, /revoked/)
  server.tick(72 * 3600 + 1)
  const after = await crlOf(server)
  assert.notEqual(after, before)
  assert.deepEqual(await serialsIn(after), [plain(serial_number)])
  ok(await server.read('pki/crl/rotate'))
  assert.notEqual(await crlOf(server), after)
  refused(await server.write('pki/config/crl', { expiry: 'later' }), /given expiry could not be decoded/)
})

test('the end of a lease revokes its certificate, and so does the end of the token it was made for', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, { generate_lease: true, ttl: '1h' })
  const answer = await server.write('pki/issue/web', { common_name: 'a.example.com' })
  assert.match(answer.body.lease_id, /^pki\/issue\/web\/\w{24}$/)
  assert.ok(answer.body.lease_duration > 3590 && answer.body.lease_duration <= 3600)
  assert.equal(answer.body.renewable, false)
  assert.equal((await server.write('sys/leases/revoke', { lease_id: answer.body.lease_id })).status, 204)
  assert.deepEqual(await serialsIn(await crlOf(server)), [plain(ok(answer).serial_number)])
  await server.send('PUT', 'sys/policies/acl/web', { policy: 'path "pki/issue/web" { capabilities = ["update"] }' })
  const token = await server.login(['web'])
  const mine = await server.write('pki/issue/web', { common_name: 'b.example.com' }, token)
  await server.write('auth/token/revoke', { token })
  for (let tries = 0; tries < 100 && (await serialsIn(await crlOf(server))).length < 2; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok((await serialsIn(await crlOf(server))).includes(plain(ok(mine).serial_number)))
})

test('a lease that runs out needs no revocation, and one of a certificate that is not kept has it', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, { generate_lease: true, ttl: '1h' })
  const { lease_id } = (await server.write('pki/issue/web', { common_name: 'a.example.com' })).body
  server.tick(3601)
  for (
    let tries = 0;
    tries < 100 && (await server.write('sys/leases/lookup', { lease_id })).status === 200;
    tries += 1
  ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.deepEqual(await serialsIn(await crlOf(server)), [])
  await makeRole(server, { generate_lease: true, no_store: true, ttl: '1h' })
  const unkept = await server.write('pki/issue/web', { common_name: 'a.example.com' })
  await server.write('sys/leases/revoke', { lease_id: unkept.body.lease_id })
  assert.deepEqual(await serialsIn(await crlOf(server)), [plain(ok(unkept).serial_number)])
})

test('tidy removes what is over for long enough, from the lists as well, and nothing else', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server, { ttl: '1h' })
  const over = await issue(server)
  const revoked = await issue(server)
  ok(await server.write('pki/revoke', { serial_number: revoked.serial_number }))
  server.tick(2 * 3600)
  const alive = await issue(server)
  const nothing = await server.write('pki/tidy', {})
  assert.equal(nothing.status, 202)
  assert.match(nothing.body.warnings[0], /^Manual tidy requested but no tidy operations were set/)
  const tidy = async (fields: Record<string, unknown>) => {
    assert.equal(
      (await server.write('pki/tidy', { tidy_cert_store: true, tidy_revoked_certs: true, ...fields })).status,
      202,
    )
    for (let tries = 0; tries < 100; tries += 1) {
      if (ok(await server.read('pki/tidy-status')).state === 'Finished') return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail('tidying does not end')
  }
  await tidy({})
  assert.equal(ok(await server.list('pki/certs')).keys.length, 4)
  await tidy({ safety_buffer: '30m' })
  assert.deepEqual(ok(await server.list('pki/certs')).keys, inOrder(root, alive))
  assert.deepEqual(await serialsIn(await crlOf(server)), [])
  assert.equal((await server.list('pki/certs/revoked')).status, 404)
  assert.equal((await server.read(`pki/cert/${over.serial_number}`)).status, 404)
  refused(await server.write('pki/tidy', { safety_buffer: 0 }), 'safety_buffer must be greater than zero')
})
