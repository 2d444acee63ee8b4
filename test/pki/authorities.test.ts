import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import test from 'node:test'
import {
  certificateText,
  csr,
  issue,
  makeRole,
  makeRoot,
  mountPki,
  ok,
  openssl,
  refused,
  startPki,
  verifies,
} from './support.ts'

test('a CA below a CA: asked for in one mount, signed in another, and what it issues is trusted by way of both', async () => {
  for (const key_type of ['ec', 'rsa', 'ed25519']) {
    await using server = await startPki()
    const root = await makeRoot(server, { key_type, ttl: '400h', max_path_length: 2 })
    await mountPki(server, 'sub')
    const asked = ok(
      await server.write('sub/intermediate/generate/internal', {
        common_name: 'sub.example.com',
        key_type,
        add_basic_constraints: true,
      }),
    )
    const request = await openssl({ 'r.pem': `${asked.csr}\n` }, 'req', '-in', 'r.pem', '-noout', '-text', '-verify')
    assert.match(request.out, /Certificate request self-signature verify OK/)
    assert.match(request.out, /CA:TRUE/)
    const signed = ok(
      await server.write('pki/root/sign-intermediate', {
        csr: asked.csr,
        common_name: 'sub.example.com',
        organization: 'Acme',
        ttl: '300h',
        permitted_dns_domains: 'example.com',
      }),
    )
    const set = ok(
      await server.write('sub/intermediate/set-signed', { certificate: `${signed.certificate}\n${root.certificate}` }),
    )
    assert.equal(set.imported_issuers.length, 2)
    assert.deepEqual(Object.values(set.mapping), [asked.key_id, ''])
    await makeRole(server, { key_type: 'ec', ttl: '1h' }, 'sub')
    const leaf = await issue(server, {}, 'sub')
    assert.deepEqual(leaf.ca_chain, [signed.certificate, root.certificate])
    assert.deepEqual((await issue(server, { remove_roots_from_chain: true }, 'sub')).ca_chain, [signed.certificate])
    const { code, out } = await verifies({ ca: root.certificate, between: leaf.ca_chain[0], leaf: leaf.certificate })
    assert.equal(code, 0, out)
    const text = await certificateText(signed.certificate)
    assert.match(text, /Subject: O = Acme, CN = sub\.example\.com/)
    assert.match(text, /CA:TRUE, pathlen:1/)
    assert.match(text, /Permitted:\s+DNS:example\.com/)
    const outside = await issue(server, { common_name: 'other.org' }, 'sub')
    assert.match(
      (await verifies({ ca: root.certificate, between: leaf.ca_chain[0], leaf: outside.certificate })).out,
      /permitted subtree violation/,
    )
  }
})

test('path lengths only shrink, and a CA that may have none below signs none', async () => {
  await using server = await startPki()
  await makeRoot(server, { max_path_length: 1 })
  const { pem } = await csr('/CN=sub')
  refused(
    await server.write('pki/root/sign-intermediate', { csr: pem, max_path_length: 1 }),
    /not less than that of the issuer/,
  )
  const signed = ok(await server.write('pki/root/sign-intermediate', { csr: pem }))
  assert.match(await certificateText(signed.certificate), /pathlen:0/)
  await makeRoot(server, { max_path_length: 0, issuer_name: 'last' })
  refused(await server.write('pki/issuer/last/sign-intermediate', { csr: pem }), /max path length of zero/)
  refused(
    await server.write('pki/issuer/nobody/sign-intermediate', { csr: pem }),
    /unable to find PKI issuer for reference: nobody/,
    500,
  )
})

test('lists without end are refused', async () => {
  await using server = await startPki()
  const many = (count: number, letter = 'a') =>
    Array.from({ length: count }, (_, index) => `${letter}${index}.example.com`)
  const root = (fields: Record<string, unknown>) =>
    server.write('pki/root/generate/internal', { common_name: 'x', key_type: 'ec', ...fields })
  refused(await root({ permitted_dns_domains: many(1001) }), '"permitted_dns_domains" has more than 1000 values')
  refused(await root({ alt_names: many(1001) }), 'too many names')
  refused(
    await server.write('pki/roles/x', { allowed_domains: many(10_001).join() }),
    '"allowed_domains" has more than 10000 values',
  )
})

test('values of the request, or of the call, as the call has it; a key identifier as given', async () => {
  await using server = await startPki()
  await makeRoot(server)
  const { pem } = await csr('/O=Theirs/CN=theirs', ['subjectAltName=DNS:theirs.example.com'])
  const theirs = ok(
    await server.write('pki/root/sign-intermediate', {
      csr: pem,
      use_csr_values: true,
      common_name: 'ours',
      skid: '0a:0b',
    }),
  )
  const text = await certificateText(theirs.certificate)
  assert.match(text, /Subject: O = Theirs, CN = theirs/)
  assert.match(text, /DNS:theirs\.example\.com/)
  assert.match(text, /Subject Key Identifier: \s+0A:0B/)
  const ours = ok(await server.write('pki/root/sign-intermediate', { csr: pem, common_name: 'ours.example.com' }))
  assert.equal(new X509Certificate(ours.certificate).subject, 'CN=ours.example.com')
  assert.equal(new X509Certificate(ours.certificate).subjectAltName, 'DNS:ours.example.com')
  refused(await server.write('pki/root/sign-intermediate', { csr: pem, skid: 'xyz' }), /cannot parse requested SKID/)
})

