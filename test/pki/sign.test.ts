import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { certificateText, csr, makeRole, makeRoot, ok, refused, startPki, verifies } from './support.ts'

test('what OpenSSL asks for under a role is signed, by names of the request or of the call as the role has it', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server)
  const { pem, key } = await csr('/O=Ignored/CN=a.example.com', [
    'subjectAltName=DNS:b.example.com,IP:10.0.0.1,email:me@example.com',
  ])
  const answer = await server.write('pki/sign/web', {
    csr: pem,
    common_name: 'c.example.com',
    alt_names: 'd.example.com',
  })
  const leaf = ok(answer)
  assert.deepEqual(Object.keys(leaf).toSorted(), [
    'ca_chain',
    'certificate',
    'expiration',
    'issuing_ca',
    'not_before',
    'serial_number',
  ])
  assert.deepEqual(answer.body.warnings, [
    'the common_name field was provided but the role is set with "use_csr_common_name" set to true',
    'the alt_names field was provided but the role is set with "use_csr_sans" set to true',
  ])
  const certificate = new X509Certificate(leaf.certificate)
  assert.equal(certificate.subject, 'CN=a.example.com')
  assert.equal(
    certificate.subjectAltName,
    'DNS:b.example.com, DNS:a.example.com, email:me@example.com, IP Address:10.0.0.1',
  )
  assert.ok(certificate.checkPrivateKey(createPrivateKey(key)))
  assert.equal((await verifies({ ca: root.certificate, leaf: leaf.certificate })).code, 0)
  await makeRole(server, { use_csr_common_name: false, use_csr_sans: false })
  const mine = ok(
    await server.write('pki/sign/web', { csr: pem, common_name: 'c.example.com', alt_names: 'd.example.com' }),
  )
  assert.equal(new X509Certificate(mine.certificate).subjectAltName, 'DNS:c.example.com, DNS:d.example.com')
  ok(await server.read(`pki/cert/${leaf.serial_number}`))
})

test('requests that are broken, forged, weak or against the role are refused', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server, {
    key_type: 'ec',
    key_bits: 384,
    allow_any_name: false,
    allowed_domains: 'example.com',
    allow_subdomains: true,
    allowed_ip_sans_cidr: '10.0.0.0/8',
  })
  const sign = (pem: string) => server.write('pki/sign/web', { csr: pem })
  const p384 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']
  const good = (await csr('/CN=a.example.com', [], p384)).pem
  ok(await sign(good))
  refused(await sign(''), '"csr" is empty')
  refused(await sign('hello'), 'csr contains no data')
  refused(
    await sign(good.replace(/\n[A-Za-z0-9+/=]+\n-----END/, '\nAAAA\n-----END')),
    /^certificate request could not be parsed: |^request signature invalid$/,
  )
  const flipped = Buffer.from(good.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  flipped[30] = flipped[30]! ^ 1
  refused(
    await sign(`-----BEGIN CERTIFICATE REQUEST-----\n${flipped.toString('base64')}\n-----END CERTIFICATE REQUEST-----`),
    'request signature invalid',
  )
  refused(
    await sign((await csr('/CN=a.example.com')).pem),
    "role requires a minimum of a 384-bit key, but CSR's key is 256 bits",
  )
  refused(
    await sign((await csr('/CN=a.example.com', [], ['-newkey', 'rsa:2048'])).pem),
    'role requires keys of type ec',
  )
  refused(await sign((await csr('/CN=a.example.com', [], ['-newkey', 'rsa:1024'])).pem), /minimum of a 2048-bit key/)
  refused(await sign((await csr('/CN=evil.org', [], p384)).pem), 'common name evil.org not allowed by this role')
  refused(
    await sign((await csr('/CN=a.example.com', ['subjectAltName=DNS:evil.org'], p384)).pem),
    'subject alternate name evil.org not allowed by this role',
  )
  refused(
    await sign((await csr('/CN=a.example.com', ['subjectAltName=IP:192.0.2.1'], p384)).pem),
    /192\.0\.2\.1 is not in a range/,
  )
  refused(
    await sign((await csr('/CN=a.example.com', ['subjectAltName=URI:https://x/'], p384)).pem),
    /URI Subject Alternative Names are not allowed in this role, but were provided via CSR/,
  )
  const odd = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1']
  refused(
    await sign((await csr('/CN=a.example.com', [], odd)).pem),
    'certificate request has a key of an unsupported type',
  )
  const pss = ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048']
  refused(await sign((await csr('/CN=a.example.com', [], pss)).pem), /unsupported type|signature invalid/)
  assert.equal((await server.write('pki/sign/web', { csr: good }, 'wrong')).status, 403)
})

test('a request that asks to be a CA does not become one, by a role or verbatim', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server)
  const { pem } = await csr('/CN=a.example.com', ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'])
  for (const where of ['sign/web', 'sign-verbatim']) {
    assert.equal(new X509Certificate(ok(await server.write(`pki/${where}`, { csr: pem })).certificate).ca, false, where)
  }
})

test('verbatim: name, names and extensions are those of the request, the rest that of the call', async () => {
  await using server = await startPki()
  const root = await makeRoot(server)
  await makeRole(server, { ttl: '1h', allow_any_name: false })
  const { pem } = await csr('/C=SE/O=Their own/CN=any thing', [
    'subjectAltName=DNS:x.other.org',
    'extendedKeyUsage=clientAuth',
    '1.2.3.4=ASN1:UTF8String:hello',
  ])
  const leaf = ok(
    await server.write('pki/sign-verbatim/web', {
      csr: pem,
      key_usage: 'DigitalSignature',
      ext_key_usage: 'ServerAuth',
    }),
  )
  assert.equal(leaf.expiration - leaf.not_before, 3630)
  const text = await certificateText(leaf.certificate)
  assert.match(text, /Subject: C = SE, O = Their own, CN = any thing/)
  assert.match(text, /DNS:x\.other\.org/)
  assert.match(text, /Extended Key Usage: \s+TLS Web Client Authentication\n/)
  assert.match(text, /Key Usage: critical\s+Digital Signature\n/)
  assert.match(text, /1\.2\.3\.4: \s+\.\.hello/)
  assert.equal((await verifies({ ca: root.certificate, leaf: leaf.certificate })).code, 0)
  refused(await server.write('pki/sign-verbatim/nobody', { csr: pem }), 'unknown role: nobody')
})
