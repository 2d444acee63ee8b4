/** What people send who mean harm: keys that claim to be others, and bytes that are made to keep the server busy. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { bits, integer, oid, sequence, set, smallInteger, utf8 } from '#lib/der.ts'
import { encodePem } from '#lib/x509/pem.ts'
import { readRequest } from '#lib/x509/read.ts'
import { issue, makeRole, makeRoot, mountPki, ok, refused, startPki } from './support.ts'

/** A private key of one's own that says it belongs to `claimed`. */
function ecKeyClaiming(claimed: ReturnType<typeof createPublicKey>): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const own = privateKey.export({ type: 'sec1', format: 'der' })
  const point = claimed.export({ type: 'spki', format: 'der' }).subarray(-65)
  return encodePem('EC PRIVATE KEY', Buffer.concat([own.subarray(0, -65), point]))
}

function rsaKeyClaiming(claimed: ReturnType<typeof createPublicKey>): string {
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const { n, e } = claimed.export({ format: 'jwk' })
  const { d, p, q, dp, dq, qi } = own
  const numbers = [n, e, d, p, q, dp, dq, qi].map((each) => integer(Buffer.from(each!, 'base64url')))
  return encodePem('RSA PRIVATE KEY', sequence(smallInteger(0), ...numbers))
}

test('a private key that only claims to be the one of a certificate revokes nothing', async () => {
  await using server = await startPki()
  await makeRoot(server)
  for (const [key_type, claiming] of [
    ['ec', ecKeyClaiming],
    ['rsa', rsaKeyClaiming],
  ] as const) {
    await makeRole(server, { key_type })
    const { serial_number, certificate, private_key } = await issue(server)
    const { publicKey } = new X509Certificate(certificate)
    const fake = claiming(publicKey)
    // As far as its public part goes it is the right one.
    assert.ok(createPublicKey(createPrivateKey(fake)).equals(publicKey))
    const revoke = (key: string) => server.write('pki/revoke-with-key', { serial_number, private_key: key })
    refused(await revoke(fake), 'provided private key does not match the certificate')
    assert.equal(ok(await server.read(`pki/cert/${serial_number}`)).revocation_time, 0)
    assert.equal(ok(await revoke(private_key)).state, 'revoked')
  }
  await makeRole(server, { key_type: 'ed25519' })
  const { serial_number, private_key } = await issue(server)
  assert.equal(ok(await server.write('pki/revoke-with-key', { serial_number, private_key })).state, 'revoked')
})

test('names that a certificate cannot hold are refused, and old times are written in full', async () => {
  await using server = await startPki()
  await makeRoot(server)
  await makeRole(server)
  refused(
    await server.write('pki/issue/web', { common_name: 'mö@example.com' }),
    'x509: "mö@example.com" cannot be encoded as an IA5String',
  )
  const { certificate } = await issue(server, { not_before: '1930-01-02T03:04:05Z' })
  assert.equal(new X509Certificate(certificate).validFrom, 'Jan  2 03:04:05 1930 GMT')
})

test('an object identifier of great length is refused at once', () => {
  const length = 200_000
  const head = Buffer.from([0x06, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff])
  const endless = Buffer.concat([head, Buffer.alloc(length - 1, 0xff), Buffer.from([1])])
  const name = sequence(set(sequence(endless, utf8('a'))))
  const request = sequence(smallInteger(0), name, sequence(), Buffer.from([0xa0, 0]))
  const der = sequence(request, sequence(oid('1.2.840.10045.4.3.2')), bits(Buffer.alloc(8)))
  const startedAt = performance.now()
  assert.deepEqual(readRequest(der), { ok: false, message: 'an object identifier is too long' })
  // Half a minute where each of its bytes moves all those before it.
  assert.ok(performance.now() - startedAt < 1000)
})

test('a private key that only claims to be the one of a CA is not taken for it', async () => {
  await using server = await startPki()
  for (const [key_type, claiming] of [
    ['ec', ecKeyClaiming],
    ['rsa', rsaKeyClaiming],
  ] as const) {
    const root = await makeRoot(server, { key_type, common_name: key_type })
    await mountPki(server, key_type)
    ok(await server.write(`${key_type}/issuers/import/cert`, { pem_bundle: root.certificate }))
    const fake = claiming(new X509Certificate(root.certificate).publicKey)
    for (const where of ['keys/import', 'issuers/import/bundle', 'config/ca']) {
      refused(
        await server.write(`${key_type}/${where}`, { pem_bundle: fake }),
        'unable to import: the halves of a private key do not belong together',
      )
    }
    assert.equal(ok(await server.read(`${key_type}/issuer/default`)).key_id, '')
  }
})
