/** Raw ed25519 keys, as this API shows and derives them, into key objects and back (RFC 8410). */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** All of PKCS#8 and SubjectPublicKeyInfo that stands before the 32 bytes (RFC 8410 §7, §4). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')

const SEED_BYTES = 32

/** @param seed  32 bytes, or more of which the first 32 are the seed */
export function ed25519Private(seed: KeyObject | Uint8Array): KeyObject {
  const bytes = seed instanceof Uint8Array ? seed : seed.export()
  const der = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, SEED_BYTES)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  if (bytes !== seed) bytes.fill(0)
  return key
}

export function ed25519Public(bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: 'der', type: 'spki' })
}

export function rawPublic(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD.length)
}

/** What is stored of a pair: the secret is the seed with the public key behind it, in base64 like that. */
export function rawEd25519(pair: { privateKey: KeyObject; publicKey: KeyObject }): { secret: string; public: string } {
  const shown = rawPublic(pair.publicKey)
  const der = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
  const both = Buffer.concat([der.subarray(PKCS8_HEAD.length, PKCS8_HEAD.length + SEED_BYTES), shown])
  const secret = both.toString('base64')
  der.fill(0)
  both.fill(0)
  return { secret, public: shown.toString('base64') }
}
