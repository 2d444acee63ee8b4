import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { certificateText, issue, makeRole, makeRoot, ok, openssl, refused, startPki, verifies } from './support.ts'

const day = 86_400

test('what each type of CA issues to each type of key is what OpenSSL trusts, strictly', async () => {
  await using server = await startPki()
  const kinds = [
    { key_type: 'ec', key_bits: 256 },
    { key_type: 'ec', key_bits: 384 },
    { key_type: 'ec', key_bits: 521 },
    { key_type: 'ed25519' },
    { key_type: 'rsa', key_bits: 2048 },
    { key_type: 'rsa', key_bits: 2048, use_pss: true, signature_bits: 384 },
  ]
  for (const [index, kind] of kinds.entries()) {
    const root = await makeRoot(server, { ...kind, common_name: `root ${index}`, issuer_name: `root-${index}` })
    const { use_pss: usePss, signature_bits: bits, ...keyKind } = kind as Record<string, unknown>
    await makeRole(server, {
      ...keyKind,
      use_pss: usePss ?? false,
      signature_bits: bits ?? 0,
      issuer_ref: `root-${index}`,
    })
    const leaf = await issue(server, { alt_names: 'b.example.com', ip_sans: '10.0.0.1,::1' })
    const { code, out } = await verifies({ ca: root.certificate, leaf: leaf.certificate })
    assert.equal(code, 0, `${JSON.stringify(kind)}: ${out}`)
    const publicKey = createPublicKey(createPrivateKey(leaf.private_key)).export({ type: 'spki', format: 'pem' })
    assert.equal(new X509Certificate(leaf.certificate).publicKey.export({ type: 'spki', format: 'pem' }), publicKey)
    assert.equal(leaf.private_key_type, kind.key_type)
    assert.match(leaf.serial_number, /^[4-7].(:[0-9a-f]{2}){19}$/)
    assert.equal(leaf.issuing_ca, root.certificate)
    assert.deepEqual(leaf.ca_chain, [root.certificate])
  }
})

test('a certificate says what role, request and configuration say', async () => {
  await using server = await startPki()
  ok(
    await server.write('pki/config/urls', {
      issuing_certificates: 'http://pki.test/ca',
      crl_distribution_points: 'http://pki.test/crl',
      delta_crl_distribution_points: 'http://pki.test/delta',
      ocsp_servers: 'http://pki.test/ocsp',
    }),
  )
  await makeRoot(server)
  await makeRole(server, {
    organization: 'Acme',
    ou: 'Dev,Ops',
    country: 'DE',
    locality: 'Köln',
    province: 'NRW',
    street_address: 'Domplatz 1',
    postal_code: '50667',
    allowed_uri_sans: 'spiffe://*',
    allowed_other_sans: '1.3.6.1.4.1.311.20.2.3;utf8:*',
    allowed_serial_numbers: 'S*',
    allowed_user_ids: 'u*',
    policy_identifiers: ['1.2.3.4', '{"oid":"1.2.3.5","cps":"https://cps.test/","notice":"read it"}'],
    basic_constraints_valid_for_non_ca: true,
    code_signing_flag: true,
    ext_key_usage_oids: '1.3.6.1.4.1.99999.1',
  })
  const leaf = await issue(server, {
    common_name: 'bücher.example.com',
    alt_names: 'me@example.com,*.example.com',
    uri_sans: 'spiffe://td/a',
    other_sans: '1.3.6.1.4.1.311.20.2.3;utf8:me@corp',
    serial_number: 'S1',
    user_ids: 'u1',
    ttl: '2h',
  })
  const text = await certificateText(leaf.certificate)
  for (const part of [
    /Subject: C = DE, O = Acme, OU = Dev \+ OU = Ops, L = K.*ln, ST = NRW, street = Domplatz 1, postalCode = 50667, CN = b.*cher\.example\.com, serialNumber = S1, UID = u1/,
    /DNS:xn--bcher-kva\.example\.com, DNS:\*\.example\.com, email:me@example\.com, URI:spiffe:\/\/td\/a/,
    /othername: UPN:.*me@corp/,
    /CA Issuers - URI:http:\/\/pki\.test\/ca/,
    /OCSP - URI:http:\/\/pki\.test\/ocsp/,
    /CRL Distribution Points:[^]*URI:http:\/\/pki\.test\/crl/,
    /Freshest CRL:[^]*URI:http:\/\/pki\.test\/delta/,
    /Key Usage: critical\s+Digital Signature, Key Encipherment, Key Agreement/,
    /TLS Web Server Authentication, TLS Web Client Authentication, Code Signing, 1\.3\.6\.1\.4\.1\.99999\.1/,
    /Basic Constraints: critical\s+CA:FALSE/,
    /Policy: 1\.2\.3\.4/,
    /CPS: https:\/\/cps\.test\//,
    /Explicit Text: read it/,
  ]) {
    assert.match(text, part)
  }
  assert.equal(leaf.expiration - leaf.not_before, 2 * 3600 + 30)
})

