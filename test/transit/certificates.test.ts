import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startTransit } from './support.ts'

function openssl(args: string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input, encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 0, stderr)
  return stdout
}

const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-test-csr-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, text?: string) => {
  const full = path.join(folder, name)
  if (text !== undefined) writeFileSync(full, text)
  return full
}

const types = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048']

for (const type of types) {
  test(`${type}: openssl accepts the request, and the certificate that it issues becomes the key's`, async () => {
    await using server = await startTransit()
    await server.write('transit/keys/app', { type })
    const { csr, ...rest } = (await server.write('transit/keys/app/csr', {})).body.data
    assert.deepEqual(rest, { name: 'app', type })
    openssl(['req', '-verify', '-noout', '-in', file('empty.csr', csr)])

    // A request of somebody else's key: all but the key is taken over.
    openssl([
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file('other.key'),
      '-subj',
      '/O=Shop/CN=app.example',
      '-addext',
      'subjectAltName=DNS:app.example',
      '-out',
      file('other.csr'),
    ])
    const template = openssl(['req', '-in', file('other.csr')])
    const made = (await server.write('transit/keys/app/csr', { csr: template })).body.data.csr
    const text = openssl(['req', '-verify', '-noout', '-text', '-in', file('made.csr', made)])
    assert.match(text, /Subject: O ?= ?Shop, CN ?= ?app\.example/)
    assert.match(text, /DNS:app\.example/)
    const shown = (await server.read('transit/keys/app')).body.data.keys['1'].public_key
    if (type !== 'ed25519') assert.equal(openssl(['req', '-pubkey', '-noout', '-in', file('made.csr')]), shown)

    openssl([
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file('ca.key'),
      '-subj',
      '/CN=CA',
      '-out',
      file('ca.crt'),
    ])
    openssl([
      'x509',
      '-req',
      '-in',
      file('made.csr'),
      '-CA',
      file('ca.crt'),
      '-CAkey',
      file('ca.key'),
      '-days',
      '1',
      '-set_serial',
      '7',
      '-out',
      file('leaf.crt'),
    ])
    const [leaf, ca] = [openssl(['x509', '-in', file('leaf.crt')]), openssl(['x509', '-in', file('ca.crt')])]
    const set = (chain: string, more: object = {}) =>
      server.write('transit/keys/app/set-certificate', { certificate_chain: chain, ...more })
    const answer = await set(`${leaf}${ca}`)
    assert.deepEqual(answer.body.data, { certificate_chain: `${leaf}${ca}`, name: 'app', type })
    const read = async () => (await server.read('transit/keys/app')).body.data.keys['1'].certificate_chain
    assert.equal(await read(), `${leaf}${ca}`)
    assert.equal((await set(leaf)).status, 200)
    assert.equal(await read(), leaf)

    await server.write('transit/keys/app/rotate', {})
    const refused: [string, object, string][] = [
      [leaf, {}, 'leaf certificate public key does not match the key version selected'],
      [
        `${leaf}${leaf}`,
        { version: 1 },
        'the certificates of the chain are not in order: each must be issued by the next one',
      ],
      [`${ca}${leaf}`, { version: 1 }, 'expected a leaf certificate in the first position of the chain'],
      ['x', {}, 'no certificates provided in chain'],
      [made, {}, 'unexpected CERTIFICATE REQUEST in the PEM'],
      [leaf, { version: 3 }, 'key version 3 cannot be used'],
      [leaf, { version: 'x' }, 'invalid key version'],
    ]
    for (const [chain, more, message] of refused) {
      assert.deepEqual((await set(chain, more)).body.errors, [message])
    }
    assert.equal((await set(leaf, { version: 1 })).status, 200)
    assert.equal((await server.read('transit/keys/app')).body.data.keys['2'].certificate_chain, '')
  })
}

test('keys that do not sign have no requests, and what is no request is no template', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/aes', {})
  await server.write('transit/keys/derived', { type: 'ed25519', derived: true })
  await server.write('transit/keys/ec', { type: 'ecdsa-p256' })
  const ask = async (name: string, body: object = {}) =>
    (await server.write(`transit/keys/${name}/csr`, body)).body.errors
  assert.deepEqual(await ask('aes'), ['key type aes256-gcm96 does not support signing'])
  assert.deepEqual(await ask('derived'), ['operation not supported on keys with derivation enabled'])
  assert.deepEqual(await ask('none'), ['no existing key named none could be found'])
  assert.deepEqual(await ask('ec', { version: 2 }), ['key version 2 cannot be used'])
  const { csr } = (await server.write('transit/keys/ec/csr', {})).body.data
  const der = Buffer.from(csr.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const pem = (bytes: Buffer) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  const wrong = [
    'x',
    pem(der.subarray(1)),
    pem(der.subarray(0, -1)),
    pem(Buffer.concat([der, der])),
    pem(Buffer.from('3000', 'hex')),
  ]
  for (let place = 0; place < 8; place++) {
    const changed = Buffer.from(der)
    changed[place]! ^= 0x40
    wrong.push(pem(changed))
  }
  for (const text of wrong) assert.deepEqual(await ask('ec', { csr: text }), ['failed to parse the CSR'], text)
})