test('another root is signed under ours with all it says, and only a root', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  const made = await openssl(
    {},
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'k.pem',
    '-subj',
    '/CN=other root',
    '-addext',
    'keyUsage=critical,keyCertSign',
    '-days',
    '9',
  )
  const other = /-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----/.exec(made.out)![0]
  const { certificate, issuing_ca: ca } = ok(await server.write('pki/root/sign-self-issued', { certificate: other }))
  assert.equal(ca, root.certificate)
  const [before, after] = [new X509Certificate(other), new X509Certificate(certificate)]
  assert.deepEqual(
    [after.subject, after.serialNumber, after.validTo, after.issuer],
    [before.subject, before.serialNumber, before.validTo, 'CN=root.example.com'],
  )
  assert.equal((await verifies({ ca: root.certificate, leaf: certificate })).code, 0)
  refused(await server.write('pki/root/sign-self-issued', { certificate }), 'given certificate is not self-issued')
  await makeRole(server)
  refused(
    await server.write('pki/root/sign-self-issued', { certificate: (await issue(server)).certificate }),
    'given certificate is not a CA certificate',
  )
  refused(await server.write('pki/root/sign-self-issued', { certificate: 'x' }), 'certificate could not be PEM-decoded')
  const rsa = await makeRoot(server, { key_type: 'rsa', issuer_name: 'rsa' })
  refused(
    await server.write('pki/root/sign-self-issued', {
      certificate: rsa.certificate,
      require_matching_certificate_algorithms: true,
    }),
    /does not match/,
  )
  const token = await server.login(['default'])
  assert.equal((await server.write('pki/root/sign-self-issued', { certificate: other }, token)).status, 403)
})

test('issuers by name: each issues, has its list, and can be changed, revoked and deleted', async () => {
  await using server = await startPki()
  const one = await makeRoot(server, { issuer_name: 'one', key_name: 'key-one', common_name: 'one' })
  const two = await makeRoot(server, { issuer_name: 'two', common_name: 'two' })
  refused(
    await server.write('pki/root/generate/internal', { common_name: 'x', issuer_name: 'one' }),
    'issuer name already in use',
  )
  refused(
    await server.write('pki/root/generate/internal', { common_name: 'x', issuer_name: 'default' }),
    /reserved keyword/,
  )
  const listed = ok(await server.list('pki/issuers'))
  assert.deepEqual(listed.keys, [one.issuer_id, two.issuer_id].map(String).toSorted())
  assert.equal(listed.key_info[one.issuer_id].is_default, true)
  await makeRole(server)
  const leaf = ok(await server.write('pki/issuer/two/issue/web', { common_name: 'a.example.com', ttl: '1h' }))
  assert.equal(leaf.issuing_ca, two.certificate)
  ok(await server.write('pki/revoke', { serial_number: leaf.serial_number }))
  const crl = (await server.read('pki/issuer/two/crl/pem', null)).text
  assert.match((await verifies({ ca: two.certificate, leaf: leaf.certificate, crl })).out, /revoked/)
  assert.notEqual((await server.read('pki/crl/pem', null)).text, crl)
  assert.equal((await server.read('pki/issuer/two/pem', null)).text, two.certificate)
  assert.equal(ok(await server.read('pki/issuer/two/json', null)).issuer_id, two.issuer_id)
  ok(await server.write('pki/config/issuers', { default: 'two' }))
  assert.equal((await server.read('pki/ca/pem', null)).text, two.certificate)
  const renamed = ok(
    await server.send('PATCH', 'pki/issuer/two', { issuer_name: 'zwei', leaf_not_after_behavior: 'truncate' }),
  )
  assert.equal(renamed.leaf_not_after_behavior, 'truncate')
  refused(await server.read('pki/issuer/two'), /unable to find PKI issuer for reference: two/, 500)
  const cut = ok(await server.write('pki/issuer/zwei/issue/web', { common_name: 'a.example.com', ttl: '767h59m59s' }))
  ok(
    await server.write('pki/issuer/zwei/issue/web', {
      common_name: 'a.example.com',
      not_after: '2090-01-01T00:00:00Z',
    }),
  )
  assert.ok(cut.expiration <= two.expiration)
  ok(await server.write('pki/issuer/one/revoke', {}))
  refused(
    await server.write('pki/issuer/one/issue/web', { common_name: 'a.example.com' }),
    /requested usage issuing-certificates/,
    500,
  )
  assert.equal(ok(await server.read('pki/issuer/one')).revoked, true)
  refused(await server.send('PATCH', 'pki/issuer/one', { usage: 'issuing-certificates' }), /was revoked/)
  refused(await server.send('PATCH', 'pki/issuer/one', { usage: 'everything' }), /Unable to parse specified usages/)
  assert.equal((await server.delete('pki/issuer/one')).status, 204)
  assert.deepEqual(ok(await server.list('pki/issuers')).keys, [two.issuer_id])
  assert.equal((await server.delete('pki/root', await server.login(['default']))).status, 403)
  assert.equal((await server.delete('pki/root')).status, 200)
  assert.equal((await server.list('pki/issuers')).status, 404)
  assert.equal((await server.read('pki/crl/pem', null)).status, 204)
})