test('a certificate without a subject has critical names (RFC 5280 §4.1.2.6)', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, { require_cn: false })
  const leaf = await issue(server, { common_name: '', alt_names: 'a.example.com' })
  assert.match(await certificateText(leaf.certificate), /Subject Alternative Name: critical\s+DNS:a\.example\.com/)
})

test('one certificate in every form: pem, der, bundle, and keys as of old or as PKCS #8', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server, { key_type: 'rsa' })
  const pem = await issue(server)
  assert.match(pem.private_key, /^-----BEGIN RSA PRIVATE KEY-----[^]*-----END RSA PRIVATE KEY-----$/)
  assert.match(pem.certificate, /^-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----$/)
  assert.match((await issue(server, { private_key_format: 'pkcs8' })).private_key, /^-----BEGIN PRIVATE KEY-----/)
  const der = await issue(server, { format: 'der' })
  const certificate = new X509Certificate(Buffer.from(der.certificate, 'base64'))
  const key = createPrivateKey({ key: Buffer.from(der.private_key, 'base64'), format: 'der', type: 'pkcs1' })
  assert.ok(certificate.checkPrivateKey(key))
  assert.equal(
    new X509Certificate(Buffer.from(der.issuing_ca, 'base64')).fingerprint256,
    new X509Certificate(root.certificate).fingerprint256,
  )
  const bundle = await issue(server, { format: 'pem_bundle' })
  assert.deepEqual(
    [...bundle.certificate.matchAll(/-----BEGIN ([A-Z ]+)-----/g)].map(([, label]) => label),
    ['RSA PRIVATE KEY', 'CERTIFICATE', 'CERTIFICATE'],
  )
  assert.deepEqual((await issue(server, { remove_roots_from_chain: true })).ca_chain, [])
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', format: 'p12' }),
    'the "format" path parameter must be "pem", "der", or "pem_bundle"',
  )
})

test('no certificate outlives its issuer unless the mount says so, and none the role or the mount', async () => {
  await using server = await startPki()
  await makeRoot(server, { ttl: '48h' })
  await makeRole(server, { max_ttl: '24h' })
  const capped = await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '30h' })
  assert.deepEqual(capped.body.warnings, [
    'TTL "30h0m0s" is longer than permitted maxTTL "24h0m0s", so maxTTL is being used',
  ])
  assert.equal(ok(capped).expiration - ok(capped).not_before, day + 30)
  await makeRole(server)
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '100h' }),
    /^cannot satisfy request, as TTL would result in notAfter of .*Z that is beyond the expiration of the CA certificate at .*Z$/,
  )
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '1h', not_after: '2090-01-01T00:00:00Z' }),
    'either ttl or not_after should be provided. Both should not be provided in the same request.',
  )
  refused(await server.write('pki/issue/web', { common_name: 'a.example.com', not_after: 'tomorrow' }), /parsing time/)
  await makeRole(server, { not_before_duration: '99999999999' })
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '1h' }),
    'not_before is too early for a certificate',
  )
  await makeRole(server)
  const old = await issue(server, { ttl: '1h', not_before: '1949-12-31T23:59:59Z' })
  assert.match(await certificateText(old.certificate), /Not Before: Dec 31 23:59:59 1949 GMT/)
  await makeRole(server, { max_ttl: '99999999999999' })
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '9999999999999' }),
    'not_after is too late for a certificate',
  )
  refused(await server.write('pki/config/crl', { expiry: '9999999h' }), /given expiry could not be decoded/)
  await makeRole(server)
  server.tick(49 * 3600)
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com', ttl: '1s' }),
    /beyond the expiration of the CA/,
  )
})

