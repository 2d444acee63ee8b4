/**
 * New key pairs for certificates, in DER and PEM. What OpenSSL's encoders take for a P-256 key is more than twice what making it
 * takes (65 and 25 µs), so the numbers of the key are asked for and written here (RFC 5480, RFC 5915, RFC 8410).
 */
import { generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { bits, explicit, octets, oid, sequence, smallInteger } from '#lib/der.ts'
import { curves, ED25519, type KeyType } from './algorithms.ts'
import { encodePem } from './pem.ts'

export interface NewKey {
  type: KeyType
  /** SubjectPublicKeyInfo in DER. */
  spki: Buffer
  /** PEM: PKCS #1 for RSA, SEC 1 for EC, PKCS #8 for Ed25519. */
  pem: string
}

const generate = promisify(generateKeyPair)

/** P-256 and Ed25519 take some 30 µs and are made on the spot, all others on the thread pool: P-384 takes 800 µs. */
export async function newKey(type: KeyType, keyBits: number): Promise<NewKey> {
  if (type === 'ed25519') return ed25519(generateKeyPairSync('ed25519').privateKey)
  if (type === 'ec') {
    const namedCurve = curves[keyBits]!
    const curve = curveOids[keyBits]
    if (keyBits === 256) return ec(generateKeyPairSync('ec', { namedCurve }).privateKey, curve!)
    return curve === undefined
      ? await encodedEc(namedCurve)
      : ec((await generate('ec', { namedCurve })).privateKey, curve)
  }
  const made = await generate('rsa', {
    modulusLength: keyBits,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  return { type, spki: made.publicKey, pem: made.privateKey }
}

const EC_PUBLIC_KEY = '1.2.840.10045.2.1'

/** Curves that JSON Web Keys have; P-224 is none of them. */
const curveOids: Record<number, string> = { 256: '1.2.840.10045.3.1.7', 384: '1.3.132.0.34', 521: '1.3.132.0.35' }

function ec(key: KeyObject, curve: string): NewKey {
  const { d, x, y } = numbersOf(key)
  const point = bits(Buffer.concat([Buffer.from([4]), x, y!]))
  const curveId = oid(curve)
  const sec1 = sequence(smallInteger(1), octets(d), explicit(0, curveId), explicit(1, point))
  return {
    type: 'ec',
    spki: sequence(sequence(oid(EC_PUBLIC_KEY), curveId), point),
    pem: encodePem('EC PRIVATE KEY', sec1),
  }
}

function ed25519(key: KeyObject): NewKey {
  const { d, x } = numbersOf(key)
  const algorithm = sequence(oid(ED25519))
  const pkcs8 = sequence(smallInteger(0), algorithm, octets(octets(d)))
  return { type: 'ed25519', spki: sequence(algorithm, bits(x)), pem: encodePem('PRIVATE KEY', pkcs8) }
}

/** All of the length that the curve has. */
function numbersOf(key: KeyObject): { d: Buffer; x: Buffer; y: Buffer | undefined } {
  const jwk = key.export({ format: 'jwk' })
  const number = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
  return { d: number(jwk.d), x: number(jwk.x), y: jwk.y === undefined ? undefined : number(jwk.y) }
}

async function encodedEc(namedCurve: string): Promise<NewKey> {
  const made = await generate('ec', {
    namedCurve,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
  })
  return { type: 'ec', spki: made.publicKey, pem: made.privateKey }
}
