import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import test from 'node:test'
import { explicit, oid, sequence, set } from '#lib/der.ts'
import { signingWith, spkiOf } from './algorithms.ts'
import { MAX_DER_BYTES } from './asn1.ts'
import { makeCertificate, makeRequest } from './certificate.ts'
import { crlItem, makeCrl } from './crl.ts'
import { basicConstraints, crlNumber, subjectAltName } from './extensions.ts'
import { emptySubject, encodeName } from './name.ts'
import { readOcspRequest } from './ocsp.ts'
import { readCrl } from './read-crl.ts'
import { readCertificate, readRequest, signedBy } from './read.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const names = {
  dns: ['a.example.com'],
  emails: ['me@example.com'],
  ips: ['10.0.0.1', '2001:db8::1', '::ffff:192.0.2.1', '::'],
  uris: ['spiffe://td/x'],
  others: [{ oid: '1.2.3', value: 'ü' }],
}
const subject = { ...emptySubject, commonName: 'bücher', organization: ['A', 'B'], userIds: ['u'], serialNumber: '7' }

async function certificate(key: KeyObject = privateKey): Promise<Buffer> {
  const name = encodeName(subject)
  const parts = {
    serial: Buffer.from('00ff', 'hex'),
    issuer: name,
    subject: name,
    spki: spkiOf(key),
    notBefore: new Date('2049-12-31T23:59:59Z'),
    notAfter: new Date('2050-01-01T00:00:00Z'),
    extensions: [basicConstraints(true, 3), subjectAltName(names, false)!],
  }
  return await makeCertificate(parts, signingWith(key))
}

async function request(): Promise<Buffer> {
  const asked = sequence(oid('1.2.840.113549.1.9.14'), set(sequence(subjectAltName(names, false)!)))
  const parts = { subject: encodeName(subject), spki: spkiOf(privateKey), attributes: [asked] }
  return await makeRequest(parts, signingWith(privateKey))
}

async function list(): Promise<Buffer> {
  const at = new Date('2030-01-01T00:00:00Z')
  const items = Buffer.concat([crlItem('0a', at), crlItem('ff', at)])
  const parts = { issuer: encodeName(subject), thisUpdate: at, nextUpdate: at, items, extensions: [crlNumber(200)] }
  return (await makeCrl(parts, signingWith(privateKey))).der
}

test('what is written is read again, by OpenSSL too', async () => {
  const der = await certificate()
  const read = readCertificate(der)
  assert.ok(read.ok)
  const { value } = read
  assert.deepEqual(value.subjectParts, subject)
  assert.deepEqual([value.serial, value.isCa, value.pathLength], ['ff', true, 3])
  assert.deepEqual([value.notBefore.getUTCFullYear(), value.notAfter.getUTCFullYear()], [2049, 2050])
  const ips = ['10.0.0.1', '2001:db8:0:0:0:0:0:1', '192.0.2.1', '0:0:0:0:0:0:0:0']
  assert.deepEqual(value.names, { ...names, ips })
  assert.ok(signedBy(value, value.key))
  assert.ok(new X509Certificate(der).verify(value.key))
  const asked = readRequest(await request())
  assert.ok(asked.ok && signedBy(asked.value, asked.value.key))
  assert.deepEqual(asked.value.names, { ...names, ips })
  const crl = readCrl(await list())
  assert.ok(crl.ok && signedBy(crl.value, value.key))
  assert.deepEqual(
    crl.value.items.map(({ serial }) => serial),
    ['0a', 'ff'],
  )
})

test('a signature of another key, or over other bytes, is none', async () => {
  const read = readCertificate(await certificate())
  assert.ok(read.ok)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
  for (const key of [other, rsa]) assert.equal(signedBy(read.value, key), false)
  const changed = Buffer.from(read.value.toBeSigned)
  changed[20]! ^= 1
  assert.equal(signedBy({ ...read.value, toBeSigned: changed }, read.value.key), false)
})

test('no bytes make a reader throw: cut, flipped, filled with noise, deep, long', async () => {
  const readers = [readCertificate, readRequest, readCrl, readOcspRequest]
  const samples = [await certificate(), await request(), await list()]
  const random = generator(7)
  for (let round = 0; round < 1000; round += 1) {
    const bytes = Buffer.from(samples[round % samples.length]!)
    for (let count = 0; count <= round % 4; count += 1) bytes[random(bytes.length)] = random(256)
    const cut = round % 5 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
    for (const read of readers) read(cut)
  }
  let deep: Buffer = sequence()
  for (let level = 0; level < 2000; level += 1) deep = explicit(0, deep)
  const wide = sequence(...Array.from({ length: 11_000 }, () => sequence()))
  for (const bytes of [
    Buffer.alloc(0),
    deep,
    wide,
    Buffer.alloc(MAX_DER_BYTES + 1, 0x30),
    Buffer.from('3080', 'hex'),
  ]) {
    for (const read of [readCertificate, readRequest, readCrl]) assert.equal(read(bytes).ok, false)
    assert.equal(readOcspRequest(bytes), undefined)
  }
})

/** A small generator with a seed, so that a failure can be seen again. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % below
  }
}