test('bounds of a role on explicit times hold', async () => {
  await using server = await startPki({ at: '2026-01-01T00:00:00Z' })
  await makeRoot(server)
  const ask = (fields: Record<string, unknown>) =>
    server.write('pki/issue/web', { common_name: 'a.example.com', ...fields })
  await makeRole(server, { not_after_bound: 'forbid', not_before_bound: 'forbid' })
  refused(await ask({ not_after: '2026-01-02T00:00:00Z' }), /role forbids it/)
  refused(await ask({ not_before: '2026-01-01T00:00:00Z' }), /role forbids it/)
  await makeRole(server, { not_after_bound: 'ttl-limited', max_ttl: '24h', not_before_bound: 'duration' })
  refused(await ask({ not_after: '2026-01-02T00:00:01Z' }), /beyond what the maximum TTL permits/)
  ok(await ask({ not_after: '2026-01-02T00:00:00Z' }))
  refused(await ask({ not_before: '2025-12-31T23:59:29Z' }), /before what the role permits/)
  assert.equal(
    ok(await ask({ not_before: '2025-12-31T23:59:30Z' })).not_before,
    Date.UTC(2025, 11, 31, 23, 59, 30) / 1000,
  )
  await makeRole(server, { not_after_bound: '2026-01-10T00:00:00Z' })
  refused(await ask({ not_after: '2026-01-10T00:00:01Z' }), /beyond what the role permits/)
  ok(await ask({ not_after: '2026-01-10T00:00:00Z' }))
  refused(await server.write('pki/roles/bad', { not_after_bound: 'whenever' }), /not_after_bound/)
})

test('a role and a request that make no sense are refused, each with its reason', async () => {
  await using server = await startPki()
  const role = (fields: Record<string, unknown>) => server.write('pki/roles/bad', fields)
  refused(await role({ key_type: 'dsa' }), 'unknown key type dsa')
  refused(await role({ key_bits: 1024 }), 'unsupported bit length for RSA key: 1024')
  refused(await role({ key_type: 'ec', key_bits: 255 }), 'unsupported bit length for EC key: 255')
  refused(await role({ ttl: '2h', max_ttl: '1h' }), '"ttl" value must be less than "max_ttl" value')
  refused(await role({ allowed_other_sans: 'x' }), /^error parsing allowed_other_sans: /)
  refused(await role({ ext_key_usage_oids: '1' }), /could not be parsed as a valid oid/)
  refused(await role({ policy_identifiers: ['{"oid":1}'] }), /could not be parsed as a valid oid/)
  refused(await role({ issuer_ref: 'nobody' }), 'unable to find PKI issuer for reference: nobody')
  refused(await role({ ttl: 'soon' }), /strconv\.ParseInt: parsing "soon": invalid syntax/)
  refused(await role({ ttl: '-1s' }), /cannot provide negative value '-1'/)
  const alone = await role({})
  assert.match(alone.body.warnings[0], /^Issuing Certificate was set to default, but no default issuing certificate/)
  refused(await server.write('pki/issue/bad', { common_name: 'x' }), /no default issuer currently configured/, 500)
  refused(await server.write('pki/issue/nobody', { common_name: 'x' }), 'unknown role: nobody')
  await makeRoot(server)
  await makeRole(server, { key_type: 'any' })
  refused(
    await server.write('pki/issue/web', { common_name: 'a.example.com' }),
    'role key type "any" not allowed for issuing certificates, only signing',
  )
  assert.equal((await issue(server, { key_type: 'ed25519' })).private_key_type, 'ed25519')
  await makeRole(server)
  refused(await server.write('pki/issue/web', { common_name: `${'a.'.repeat(200)}com` }), /^idna: invalid label/)
  refused(
    await server.write('pki/issue/web', {
      common_name: 'a.example.com',
      alt_names: Array.from({ length: 1001 }, (_, i) => `n${i}.example.com`),
    }),
    'too many names',
  )
  assert.equal((await server.write('pki/issue/web', { common_name: 'x' }, 'wrong')).status, 403)
})

