import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { openMount } from '#test/kv/support.ts'

const REQUESTS = 3000

/** Numbers from 0 to 1 that are the same in each run. */
function numbers(seed: string): () => number {
  let count = 0
  return () =>
    createHash('sha256')
      .update(`${seed} ${(count += 1)}`)
      .digest()
      .readUInt32BE() /
    2 ** 32
}

const types = ['aes256-gcm96', 'xchacha20-poly1305', 'ed25519', 'ecdsa-p256', 'ecdsa-p521', 'rsa-2048', 'hmac']
const operations = [
  'encrypt',
  'decrypt',
  'rewrap',
  'sign',
  'verify',
  'hmac',
  'datakey/plaintext',
  'derive-key',
  'restore',
]
const settings = ['csr', 'set-certificate', 'config', 'trim', 'import', 'import_version', 'rotate']
const fields = [
  ...['plaintext', 'ciphertext', 'context', 'associated_data', 'key_version', 'batch_input', 'input', 'hash_algorithm'],
  ...['prehashed', 'signature_algorithm', 'marshaling_algorithm', 'salt_length', 'signature', 'hmac', 'bits', 'backup'],
  ...['public_key', 'type', 'version', 'csr', 'certificate_chain', 'min_decryption_version', 'auto_rotate_period'],
]

test('whatever is sent, it is answered or refused, and nothing fails inside', async () => {
  const { call } = await openMount('transit')
  for (const type of types) await call('update', `keys/${type}`, { type, exportable: true })
  const next = numbers('transit')
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!
  const bytes = (lengths: number[]) => Buffer.alloc(pick(lengths), Math.floor(next() * 256))
  const text = (lengths: number[]) => bytes(lengths).toString('base64')
  const likely = (): Record<string, unknown> => ({
    plaintext: text([0, 5, 200]),
    input: text([0, 20, 32, 48, 64, 250]),
    ciphertext: `vault:v1:${text([0, 12, 28, 32, 256])}`,
    [pick([
      'signature',
      'hmac',
    ])]: `vault:v1:${bytes([0, 32, 63, 64, 70, 132, 256]).toString(pick(['base64', 'base64url']))}`,
    marshaling_algorithm: pick(['asn1', 'jws']),
    prehashed: pick([true, false]),
    signature_algorithm: pick(['pss', 'pkcs1v15', '']),
    salt_length: pick(['auto', 'hash', '1', '200', '400']),
    hash_algorithm: pick(['sha1', 'sha2-256', 'sha2-512', 'sha3-384', 'none']),
  })
  const unlikely = () =>
    pick([null, '', 'x', 0, -1, 1, true, [], {}, 'vault:v1:', 'vault:v1:AAAA', 1e300, text([0, 9])])

  const answers = { given: 0, refused: 0 }
  for (let count = 0; count < REQUESTS; count++) {
    const body = next() < 0.8 ? likely() : {}
    for (let more = pick([0, 0, 1, 2, 4]); more > 0; more--) body[pick(fields)] = unlikely()
    if (next() < 0.2) body['batch_input'] = [likely(), pick([likely(), {}, unlikely()])]
    const type = pick(types)
    const path = next() < 0.1 ? `keys/${type}/${pick(settings)}` : `${pick(operations)}/${type}`
    try {
      await call('update', path, body)
      answers.given++
    } catch (error) {
      const known =
        error instanceof ApiError && (error.code === 'invalid_request' || error.message.startsWith('1 error'))
      assert.ok(known, `${path} ${JSON.stringify(body)}: ${String(error)}`)
      answers.refused++
    }
  }
  // Both happen often, or the requests are not as they were meant.
  assert.ok(answers.given > REQUESTS / 10 && answers.refused > REQUESTS / 10, JSON.stringify(answers))
})