test('an intermediate that is revoked is on the list of the root beside it', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  const asked = ok(await server.write('pki/intermediate/generate/internal', { common_name: 'sub', key_type: 'ec' }))
  const signed = ok(await server.write('pki/root/sign-intermediate', { csr: asked.csr }))
  const set = ok(await server.write('pki/intermediate/set-signed', { certificate: signed.certificate }))
  const answer = await server.write(`pki/issuer/${set.imported_issuers[0]}/revoke`, {})
  assert.equal(ok(answer).revoked, true)
  assert.equal(answer.body.warnings, null)
  const crl = (await server.read('pki/crl/pem', null)).text
  assert.match((await verifies({ ca: root.certificate, leaf: signed.certificate, crl })).out, /revoked/)
})

test('a request for a key that is here, to be signed by another CA', async () => {
  await using server = await startPki()
  const root = await makeRoot(server, { key_name: 'k' })
  const asked = ok(await server.write('pki/intermediate/cross-sign', { common_name: 'root.example.com', key_ref: 'k' }))
  assert.equal(asked.key_id, root.key_id)
  assert.equal(asked.private_key, undefined)
  const other = await makeRoot(server, { issuer_name: 'other', common_name: 'other' })
  const signed = ok(await server.write('pki/issuer/other/sign-intermediate', { csr: asked.csr, use_csr_values: true }))
  assert.equal((await verifies({ ca: other.certificate, leaf: signed.certificate })).code, 0)
  const set = ok(await server.write('pki/intermediate/set-signed', { certificate: signed.certificate }))
  // One name and one key: one revocation list.
  await makeRole(server)
  const leaf = await issue(server, { ttl: '1h' })
  ok(await server.write('pki/revoke', { serial_number: leaf.serial_number }))
  const crl = (await server.read(`pki/issuer/${set.imported_issuers[0]}/crl/pem`, null)).text
  assert.match((await verifies({ ca: root.certificate, leaf: leaf.certificate, crl })).out, /revoked/)
})

test('keys: made, named, imported, found again by their certificate, and kept while one needs them', async () => {
  await using server = await startPki()
  const made = ok(await server.write('pki/keys/generate/exported', { key_type: 'ec', key_name: 'mine' }))
  assert.match(made.private_key, /^-----BEGIN EC PRIVATE KEY-----/)
  assert.equal(ok(await server.write('pki/keys/generate/internal', { key_type: 'ed25519' })).private_key, undefined)
  const root = ok(await server.write('pki/root/generate/existing', { common_name: 'root', key_ref: 'mine' }))
  assert.equal(root.key_id, made.key_id)
  refused(await server.delete('pki/key/mine'), `Failed to Delete Key.  Key in Use by Issuer: ${root.issuer_id}`)
  assert.equal(ok(await server.write('pki/key/mine', { key_name: 'yours' })).key_name, 'yours')
  refused(await server.read('pki/key/mine'), /unable to find PKI key for reference: mine/, 500)
  const shown = ok(await server.read('pki/key/yours'))
  assert.ok(!JSON.stringify(shown).includes('PRIVATE'))
  assert.equal(ok(await server.list('pki/keys')).key_info[made.key_id].is_default, true)
  // Certificate first, key later, in another mount.
  await mountPki(server, 'other')
  const first = ok(await server.write('other/issuers/import/cert', { pem_bundle: root.certificate }))
  assert.deepEqual(Object.values(first.mapping), [''])
  await makeRole(server, {}, 'other')
  refused(await server.write('other/issue/web', { common_name: 'a' }), /unable to fetch corresponding key/)
  refused(
    await server.write('other/issuers/import/cert', { pem_bundle: made.private_key }),
    /private keys found in the PEM bundle but not allowed/,
  )
  const key = ok(await server.write('other/keys/import', { pem_bundle: made.private_key, key_name: 'k' }))
  assert.equal(ok(await server.read('other/issuer/default')).key_id, key.key_id)
  await issue(server, { ttl: '1h' }, 'other')
  const again = ok(await server.write('other/config/ca', { pem_bundle: `${root.certificate}\n${made.private_key}` }))
  assert.deepEqual([again.imported_issuers, again.imported_keys], [null, null])
  assert.deepEqual([again.existing_issuers, again.existing_keys], [first.imported_issuers, [key.key_id]])
  for (const bad of ['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----']) {
    assert.equal((await server.write('other/config/ca', { pem_bundle: bad })).status, 400)
  }
  const odd = await csr('/CN=x', [], ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'])
  refused(await server.write('other/keys/import', { pem_bundle: odd.key }), /unsupported type/)
  const leaf = await issue(server, { ttl: '1h' }, 'other')
  refused(await server.write('other/config/ca', { pem_bundle: leaf.certificate }), /is not a CA certificate/)
})
