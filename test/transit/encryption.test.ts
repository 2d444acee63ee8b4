import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, startTransit } from './support.ts'

const aead = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305']

for (const type of [...aead, 'rsa-2048']) {
  test(`${type}: what was encrypted is decrypted, each time differently, and after a change it is refused`, async () => {
    await using server = await startTransit()
    await server.write('transit/keys/app', { type })
    const seal = () => server.write('transit/encrypt/app', { plaintext: base64('message') })
    const [one, two] = [(await seal()).body.data, (await seal()).body.data]
    assert.notEqual(one.ciphertext, two.ciphertext)
    for (const { ciphertext, key_version: version } of [one, two]) {
      assert.equal(version, 1)
      const opened = await server.write('transit/decrypt/app', { ciphertext })
      assert.deepEqual(opened.body.data, { plaintext: base64('message') })
    }
    const bytes = Buffer.from(one.ciphertext.slice('vault:v1:'.length), 'base64')
    bytes[bytes.length - 1]! ^= 1
    const changed = await server.write('transit/decrypt/app', { ciphertext: `vault:v1:${bytes.toString('base64')}` })
    assert.deepEqual([changed.status, changed.body.errors], [400, ['invalid ciphertext: unable to decrypt']])
  })
}

for (const type of aead) {
  test(`${type}: associated data and context must be those of the encryption`, async () => {
    await using server = await startTransit()
    await server.write('transit/keys/app', { type, derived: true })
    const [context, associated_data] = [base64('context'), base64('data')]
    const plaintext = base64('message')
    const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext, context, associated_data })).body
      .data
    const open = (more: object) => server.write('transit/decrypt/app', { ciphertext, ...more })
    assert.equal((await open({ context, associated_data })).body.data.plaintext, plaintext)
    for (const wrong of [{ context }, { context, associated_data: context }, { context: plaintext, associated_data }]) {
      assert.deepEqual((await open(wrong)).body.errors, ['invalid ciphertext: unable to decrypt'])
    }
    assert.match((await open({ associated_data })).body.errors[0], /^missing 'context' for key derivation/)
    assert.match((await server.write('transit/encrypt/app', { plaintext })).body.errors[0], /^missing 'context'/)
  })

  test(`${type}: a convergent key gives the same only for the same message and context`, async () => {
    await using server = await startTransit()
    await server.write('transit/keys/app', { type, derived: true, convergent_encryption: true })
    const seal = async (text: string, context: string) => {
      const body = { plaintext: base64(text), context: base64(context) }
      return (await server.write('transit/encrypt/app', body)).body.data.ciphertext as string
    }
    const same = await seal('message', 'one')
    assert.equal(await seal('message', 'one'), same)
    const others = [await seal('message', 'two'), await seal('massage', 'one'), await seal('', 'one')]
    assert.equal(new Set([same, ...others]).size, 4)
    // The nonces differ as well: two messages under one key and one nonce would give both away.
    const nonces = [same, ...others].map((text) => text.slice('vault:v1:'.length, 'vault:v1:'.length + 16))
    assert.equal(new Set(nonces).size, 4)
    const opened = await server.write('transit/decrypt/app', { ciphertext: same, context: base64('one') })
    assert.equal(opened.body.data.plaintext, base64('message'))
    await server.write('transit/keys/app/rotate', {})
    assert.notEqual((await seal('message', 'one')).slice(9), same.slice(9))
  })
}

test('what is no ciphertext is refused with the words of the API', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  const refused: [string, string][] = [
    ['', 'missing ciphertext to decrypt'],
    ['b25l', 'invalid ciphertext: no prefix'],
    ['vault:v1', 'invalid ciphertext: wrong number of fields'],
    ['vault:vx:b25l', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v:b25l', 'invalid ciphertext: version number could not be decoded'],
    ['vault:v2:b25l', 'invalid ciphertext: version is too new'],
    ['vault:v999999999999999:b25l', 'invalid ciphertext: version is too new'],
    ['vault:v-1:b25l', 'ciphertext or signature version is disallowed by policy (too old)'],
    ['vault:v1:b25', 'invalid ciphertext: could not decode base64'],
    ['vault:v1:b25l', 'invalid ciphertext length'],
    [ciphertext.replace(':v1:', ':v2:'), 'invalid ciphertext: version is too new'],
  ]
  for (const [text, message] of refused) {
    for (const what of ['decrypt', 'rewrap']) {
      const answer = await server.write(`transit/${what}/app`, { ciphertext: text })
      assert.deepEqual([answer.status, answer.body.errors], [400, [message]], `${what} ${text}`)
    }
  }
  // Texts of the first keys say version 0.
  const old = await server.write('transit/decrypt/app', { ciphertext: ciphertext.replace(':v1:', ':v0:') })
  assert.equal(old.body.data.plaintext, 'b25l')
  for (const body of [{}, { plaintext: null }]) {
    assert.deepEqual((await server.write('transit/encrypt/app', body)).body.errors, ['missing plaintext to encrypt'])
  }
  assert.deepEqual((await server.write('transit/encrypt/app', { plaintext: 'no base64' })).body.errors, [
    'illegal base64 data at input byte 2',
  ])
  assert.deepEqual((await server.write('transit/decrypt/none', { ciphertext })).body.errors, [
    'encryption key not found',
  ])
  for (const version of [-1, 2]) {
    assert.equal((await server.write('transit/encrypt/app', { plaintext: 'b25l', key_version: version })).status, 400)
  }
})

