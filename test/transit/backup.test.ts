import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { readBackup } from '#engines/transit/backup-read.ts'
import { writeBackup } from '#engines/transit/backup-write.ts'
import { base64, startTransit } from './support.ts'

const reference = new Map<string, string>(
  gunzipSync(readFileSync('test/data/transit-reference.jsonl.gz'))
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ op }) => op === 'backup')
    .map(({ name, backup }) => [name, Buffer.from(backup, 'base64').toString('utf8')]),
)

test('keys that were rotated, trimmed and set come back from their backup as they were', async () => {
  await using server = await startTransit()
  const settings = { exportable: true, allow_plaintext_backup: true }
  for (const type of ['aes256-gcm96', 'ecdsa-p384', 'ed25519', 'rsa-2048', 'hmac']) {
    await server.write(`transit/keys/${type}`, { type, ...settings, auto_rotate_period: '24h' })
    for (let count = 0; count < 3; count++) await server.write(`transit/keys/${type}/rotate`, {})
    await server.write(`transit/keys/${type}/config`, { min_decryption_version: 3, min_encryption_version: 4 })
    await server.write(`transit/keys/${type}/trim`, { min_available_version: 2 })
    const { hmac } = (await server.write(`transit/hmac/${type}`, { input: base64('x') })).body.data
    const before = (await server.read(`transit/keys/${type}`)).body.data
    const { backup } = (await server.read(`transit/backup/${type}`)).body.data
    assert.equal((await server.write(`transit/restore/copy-${type}`, { backup })).status, 204)
    assert.deepEqual((await server.read(`transit/keys/copy-${type}`)).body.data, { ...before, name: `copy-${type}` })
    const verified = await server.write(`transit/verify/copy-${type}`, { input: base64('x'), hmac })
    assert.deepEqual(verified.body.data, { valid: true })
    // The version that was withdrawn but not trimmed came along.
    await server.write(`transit/keys/copy-${type}/config`, { min_decryption_version: 2 })
    assert.equal((await server.read(`transit/keys/copy-${type}`)).body.data.min_decryption_version, 2)
    const low = await server.write(`transit/keys/copy-${type}/config`, { min_decryption_version: 1 })
    assert.equal(low.status, 400)
  }
})

test('no key is backed up without both permissions, and none replaced without force', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const refusal = async () => (await server.read('transit/backup/app')).body.errors[0]
  assert.equal(await refusal(), '1 error occurred:\n\t* exporting is disallowed on the policy\n\n')
  await server.write('transit/keys/app/config', { exportable: true })
  assert.equal(await refusal(), '1 error occurred:\n\t* plaintext backup is disallowed on the policy\n\n')
  await server.write('transit/keys/app/config', { allow_plaintext_backup: true })
  const { backup } = (await server.read('transit/backup/app')).body.data
  const missing = await server.read('transit/backup/none')
  assert.deepEqual([missing.status, missing.body.errors], [500, ['1 error occurred:\n\t* key "none" not found\n\n']])

  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  for (let count = 0; count < 2; count++) await server.write('transit/keys/app/rotate', {})
  const taken = await server.write('transit/restore', { backup })
  assert.deepEqual([taken.status, taken.body.errors], [500, ['1 error occurred:\n\t* key "app" already exists\n\n']])
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 3)
  assert.equal((await server.write('transit/restore', { backup, force: true })).status, 204)
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 1)
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, 'b25l')
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  assert.equal((await mount.storage.keys('version/')).length, 1)
})

