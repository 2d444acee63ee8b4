import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { base64, startTransit } from './support.ts'

const signing = ['ed25519', 'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'rsa-2048']

for (const type of signing) {
  test(`${type}: a signature is good for its input, key and version alone, and for whoever has the public key`, async () => {
    await using server = await startTransit()
    await server.write('transit/keys/app', { type })
    await server.write('transit/keys/other', { type })
    await server.write('transit/keys/app/rotate', {})
    const input = base64('message')
    const signed = (await server.write('transit/sign/app', { input })).body.data
    assert.equal(signed.key_version, 2)
    const { signature } = signed
    const check = async (what: string, body: object) => (await server.write(`transit/verify/${what}`, body)).body.data
    assert.deepEqual(await check('app', { input, signature }), { valid: true })
    assert.deepEqual(await check('app', { input: base64('massage'), signature }), { valid: false })
    assert.deepEqual(await check('app', { input, signature: signature.replace('v2', 'v1') }), { valid: false })
    await server.write('transit/keys/other/rotate', {})
    assert.deepEqual(await check('other', { input, signature }), { valid: false })

    const { public_key: shown, name } = (await server.read('transit/keys/app')).body.data.keys['2']
    assert.equal(name, { 'ecdsa-p256': 'P-256', 'ecdsa-p384': 'P-384', 'ecdsa-p521': 'P-521' }[type] ?? type)
    const bytes = Buffer.from(signature.slice('vault:v2:'.length), 'base64')
    const pem = type === 'ed25519' ? ed25519Pem(shown) : shown
    const hash = type === 'ed25519' ? null : 'sha256'
    const pss = type.startsWith('rsa') ? { padding: 6 } : {}
    assert.ok(verify(hash, Buffer.from('message'), { key: createPublicKey(pem), ...pss }, bytes))
  })
}

function ed25519Pem(raw: string): string {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(raw, 'base64')])
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----`
}

test('what cannot be signed or verified is refused with the words of the API', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/ec', { type: 'ecdsa-p256' })
  await server.write('transit/keys/rsa', { type: 'rsa-2048' })
  await server.write('transit/keys/aes', {})
  const input = base64('message')
  const none = 'hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15'
  const { signature } = (await server.write('transit/sign/ec', { input })).body.data
  const refused: [string, object, string][] = [
    ['sign/nobody', { input }, 'signing key not found'],
    ['verify/nobody', { input, signature }, 'signature verification key not found'],
    ['sign/aes', { input }, 'key type aes256-gcm96 does not support signing'],
    ['verify/aes', { input, signature }, 'key type aes256-gcm96 does not support verification'],
    ['sign/ec', {}, 'missing input'],
    ['sign/ec', { input: 'no base64' }, 'unable to decode input as base64: illegal base64 data at input byte 2'],
    ['sign/ec', { input, hash_algorithm: 'md5' }, 'invalid hash algorithm "md5"'],
    ['sign/ec/md5', { input }, 'invalid hash algorithm "md5"'],
    ['sign/ec', { input, marshaling_algorithm: 'x' }, 'invalid marshaling type "x"; must be one of "asn1" or "jws"'],
    ['sign/rsa', { input, signature_algorithm: 'x' }, 'unsupported rsa signature algorithm x'],
    ['sign/rsa', { input, hash_algorithm: 'none' }, none],
    ['sign/rsa', { input, hash_algorithm: 'none', prehashed: true }, none],
    ['sign/rsa', { input, prehashed: true }, 'crypto/rsa: input must be hashed message'],
    ['sign/ec', { input, key_version: 2 }, 'requested version for signing is higher than the latest key version'],
    ['sign/ec', { input, key_version: -1 }, 'requested version for signing is negative'],
    ['verify/ec', { input }, "neither a 'signature' nor an 'hmac' was given to verify"],
    ['verify/ec', { input, signature, hmac: signature }, "provide one of 'signature' or 'hmac'"],
    ['verify/ec', { input, signature: 'x' }, 'invalid signature: no prefix'],
    ['verify/ec', { input, signature: 'vault:v2:eA==' }, 'invalid signature: version is too new'],
    ['verify/ec', { input, hmac: 'x' }, 'invalid HMAC to verify: no prefix'],
    ['verify/ec', { input, hmac: 'vault:v2:eA==' }, 'invalid HMAC to verify: version is too new'],
    ['hmac/nobody', { input }, 'encryption key not found'],
    ['hmac/ec', { input, algorithm: 'sha1' }, 'unsupported algorithm "sha1"'],
    ['hmac/ec', {}, 'missing input for HMAC'],
    ['hash', { input, algorithm: 'sha1' }, 'unsupported algorithm sha1'],
    ['hash', { input, format: 'x' }, 'unsupported encoding format x; must be "hex" or "base64"'],
  ]
  for (const [path, body, message] of refused) {
    const answer = await server.write(`transit/${path}`, body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [message]], path)
  }
  for (const salt_length of ['x', '-2', '1.5', '', '999999']) {
    const answer = await server.write('transit/sign/rsa', { input, salt_length })
    assert.ok(answer.status === 400 && answer.body.errors[0].startsWith('invalid salt length'), salt_length)
  }
  const long = await server.write('transit/sign/rsa', { input, prehashed: true, salt_length: '300' })
  assert.equal(long.status, 400)
  assert.equal((await server.write('transit/sign/rsa', { input, salt_length: '300' })).status, 400)
})

test('forms of signatures: jws is in URL-safe base64 without padding, and neither form passes for the other', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/ec', { type: 'ecdsa-p256' })
  const input = base64('message')
  const jws = { input, marshaling_algorithm: 'jws' }
  const raw = (await server.write('transit/sign/ec', jws)).body.data.signature
  assert.equal(Buffer.from(raw.slice('vault:v1:'.length), 'base64url').length, 64)
  assert.match(raw, /^vault:v1:[\w-]{86}$/)
  const check = async (body: object) => (await server.write('transit/verify/ec', body)).body
  assert.deepEqual((await check({ ...jws, signature: raw })).data, { valid: true })
  const der = (await server.write('transit/sign/ec', { input })).body.data.signature
  assert.notDeepEqual((await check({ ...jws, signature: der })).data, { valid: true })
  assert.notDeepEqual((await check({ input, signature: raw })).data, { valid: true })
  for (const prehashed of [
    { ...jws, prehashed: true },
    { input, prehashed: true },
  ]) {
    const { signature } = (await server.write('transit/sign/ec', prehashed)).body.data
    assert.deepEqual((await check({ ...prehashed, signature })).data, { valid: true })
    assert.deepEqual((await check({ ...prehashed, input: base64('massage'), signature })).data, { valid: false })
  }
})

test('RSA without the name of a hash is what an old protocol asks for, and only with all three settings', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/rsa', { type: 'rsa-2048' })
  const options = { hash_algorithm: 'none', prehashed: true, signature_algorithm: 'pkcs1v15' }
  const digest = createHash('md5').update('message').update('other').digest('base64')
  const { signature } = (await server.write('transit/sign/rsa', { ...options, input: digest })).body.data
  const check = async (input: string) =>
    (await server.write('transit/verify/rsa', { ...options, input, signature })).body.data
  assert.deepEqual(await check(digest), { valid: true })
  assert.deepEqual(await check(base64('other')), { valid: false })
  for (const [length, status] of [
    [245, 200],
    [246, 400],
    [0, 200],
  ] as const) {
    const input = Buffer.alloc(length, 7).toString('base64')
    assert.equal((await server.write('transit/sign/rsa', { ...options, input })).status, status)
  }
})

test('ed25519 keys that are derived sign by the context, tell which key signed, and refuse without one', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', { type: 'ed25519', derived: true })
  const input = base64('message')
  const sign = async (context: string) =>
    (await server.write('transit/sign/app', { input, context: base64(context) })).body
  const [one, again, two] = [(await sign('one')).data, (await sign('one')).data, (await sign('two')).data]
  assert.deepEqual(one, again)
  assert.notEqual(one.public_key, two.public_key)
  assert.match((await sign('')).errors[0], /^missing 'context' for key derivation/)
  const check = (context: string) =>
    server.write('transit/verify/app', { input, context: base64(context), signature: one.signature })
  assert.deepEqual((await check('one')).body.data, { valid: true })
  assert.deepEqual((await check('two')).body.data, { valid: false })
  assert.equal((await check('')).status, 400)
  assert.equal((await server.read('transit/keys/app')).body.data.keys['1'].public_key, '')
  const shown = await server.read(`transit/keys/app?context=${encodeURIComponent(base64('one'))}`)
  assert.equal(shown.body.data.keys['1'].public_key, one.public_key)
  const batch = await server.write('transit/sign/app', {
    batch_input: [{ input, context: base64('one'), reference: 'r' }, { context: base64('one') }],
  })
  assert.deepEqual(batch.body.data.batch_results, [
    { key_version: 1, signature: one.signature, publickey: one.public_key, reference: 'r' },
    { error: 'missing input', reference: '' },
  ])
})

test('batches verify signatures or keyed hashes, never both, and tell which items are wrong', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', { type: 'ecdsa-p256' })
  const inputs = Array.from({ length: 40 }, (_, index) => ({ input: base64(`m${index}`) }))
  const results = async (what: string, batch_input: unknown[]) =>
    (await server.write(`transit/${what}/app`, { batch_input })).body.data.batch_results as any[]
  const signatures = (await results('sign', inputs)).map(({ signature }, index) => ({ ...inputs[index], signature }))
  const hmacs = (await results('hmac', inputs)).map(({ hmac }, index) => ({ ...inputs[index], hmac }))
  for (const items of [signatures, hmacs]) {
    assert.deepEqual(
      await results('verify', items),
      items.map(() => ({ valid: true, reference: '' })),
    )
    const swapped = [
      { ...items[0], input: base64('m1') },
      items[1],
      { ...items[2], signature: '', hmac: '', input: 'x' },
    ]
    const [first, second, third] = await results('verify', swapped)
    assert.deepEqual([first.valid, second.valid, third.valid, typeof third.error], [false, true, undefined, 'string'])
  }
  for (const batch_input of [[signatures[0], hmacs[0]], [{ input: base64('m0') }]]) {
    assert.equal((await server.write('transit/verify/app', { batch_input })).status, 400)
  }
})

test('versions below the minimum neither sign nor verify, nor make and verify keyed hashes', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', { type: 'ecdsa-p256' })
  const input = base64('message')
  const { signature } = (await server.write('transit/sign/app', { input })).body.data
  const { hmac } = (await server.write('transit/hmac/app', { input })).body.data
  await server.write('transit/keys/app/rotate', {})
  await server.write('transit/keys/app/config', { min_decryption_version: 2, min_encryption_version: 2 })
  const messages = [
    (await server.write('transit/sign/app', { input, key_version: 1 })).body.errors[0],
    (await server.write('transit/hmac/app', { input, key_version: 1 })).body.errors[0],
    (await server.write('transit/verify/app', { input, signature })).body.errors[0],
    (await server.write('transit/verify/app', { input, hmac })).body.errors[0],
  ]
  assert.deepEqual(messages, [
    'requested version for signing is less than the minimum encryption key version',
    'cannot generate HMAC: version is too old (disallowed by policy)',
    'ciphertext or signature version is disallowed by policy (too old)',
    'cannot verify HMAC: version is too old (disallowed by policy)',
  ])
  await server.delete('transit/keys/app/soft-delete')
  for (const [what, body] of [
    ['sign', { input }],
    ['hmac', { input }],
    ['verify', { input, signature }],
  ] as const) {
    assert.equal((await server.write(`transit/${what}/app`, body)).status, 400)
  }
})

test('the algorithm in the address is what counts, so that policies can forbid it', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/ec', { type: 'ecdsa-p256' })
  const input = base64('message')
  const { signature } = (await server.write('transit/sign/ec/sha2-512', { input, hash_algorithm: 'sha2-256' })).body
    .data
  const check = async (path: string, body: object = {}) =>
    (await server.write(`transit/verify/ec${path}`, { input, signature, ...body })).body.data
  assert.deepEqual(await check('/sha2-512'), { valid: true })
  assert.deepEqual(await check('', { hash_algorithm: 'sha2-512' }), { valid: true })
  assert.deepEqual(await check('', { algorithm: 'sha2-512' }), { valid: true })
  assert.deepEqual(await check('', { hash_algorithm: 'sha2-256', algorithm: 'sha2-512' }), { valid: false })
  assert.deepEqual(await check(''), { valid: false })
})

test('random bytes: as many as asked for, from the source in the address, and not too many', async () => {
  await using server = await startTransit()
  const bytes = async (path: string, body: object = {}, format: BufferEncoding = 'base64') => {
    const answer = await server.write(`transit/random${path}`, body)
    assert.equal(answer.status, 200, answer.text)
    return Buffer.from(answer.body.data.random_bytes, format).length
  }
  assert.equal(await bytes(''), 32)
  assert.equal(await bytes('', { bytes: 7 }), 7)
  assert.equal(await bytes('/9', { bytes: 7 }), 9)
  assert.equal(await bytes('/all', { bytes: 7 }), 7)
  assert.equal(await bytes('/platform/11', { bytes: 7 }), 11)
  assert.equal(await bytes('/11', { format: 'hex', source: 'all' }, 'hex'), 11)
  assert.equal(await bytes('/131072'), 131_072)
  for (const [path, body, message] of [
    ['', { bytes: 0 }, '"bytes" cannot be less than 1'],
    ['/0', {}, '"bytes" cannot be less than 1'],
    ['/131073', {}, '"bytes" should be less than 131072'],
    ['', { source: 'dice' }, 'unsupported entropy source "dice"; must be "platform" or "all"'],
    ['/dice', {}, 'error parsing url-set byte count: strconv.ParseInt: parsing "dice": invalid syntax'],
    ['/dice/3', {}, 'unsupported entropy source "dice"; must be "platform" or "all"'],
    ['', { format: 'x' }, 'unsupported encoding format "x"; must be "hex" or "base64"'],
  ] as const) {
    assert.deepEqual((await server.write(`transit/random${path}`, body)).body.errors, [message], path)
  }
  const both = await Promise.all([server.write('transit/random', {}), server.write('transit/random', {})])
  assert.notEqual(both[0]!.body.data.random_bytes, both[1]!.body.data.random_bytes)
})

test('data keys: the wrapped one opens to the plain one, and who may have only the wrapped one sees only that', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  await server.write('sys/policies/acl/wrapped', {
    policy: 'path "transit/datakey/wrapped/*" { capabilities = ["update"] }',
  })
  const token = await server.login(['wrapped'])
  for (const bits of [128, 256, 512]) {
    const made = (await server.write('transit/datakey/plaintext/app', { bits })).body.data
    assert.equal(Buffer.from(made.plaintext, 'base64').length, bits / 8)
    assert.equal(made.key_version, 1)
    const opened = await server.write('transit/decrypt/app', { ciphertext: made.ciphertext })
    assert.equal(opened.body.data.plaintext, made.plaintext)
  }
  const wrapped = (await server.write('transit/datakey/wrapped/app', {}, token)).body.data
  assert.deepEqual(Object.keys(wrapped).toSorted(), ['ciphertext', 'key_version'])
  assert.equal((await server.write('transit/datakey/plaintext/app', {}, token)).status, 403)
  for (const [path, body, message] of [
    ['plaintext/app', { bits: 192 }, 'invalid bit length'],
    ['clear/app', {}, "Invalid path, must be 'plaintext' or 'wrapped'"],
    ['plaintext/none', {}, 'encryption key not found'],
  ] as const) {
    assert.deepEqual((await server.write(`transit/datakey/${path}`, body)).body.errors, [message])
  }
})