test('keys for signing neither encrypt nor decrypt, and RSA takes no associated data', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/sig', { type: 'ed25519' })
  assert.deepEqual((await server.write('transit/encrypt/sig', { plaintext: 'b25l' })).body.errors, [
    'message encryption not supported for key type ed25519',
  ])
  assert.deepEqual((await server.write('transit/decrypt/sig', { ciphertext: 'vault:v1:b25l' })).body.errors, [
    'message decryption not supported for key type ed25519',
  ])
  await server.write('transit/keys/rsa', { type: 'rsa-2048' })
  const answer = await server.write('transit/encrypt/rsa', { plaintext: 'b25l', associated_data: 'b25l' })
  const long = await server.write('transit/encrypt/rsa', { plaintext: Buffer.alloc(191).toString('base64') })
  assert.deepEqual([long.status, long.body.errors], [400, ['crypto/rsa: message too long for RSA key size']])
  assert.equal(
    (await server.write('transit/encrypt/rsa', { plaintext: Buffer.alloc(190).toString('base64') })).status,
    200,
  )
  assert.deepEqual(answer.body.errors, ['[0].associated_data provided for non-AEAD cipher suite rsa-2048'])
})

test('a batch answers each item in its place; one that fails has an error and the others do not suffer', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const input = Array.from({ length: 100 }, (_, index) => ({ plaintext: base64(`m${index}`), reference: `r${index}` }))
  const sealed = await server.write('transit/encrypt/app', { batch_input: input, plaintext: 'ignored' })
  assert.equal(sealed.status, 200)
  const results = sealed.body.data.batch_results as { ciphertext: string; key_version: number; reference: string }[]
  assert.deepEqual(
    results.map(({ reference, key_version: version }) => [reference, version]),
    input.map(({ reference }) => [reference, 1]),
  )
  const opened = await server.write('transit/decrypt/app', { batch_input: results })
  assert.deepEqual(
    opened.body.data.batch_results,
    input.map((item) => item),
  )

  const mixed = [results[0]!, { ciphertext: 'x', reference: 'bad' }]
  const partly = await server.write('transit/decrypt/app', { batch_input: mixed })
  assert.equal(partly.status, 400)
  assert.deepEqual(partly.body.data.batch_results, [
    { plaintext: base64('m0'), reference: 'r0' },
    { plaintext: '', error: 'invalid ciphertext: no prefix', reference: 'bad' },
  ])
  const accepted = await server.write('transit/decrypt/app', { batch_input: mixed, partial_failure_response_code: 207 })
  assert.equal(accepted.status, 207)
  assert.deepEqual(accepted.body.data, partly.body.data)
  const all = await server.write('transit/decrypt/app', { batch_input: [mixed[1]], partial_failure_response_code: 200 })
  assert.equal(all.status, 400)
  for (const code of [0, 99, 600]) {
    const wrong = { batch_input: mixed, partial_failure_response_code: code }
    const { status, body } = await server.write('transit/decrypt/app', wrong)
    assert.deepEqual([status, body.data], [400, undefined])
  }
})

test('a list that is none, or has an item of another form, is refused as a whole', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const refused: [unknown, string][] = [
    [[], 'missing batch input to process'],
    ['x', 'failed to parse batch input: expected a list of objects'],
    [{}, 'failed to parse batch input: expected a list of objects'],
    [[1], "failed to parse batch input: 1 error(s) decoding:\n\n* '[0]' expected a map"],
    [
      [{ plaintext: 'b25l' }, { context: 'b25l' }],
      "failed to parse batch input: 1 error(s) decoding:\n\n* '[1].plaintext' missing plaintext to encrypt",
    ],
    [
      [{ plaintext: 1 }],
      "failed to parse batch input: 1 error(s) decoding:\n\n* '[0].plaintext' expected type 'string', got unconvertible type 'number'",
    ],
  ]
  for (const [batch_input, message] of refused) {
    const answer = await server.write('transit/encrypt/app', { batch_input })
    assert.deepEqual([answer.status, answer.body.errors], [400, [message]])
  }
})