test('a backup that was tampered with restores nothing', async () => {
  await using server = await startTransit()
  const change = (name: string, from: RegExp | string, to: string) => {
    const text = reference.get(name)!
    const changed = text.replaceAll(from, to)
    assert.notEqual(changed, text, `${name} ${from}`)
    return base64(changed)
  }
  const aes = reference.get('aes256-gcm96-plain')!
  const bad: string[] = [
    'no base64',
    base64('no json'),
    base64('[]'),
    base64('{}'),
    base64('{"policy":null}'),
    base64(aes.slice(0, -10)),
    change('aes256-gcm96-plain', '"type":0', '"type":99'),
    change('aes256-gcm96-plain', '"type":0', '"type":8'),
    change('aes256-gcm96-plain', '"type":0', '"type":3'),
    change('aes256-gcm96-plain', '"latest_version":2', '"latest_version":3'),
    change('aes256-gcm96-plain', '"latest_version":2', '"latest_version":0'),
    change('aes256-gcm96-plain', '"latest_version":2', '"latest_version":1e300'),
    change('aes256-gcm96-plain', '"min_available_version":0', '"min_available_version":-1'),
    change('aes256-gcm96-plain', '"min_decryption_version":1', '"min_decryption_version":3'),
    change('aes256-gcm96-plain', /"key":"[^"]{44}"/g, '"key":"c2hvcnQ="'),
    change('aes256-gcm96-plain', '"version_template":""', '"version_template":"x"'),
    change('ed25519-plain', /"public_key":"."?/g, '"public_key":"A'),
    change('rsa-2048-plain', /"E":65537/g, '"E":3'),
    change('rsa-2048-plain', /"D":(\d{20})\d{10}/g, '"D":$11234567890'),
    change('rsa-2048-plain', /"Primes":\[(\d{20})\d{10}/g, '"Primes":[$11234567890'),
    change('rsa-2048-plain', /"Primes":\[\d+,/g, '"Primes":['),
    change('rsa-2048-plain', /"N":\d/g, '"N":5'),
    change('rsa-2048-plain', '"type":3', '"type":4'),
    change('rsa-2048-plain', /"N":\d+/g, `"N":1${'0'.repeat(100_000)}`),
    change('ecdsa-p256-plain', /"ec_d":\d+/g, '"ec_d":0'),
    change('ecdsa-p256-plain', /"ec_d":\d+/g, `"ec_d":${2n ** 300n}`),
    change('ecdsa-p256-plain', /"ec_d":\d+/g, `"ec_d":${2n ** 256n - 1n}`),
    // Public parts alone: a point that is not on the curve.
    base64(
      reference
        .get('ecdsa-p256-plain')!
        .replaceAll(/"ec_d":\d+/g, '"ec_d":null')
        .replaceAll(/"ec_y":\d/g, '"ec_y":5'),
    ),
  ]
  for (const [index, backup] of bad.entries()) {
    const answer = await server.write('transit/restore/bad', { backup })
    assert.equal(answer.status, 400, `${index}: ${answer.text}`)
    assert.ok(!answer.text.includes('Unexpected'), answer.text)
  }
  // Not even made a number of, which would take long.
  const endless = change('rsa-2048-plain', /"N":\d+/g, `"N":1${'0'.repeat(2000)}`)
  assert.deepEqual((await server.write('transit/restore/bad', { backup: endless })).body.errors, [
    'the backup lacks a number',
  ])
  assert.deepEqual((await server.write('transit/restore/bad', {})).body.errors, ["'backup' must be supplied"])
  assert.equal((await server.list('transit/keys')).status, 404)
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  assert.deepEqual(await mount.storage.keys(''), [])
})

test('what old servers wrote is restored: no keys for HMACs, no times, and kinds of derivation of their time', async () => {
  await using server = await startTransit()
  const old = JSON.parse(reference.get('aes256-gcm96-der')!)
  old.policy.kdf = 0
  for (const key of [...Object.values<any>(old.policy.keys), ...old.archived_keys.keys]) {
    key.hmac_key = null
    key.time = '0001-01-01T00:00:00Z'
  }
  delete old.policy.min_available_version
  delete old.policy.archive_min_version
  assert.equal((await server.write('transit/restore/old', { backup: base64(JSON.stringify(old)) })).status, 204)
  const shown = (await server.read('transit/keys/old')).body.data
  assert.deepEqual([shown.kdf, shown.kdf_mode], ['hmac-sha256-counter', 'hmac-sha256-counter'])
  assert.deepEqual(Object.values(shown.keys), [1_795_551_734, 1_795_551_734])
  const context = base64('context')
  const { ciphertext } = (await server.write('transit/encrypt/old', { plaintext: 'b25l', context })).body.data
  const opened = await server.write('transit/decrypt/old', { ciphertext, context })
  assert.equal(opened.body.data.plaintext, 'b25l')
  const { hmac } = (await server.write('transit/hmac/old', { input: 'b25l' })).body.data
  assert.deepEqual((await server.write('transit/verify/old', { input: 'b25l', hmac })).body.data, { valid: true })

  const convergent = JSON.parse(reference.get('aes256-gcm96-conv')!)
  for (const version of [1, 2]) {
    convergent.policy.convergent_version = version
    for (const key of Object.values<any>(convergent.policy.keys)) key.convergent_version = 0
    for (const key of convergent.archived_keys.keys) key.convergent_version = 0
    await server.write(`transit/restore/c${version}`, { backup: base64(JSON.stringify(convergent)) })
  }
  const seal = (name: string) => server.write(`transit/encrypt/${name}`, { plaintext: 'b25l', context })
  const twice = [(await seal('c2')).body.data.ciphertext, (await seal('c2')).body.data.ciphertext]
  assert.equal(twice[0], twice[1])
  // The callers of the first kind chose the nonces; two messages with one nonce give each other away.
  assert.equal((await seal('c1')).status, 400)
})

test('exports are in forms that other programs read, and only of keys that may be exported', async () => {
  await using server = await startTransit()
  const out = async (path: string) => (await server.read(`transit/export/${path}`)).body
  for (const type of ['ed25519', 'ecdsa-p256', 'rsa-2048']) {
    await server.write(`transit/keys/${type}`, { type, exportable: true })
    const pem = (await out(`signing-key/${type}?format=pem`)).data.keys['1']
    const der = (await out(`signing-key/${type}/latest?format=der`)).data.keys['1']
    const own = createPrivateKey(pem)
    assert.deepEqual(own.export({ format: 'der', type: 'pkcs8' }).toString('base64'), der)
    const shown = (await out(`public-key/${type}/1?format=pem`)).data.keys['1']
    assert.ok(createPublicKey(pem).equals(createPublicKey(shown)))
    const shownDer = Buffer.from((await out(`public-key/${type}?format=der`)).data.keys['1'], 'base64')
    assert.ok(createPublicKey({ key: shownDer, format: 'der', type: 'spki' }).equals(createPublicKey(shown)))
  }
  await server.write('transit/keys/aes', { exportable: true })
  await server.write('transit/keys/fixed', { type: 'ecdsa-p256' })
  assert.equal(Buffer.from((await out('encryption-key/aes?format=raw')).data.keys['1'], 'base64').length, 32)
  assert.match((await out('public-key/fixed')).data.keys['1'], /^-----BEGIN PUBLIC KEY-----/)
  const refused: [string, string][] = [
    ['signing-key/fixed', 'private key material is not exportable'],
    ['hmac-key/fixed', 'private key material is not exportable'],
    ['signing-key/aes', 'signing not supported for the key'],
    ['encryption-key/ed25519', 'encryption not supported for the key'],
    ['secret-key/aes', 'invalid export type: secret-key'],
    ['encryption-key/aes/x', 'invalid key version'],
    ['encryption-key/aes/0', 'version for export is below minimum decryption version'],
    ['encryption-key/aes/2', 'version does not exist or cannot be found'],
    ['encryption-key/aes?format=pem', 'export format pem is not supported for this key'],
    ['signing-key/rsa-2048?format=raw', 'export format raw is not supported for this key'],
    ['signing-key/rsa-2048?format=x', 'invalid export format: x'],
  ]
  for (const [path, message] of refused) assert.deepEqual((await out(path)).errors, [message], path)
  assert.equal((await server.read('transit/export/encryption-key/none')).status, 404)
  await server.delete('transit/keys/aes/soft-delete')
  assert.equal((await server.read('transit/export/encryption-key/aes')).status, 400)
})

test('others have their turn while a backup of many versions is read or written', async (context) => {
  const { n, e, d, p, q } = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const number = (text = '') => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`).toString()
  const primes = `${number(p)},${number(q)}`
  const version = `{"rsa_key":{"N":${number(n)},"E":${number(e)},"D":${number(d)},"Primes":[${primes}]}}`
  const keys = Array.from({ length: 500 }, (_, at) => `"${at + 1}":${version}`).join(',')
  const settings = '"exportable":true,"allow_plaintext_backup":true'
  const backup = base64(`{"policy":{"name":"k","type":3,"latest_version":500,${settings},"keys":{${keys}}}}`)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  context.after(() => clearInterval(timer))
  const counted = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const before = turns
    const result = await work
    assert.ok(turns - before >= 4, `${what}: only ${turns - before} turns`)
    return result
  }
  const read = await counted('read', readBackup(backup, new Date()))
  await counted('written', writeBackup({ ...read, name: 'k' }, new Date()))
})