test('roles: read, patch, list, delete', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, { ttl: '1h', ou: 'Dev' })
  ok(await server.send('PATCH', 'pki/roles/web', { max_ttl: '2h' }))
  const role = ok(await server.read('pki/roles/web'))
  assert.deepEqual([role.ttl, role.max_ttl, role.ou, role.key_type, role.key_bits], [3600, 7200, ['Dev'], 'ec', 256])
  assert.deepEqual(ok(await server.list('pki/roles')).keys, ['web'])
  assert.equal((await server.delete('pki/roles/web')).status, 204)
  assert.equal((await server.read('pki/roles/web')).status, 404)
  refused(await server.send('PATCH', 'pki/roles/web', { max_ttl: '2h' }), 'Unable to fetch role entry to patch')
})

test('the CA is there for everybody, in all forms, and nothing where there is none', async () => {
  await using server = await startPki()
  for (const where of ['ca', 'ca/pem', 'ca_chain', 'crl', 'crl/pem'])
    assert.equal((await server.read(`pki/${where}`, null)).status, 204)
  assert.equal((await server.read('pki/cert/ca', null)).status, 404)
  const root = await makeRoot(server)
  assert.equal((await server.read('pki/ca/pem', null)).text, root.certificate)
  assert.equal((await server.read('pki/ca_chain', null)).text, root.certificate)
  assert.equal(ok(await server.read('pki/cert/ca', null)).certificate, root.certificate)
  const der = Buffer.from(await (await fetch(`${server.address}/v1/pki/ca`)).arrayBuffer())
  assert.equal(new X509Certificate(der).fingerprint256, new X509Certificate(root.certificate).fingerprint256)
  const text = await certificateText(root.certificate)
  assert.match(text, /CA:TRUE/)
  assert.match(text, /Certificate Sign, CRL Sign/)
})

test('certificates are listed in pages, with what they say', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server)
  for (let count = 0; count < 3; count += 1) await issue(server)
  const all = ok(await server.list('pki/certs')).keys
  const page = ok(await server.list(`pki/certs/detailed?limit=2&after=${all[0]}`))
  assert.deepEqual(page.keys, all.slice(1, 3))
  const told = ok(await server.list('pki/certs/detailed')).key_info
  assert.equal(Object.keys(told).length, 4)
  const names = all.map((serial: string) => told[serial].common_name)
  assert.deepEqual(new Set(names), new Set(['a.example.com', 'root.example.com']))
  assert.equal(told[root.serial_number].issuer_id, root.issuer_id)
  assert.equal((await server.list('pki/certs', await server.login(['default']))).status, 403)
})

test('a private key is shown once, to whom it was made for, and kept by no path, log or ledger', async () => {
  await using server = await startPki()
  const root = ok(await server.write('pki/root/generate/exported', { common_name: 'root', key_type: 'ec' }))
  await makeRole(server)
  const leaf = await issue(server)
  assert.equal(ok(await server.read(`pki/cert/${leaf.serial_number}`)).private_key, undefined)
  const trail = JSON.stringify(await server.trail()) + server.logged.join('\n')
  for (const key of [root.private_key, leaf.private_key]) assert.ok(!trail.includes(key.split('\n')[1]))
  const ran = await openssl({ 'k.pem': `${root.private_key}\n` }, 'pkey', '-in', 'k.pem', '-noout', '-check')
  assert.equal(ran.code, 0, ran.out)
})