test('rewrapping takes the latest version and shows nothing', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: base64('message') })).body.data
  await server.write('transit/keys/app/rotate', {})
  const rewrapped = await server.write('transit/rewrap/app', { ciphertext })
  assert.deepEqual(Object.keys(rewrapped.body.data), ['ciphertext', 'key_version'])
  assert.equal(rewrapped.body.data.key_version, 2)
  assert.ok(rewrapped.body.data.ciphertext.startsWith('vault:v2:'))
  const opened = await server.write('transit/decrypt/app', { ciphertext: rewrapped.body.data.ciphertext })
  assert.equal(opened.body.data.plaintext, base64('message'))
  const batch = await server.write('transit/rewrap/app', {
    batch_input: [{ ciphertext, reference: 'a' }, { ciphertext: 'x' }, { ciphertext, key_version: 1 }],
  })
  assert.equal(batch.status, 200)
  const [one, two, three] = batch.body.data.batch_results
  assert.deepEqual(
    [one.key_version, one.reference, two.error, three.key_version],
    [2, 'a', 'invalid ciphertext: no prefix', 1],
  )
})

test('encrypting makes the key it misses for those who may create, and for nobody else', async () => {
  await using server = await startTransit()
  await server.write('sys/policies/acl/updates', { policy: 'path "transit/encrypt/*" { capabilities = ["update"] }' })
  await server.write('sys/policies/acl/creates', { policy: 'path "transit/encrypt/*" { capabilities = ["create"] }' })
  const updates = await server.login(['updates'])
  const creates = await server.login(['creates'])
  const seal = (token: string, body: object = { plaintext: 'b25l' }) => server.write('transit/encrypt/app', body, token)
  assert.equal((await seal(updates)).status, 403)
  assert.equal((await server.read('transit/keys/app')).status, 404)
  assert.deepEqual(
    (await seal(creates, { batch_input: [{ plaintext: 'b25l' }, { plaintext: 'b25l', context: 'b25l' }] })).body.errors,
    ['context should be set either in all the request blocks or in none'],
  )
  for (const [type, message] of [
    ['ecdsa-p256', 'key type ecdsa-p256 not supported for this operation'],
    ['rsa-2048', 'unknown key type rsa-2048'],
    ['x', 'unknown key type x'],
  ]) {
    assert.deepEqual((await seal(creates, { plaintext: 'b25l', type })).body.errors, [message])
  }
  assert.equal((await seal(creates, { plaintext: 'b25l', context: 'b25l', type: 'chacha20-poly1305' })).status, 200)
  const key = (await server.read('transit/keys/app')).body.data
  assert.deepEqual([key.type, key.derived, key.latest_version], ['chacha20-poly1305', true, 1])
  assert.equal((await seal(creates)).status, 403)
  assert.equal((await seal(updates, { plaintext: 'b25l', context: 'b25l' })).status, 200)
})

test('twenty who make the same key at once get one', async () => {
  await using server = await startTransit()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => server.write('transit/encrypt/app', { plaintext: base64(`m${index}`) })),
  )
  for (const [index, { body }] of answers.entries()) {
    const opened = await server.write('transit/decrypt/app', { ciphertext: body.data.ciphertext })
    assert.equal(opened.body.data.plaintext, base64(`m${index}`))
  }
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 1)
})

test('sealed, nothing is decrypted, and after unsealing everything as before', async () => {
  await using server = await startTransit()
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: 'b25l' })).body.data
  await server.write('sys/seal', {})
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).status, 503)
  await server.write('sys/unseal', { key: server.unsealKey })
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, 'b25l')
})

test('neither messages nor keys stand in the ledger, and none without a right decrypts', async () => {
  await using server = await startTransit()
  const secret = base64('a message that nobody else may read')
  await server.write('transit/keys/app', {})
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext: secret })).body.data
  await server.write('transit/decrypt/app', { ciphertext })
  assert.equal((await server.write('transit/decrypt/app', { ciphertext }, null)).status, 403)
  assert.equal((await server.write('transit/decrypt/app', { ciphertext }, await server.login(['default']))).status, 403)
  const lines = JSON.stringify(await server.trail())
  assert.ok(lines.includes('transit/decrypt/app'))
  assert.ok(!lines.includes(secret))
})
