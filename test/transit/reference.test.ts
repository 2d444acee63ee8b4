/**
 * What a reference server of this API made (test/data/transit-reference.jsonl.gz): its backups restore here, and all that it
 * encrypted, signed and hashed with those keys opens and verifies here, over HTTP.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { startTransit } from './support.ts'

interface Record {
  op?: 'encrypt' | 'sign' | 'hmac' | 'hash' | 'backup'
  name: string
  [member: string]: any
}

const records = gunzipSync(readFileSync('test/data/transit-reference.jsonl.gz'))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Record)

const server = await startTransit()
test.after(() => server.stop())
for (const record of records.filter(({ op }) => op === 'backup')) {
  const { status, text } = await server.write(`transit/restore/${record.name}`, { backup: record['backup'] })
  assert.equal(status, 204, `${record.name}: ${text}`)
}

async function ask(what: string, record: Record, body: object): Promise<any> {
  const { status, body: answer } = await server.write(`transit/${what}/${record.name}`, body)
  assert.equal(status, 200, JSON.stringify([what, record.name, answer]))
  return answer.data
}

test('restored keys are shown and exported as they were there', async () => {
  const keys = records.filter((record) => record['keys'])
  assert.equal(keys.length, 21)
  for (const record of keys) {
    const shown = (await server.read(`transit/keys/${record.name}`)).body.data
    assert.equal(shown.type, record['type'])
    assert.deepEqual(shown.keys, record['key_info'])
    assert.equal(shown.kdf, record['kdf'])
    assert.equal(shown.convergent_version, record['convergent_version'])
    for (const [kind, values] of Object.entries(record['keys'])) {
      const exported = (await server.read(`transit/export/${kind}/${record.name}`)).body.data
      assert.deepEqual(exported, { keys: values, name: record.name, type: record['type'] })
    }
  }
})

test('a backup of what was restored is the same backup', async () => {
  const written = (text: string) => {
    const all = Buffer.from(text, 'base64').toString('utf8')
    // When it was made, by whom, is another matter; long numbers are compared by their digits.
    return all.replace(/"backup_info":\{[^}]*\}/, '').replaceAll(/("time":"[^"]*?)0*Z"/g, '$1Z"')
  }
  for (const record of records.filter(({ op }) => op === 'backup')) {
    const ours = (await server.read(`transit/backup/${record.name}`)).body.data.backup
    assert.equal(written(ours), written(record['backup']), record.name)
  }
})

test('all ciphertexts open, and convergent keys give the same ones again', async () => {
  const ciphertexts = records.filter(({ op }) => op === 'encrypt')
  assert.equal(ciphertexts.length, 210)
  for (const record of ciphertexts) {
    const { context, associated_data, plaintext, ciphertext, key_version } = record
    const opened = await ask('decrypt', record, { ciphertext, context, associated_data })
    assert.equal(opened.plaintext, plaintext)
    const again = await ask('encrypt', record, { plaintext, context, associated_data, key_version })
    assert.equal(again.ciphertext === ciphertext, record.name.endsWith('-conv'), record.name)
  }
})

function optionsOf(record: Record) {
  const { hash, signature_algorithm, marshaling_algorithm, salt_length, context } = record
  return { hash_algorithm: hash, signature_algorithm, marshaling_algorithm, salt_length, context }
}

const signatures = records.filter(({ op }) => op === 'sign')

test('all signatures verify, for no other input, and ours verify too', async () => {
  assert.equal(signatures.length, 214)
  for (const record of signatures) {
    const { input, signature, key_version } = record
    const options = optionsOf(record)
    assert.deepEqual(await ask('verify', record, { ...options, input, signature }), { valid: true })
    assert.deepEqual(await ask('verify', record, { ...options, input: 'b25l', signature }), { valid: false })
    const own = await ask('sign', record, { ...options, input, key_version })
    assert.deepEqual(await ask('verify', record, { ...options, input, signature: own.signature }), { valid: true })
    // Where there is only one signature, it is this one.
    const deterministic = record['signature_algorithm'] === 'pkcs1v15' || record.name.startsWith('ed25519')
    assert.equal(own.signature === signature, deterministic)
    assert.equal(own.public_key, record['public_key'])
  }
})

test('the same holds when the input is a digest already', async () => {
  for (const record of signatures.filter(({ hash }) => hash)) {
    const { hash, input, signature, key_version } = record
    const options = optionsOf(record)
    const digest = createHash(hash.replace(/^sha2-/, 'sha'))
      .update(Buffer.from(input, 'base64'))
      .digest()
    const prehashed = { ...options, prehashed: true, input: digest.toString('base64') }
    assert.deepEqual(await ask('verify', record, { ...prehashed, signature }), { valid: true })
    const own = await ask('sign', record, { ...prehashed, key_version })
    assert.deepEqual(await ask('verify', record, { ...options, input, signature: own.signature }), { valid: true })
    digest[0]! ^= 1
    const other = { ...prehashed, input: digest.toString('base64'), signature }
    assert.deepEqual(await ask('verify', record, other), { valid: false })
  }
})

test('all keyed hashes and hashes are the same', async () => {
  let [hmacs, hashes] = [0, 0]
  for (const record of records) {
    const { op, hash, input } = record
    if (op === 'hmac') {
      hmacs++
      assert.equal((await ask('hmac', record, { algorithm: hash, input })).hmac, record['hmac'])
      const body = { algorithm: hash, hash_algorithm: hash, input, hmac: record['hmac'] }
      assert.deepEqual(await ask('verify', record, body), { valid: true })
      assert.deepEqual(await ask('verify', record, { ...body, input: 'b25l' }), { valid: false })
    } else if (op === 'hash') {
      hashes++
      const body = { algorithm: hash, input, format: record['format'] }
      assert.equal((await server.write('transit/hash', body)).body.data.sum, record['sum'])
      const { format } = body
      assert.equal((await server.write(`transit/hash/${hash}`, { input, format })).body.data.sum, record['sum'])
    }
  }
  assert.deepEqual([hmacs, hashes], [63, 16])
})
