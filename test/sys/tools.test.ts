/** `sys/tools`. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { startServer } from '#test/server.ts'

test('random bytes come in the number and encoding that body or path ask for', async () => {
  await using server = await startServer()
  for (const [path, body, encoding, length] of [
    ['', {}, 'base64', 32],
    ['', { bytes: 5, format: 'hex' }, 'hex', 5],
    ['/164', { format: 'hex' }, 'hex', 164],
    ['/platform', { bytes: '7' }, 'base64', 7],
    ['/all/16', {}, 'base64', 16],
    ['/131072', {}, 'base64', 131072],
  ] as const) {
    const answer = await server.write(`sys/tools/random${path}`, body)
    assert.equal(answer.status, 200, answer.text.slice(0, 200))
    assert.deepEqual(Object.keys(answer.body.data), ['random_bytes'])
    assert.equal(Buffer.from(answer.body.data.random_bytes, encoding).length, length)
    assert.equal(answer.body.warnings, null)
  }
  const seal = await server.write('sys/tools/random/seal', {})
  assert.deepEqual(seal.body.warnings, ['no seal/entropy augmentation available, using platform entropy source'])
  const [one, other] = await Promise.all([server.write('sys/tools/random', {}), server.write('sys/tools/random', {})])
  assert.notEqual(one.body.data.random_bytes, other.body.data.random_bytes)
})

test('the hash is that of the decoded bytes, for every algorithm and both encodings', async () => {
  await using server = await startServer()
  const input = Buffer.from([0, 1, 2, 250, 251])
  for (const family of ['sha2', 'sha3']) {
    for (const bits of [224, 256, 384, 512]) {
      const name = family === 'sha2' ? `sha${bits}` : `sha3-${bits}`
      const body = { input: input.toString('base64') }
      const hex = createHash(name).update(input).digest('hex')
      assert.equal((await server.write(`sys/tools/hash/${family}-${bits}`, body)).body.data.sum, hex)
      const other = await server.write('sys/tools/hash', { ...body, algorithm: `${family}-${bits}`, format: 'base64' })
      assert.equal(Buffer.from(other.body.data.sum, 'base64').toString('hex'), hex)
    }
  }
  const { sum } = (await server.write('sys/tools/hash', { input: 'YWJj' })).body.data
  assert.equal(sum, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('what cannot be done is refused, and says why', async () => {
  await using server = await startServer()
  for (const [path, body, text] of [
    ['random', { bytes: 0 }, '"bytes" cannot be less than 1'],
    ['random/-3', {}, '"bytes" cannot be less than 1'],
    ['random', { bytes: 131073 }, '"bytes" should be less than 131072'],
    ['random', { format: 'x' }, 'unsupported encoding format "x"; must be "hex" or "base64"'],
    ['random/x', {}, 'error parsing url-set byte count: strconv.Atoi: parsing "x": invalid syntax'],
    ['random/x/5', {}, 'unsupported entropy source "x"; must be "platform" or "seal", or "all"'],
    ['hash', { input: 'YWJ' }, 'unable to decode input as base64: illegal base64 data at input byte 0'],
    ['hash', { input: 'YW-j' }, 'unable to decode input as base64: illegal base64 data at input byte 2'],
    ['hash', { input: 'YWJj', format: 'x' }, 'unsupported encoding format x; must be "hex" or "base64"'],
    ['hash/md5', { input: 'YWJj' }, 'unsupported algorithm md5'],
    ['hash/constructor', { input: 'YWJj' }, 'unsupported algorithm constructor'],
  ] as const) {
    const answer = await server.write(`sys/tools/${path}`, body)
    assert.deepEqual([answer.status, answer.body.errors], [400, [text]], path)
  }
})
